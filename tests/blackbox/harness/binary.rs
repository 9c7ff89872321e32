//! The program under test: found, built when it is missing or older than its sources, and run.

use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::within;

/// Longest run of a command that is no server.
const LIMIT: Duration = Duration::from_mins(1);

/// Where the program is.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("MAJORDOMO_TEST_BINARY") {
        Some(named) => PathBuf::from(named),
        None => built(),
    })
}

/// The program beside this test's own, in the folder of the build profile.
fn built() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().unwrap().parent().unwrap();
    let binary = profile.join("majordomo");
    if is_current(&binary) {
        return binary;
    }
    // One process builds, the others find the result.
    let lock = File::create(profile.join("blackbox-build.lock")).unwrap();
    lock.lock().unwrap();
    if !is_current(&binary) {
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build
            .args(["build", "--quiet", "--package", "majordomo-server"])
            .current_dir(workspace());
        if profile.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        let output = build.stdin(Stdio::null()).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    binary
}

/// Whether none of the sources that cargo lists beside the program is newer than it.
fn is_current(binary: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let Some(made) = modified(binary) else {
        return false;
    };
    let Ok(listed) = fs::read_to_string(binary.with_extension("d")) else {
        return false;
    };
    let Some((_, sources)) = listed.split_once(": ") else {
        return false;
    };
    sources
        .split_whitespace()
        .all(|source| modified(Path::new(source)).is_some_and(|changed| changed <= made))
}

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The program on a data folder, without anything of this machine's environment. It ends with its owner.
pub(crate) fn command(data_dir: &Path, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(binary());
    command
        .args(arguments)
        .arg("--data-dir")
        .arg(data_dir)
        .env_clear()
        .env("HOME", data_dir)
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it said.
    pub(crate) stderr: String,
}

impl Finished {
    /// What it printed, when it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// What it printed as JSON, when it succeeded.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }
}

/// Runs a subcommand to its end.
pub(crate) async fn run(data_dir: &Path, arguments: &[&str]) -> Finished {
    finish(command(data_dir, arguments)).await
}

/// As [`run`] with `input` on standard input.
pub(crate) async fn run_with_input(data_dir: &Path, arguments: &[&str], input: &str) -> Finished {
    let mut command = command(data_dir, arguments);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    command.stdin(file);
    finish(command).await
}

/// Runs a prepared command to its end.
pub(crate) async fn finish(mut command: tokio::process::Command) -> Finished {
    let output = within(LIMIT, "a command", command.output()).await.unwrap();
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
