//! The server under test.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::running::{self, Running};
use super::{Bench, http};
use crate::failure::{Failure, Outcome};
use crate::process;

/// How long the server may take to answer its first request.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a command of the command line may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// Begins the environment variables that are settings of the server: those of the person at the terminal do not count.
const SETTINGS_PREFIX: &str = "MAJORDOMO__";

/// The keys of three users.
pub(crate) const USERS: [&str; 3] = ["sk-bench-user-1", "sk-bench-user-2", "sk-bench-user-3"];

/// A data folder with settings: one model, three users, no rate limits, everything else as it comes.
pub(crate) struct Installation<'a> {
    bench: &'a Bench,
    data: PathBuf,
}

/// A server that answers; it is killed when this is dropped.
pub(crate) struct Server {
    pub(crate) process: Running,
    pub(crate) address: SocketAddr,
    /// From the start of the program to its first answer.
    pub(crate) started_in: Duration,
}

impl<'a> Installation<'a> {
    /// An empty data folder.
    pub(crate) fn fresh(bench: &'a Bench, name: &str) -> Outcome<Self> {
        let data = bench.folder.join(name);
        if data.exists() {
            fs::remove_dir_all(&data).map_err(|error| unusable(&data, &error))?;
        }
        Self::existing(bench, name)
    }

    /// The data folder as it is, made where there is none.
    pub(crate) fn existing(bench: &'a Bench, name: &str) -> Outcome<Self> {
        let data = bench.folder.join(name);
        let written = fs::create_dir_all(&data)
            .and_then(|()| fs::set_permissions(&data, Permissions::from_mode(0o700)))
            .and_then(|()| fs::write(data.join("config.toml"), settings(bench.mock)));
        written.map_err(|error| unusable(&data, &error))?;
        Ok(Self { bench, data })
    }

    /// The database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.data.join("majordomo.sqlite3")
    }

    /// Starts the server and waits for its first answer. Its words go to `server.log` in the data folder.
    pub(crate) fn start(&self) -> Outcome<Server> {
        let address = super::free_address()?;
        let log_path = self.data.join("server.log");
        let log = File::create(&log_path).map_err(|error| unusable(&log_path, &error))?;
        let mut command = running::command(&self.bench.programs.server);
        self.configure(&mut command);
        command
            .args(["serve", "--host", "127.0.0.1", "--port"])
            .arg(address.port().to_string())
            .stdout(Stdio::null())
            .stderr(log);
        let begun = Instant::now();
        let mut process = Running::start("the server", command)?;
        let answered = http::wait_for(address, "/health", START_LIMIT, || process.check());
        let started_in = begun.elapsed();
        answered.map_err(|failure| {
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            Failure::new(format!("{failure}\n{}", said.trim_end()))
        })?;
        Ok(Server {
            process,
            address,
            started_in,
        })
    }

    /// Makes an API key on the running server.
    pub(crate) fn create_key(&self) -> Outcome<String> {
        let mut command = Command::new(&self.bench.programs.server);
        self.configure(&mut command);
        command.args(["keys", "create", "bench"]);
        let key = process::capture("majordomo keys create", &mut command, COMMAND_LIMIT)?;
        Ok(key.trim().to_owned())
    }

    fn configure(&self, command: &mut Command) {
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with(SETTINGS_PREFIX) {
                command.env_remove(variable);
            }
        }
        command.arg("--data-dir").arg(&self.data);
    }
}

fn settings(mock: SocketAddr) -> String {
    let users = USERS.iter().enumerate().map(|(number, key)| {
        format!("\"{key}\" = \"00000000-0000-4000-8000-00000000000{number}\"\n")
    });
    let users: String = users.collect();
    format!(
        "[models]\n\
         default = \"mock/mock-model\"\n\n\
         [[models.providers]]\n\
         name = \"mock\"\n\
         kind = \"openai\"\n\
         base_url = \"http://{mock}/v1\"\n\
         api_key = \"sk-mock\"\n\
         models = [\"mock-model\"]\n\n\
         [security]\n\
         rate_limit_enabled = false\n\n\
         [security.api_key_users]\n{users}"
    )
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be used: {error}", path.display()))
}
