//! The server as a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Child;

use super::binary::command;
use super::{Answer, EventStream, PATIENCE, http_client, within};

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// The text of `config.toml`.
    pub(crate) config: String,
    /// Its environment.
    pub(crate) env: Vec<(String, String)>,
    /// Its data folder; a folder of its own when not set.
    pub(crate) data_dir: Option<PathBuf>,
    /// More arguments of `serve`.
    pub(crate) arguments: Vec<String>,
    /// Listen where the settings say, not on one free port.
    pub(crate) keep_listen: bool,
}

impl Options {
    /// With this `config.toml`.
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self {
            config: text.into(),
            ..Self::default()
        }
    }
}

/// A server that did not start.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Its exit code.
    pub(crate) code: i32,
    /// What it said.
    pub(crate) stderr: String,
}

/// A running server; it dies with this value.
pub(crate) struct Server {
    options: Options,
    folder: TempDir,
    data_dir: PathBuf,
    process: Option<Child>,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// The master token.
    pub(crate) token: String,
    client: reqwest::Client,
    /// How long the last start took, up to the first answer.
    pub(crate) started_in: Duration,
}

/// The limits of the dialects are tested in `rate_limits`; everywhere else they would only slow the tests.
pub(crate) const WITHOUT_LIMITS: &str = "[security]\nrate_limit_enabled = false\n";

impl Server {
    /// A server without rate limits and with no model but the built-in assistant.
    pub(crate) async fn assistant() -> Self {
        Self::start(Options::config(WITHOUT_LIMITS)).await
    }

    /// A server without rate limits whose model is `model`.
    pub(crate) async fn with_model(model: &super::ModelServer) -> Self {
        Self::start(Options::config(format!(
            "{WITHOUT_LIMITS}{}",
            model.settings()
        )))
        .await
    }

    /// Starts a server that must come up.
    pub(crate) async fn start(options: Options) -> Self {
        Self::try_start(options)
            .await
            .unwrap_or_else(|refused| panic!("the server does not start: {refused:?}"))
    }

    /// Starts a server, or tells why it does not come up.
    pub(crate) async fn try_start(options: Options) -> Result<Self, Refused> {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = options
            .data_dir
            .clone()
            .unwrap_or_else(|| folder.path().join("data"));
        fs::write(folder.path().join("config.toml"), &options.config).unwrap();
        let mut server = Self {
            options,
            folder,
            data_dir,
            process: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: String::new(),
            client: http_client(),
            started_in: Duration::ZERO,
        };
        server.spawn().await?;
        Ok(server)
    }

    async fn spawn(&mut self) -> Result<(), Refused> {
        let config = self.folder.path().join("config.toml");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        let mut arguments = vec!["serve", "--config", config.to_str().unwrap()];
        if !self.options.keep_listen {
            arguments.extend(["--port", "0"]);
        }
        arguments.extend(self.options.arguments.iter().map(String::as_str));
        let mut command = command(&self.data_dir, &arguments);
        command
            .envs(self.options.env.iter().cloned())
            .stdout(Stdio::null())
            .stderr(log);
        // Making the command may have built the program; that is not its start.
        let begin = Instant::now();
        let mut process = command.spawn().unwrap();
        let pid = process.id().unwrap();
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                return Err(Refused {
                    code: status.code().unwrap_or(-1),
                    stderr: self.log(),
                });
            }
            if let Some(address) = announced(&self.data_dir, pid) {
                self.address = address;
                break;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "the server announces nothing: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.process = Some(process);
        let token = fs::read_to_string(self.data_dir.join("access_token")).unwrap();
        token.trim().clone_into(&mut self.token);
        self.anonymous(Method::GET, "/health")
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        self.started_in = begin.elapsed();
        Ok(())
    }

    /// Where it keeps everything.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process
            .as_ref()
            .and_then(Child::id)
            .expect("the server runs")
    }

    /// Memory it holds, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    /// Ends it without any warning, as a crash does.
    pub(crate) async fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.unwrap();
        }
    }

    /// Asks it to stop and gives its exit code.
    pub(crate) async fn stop(&mut self) -> i32 {
        let mut process = self.process.take().expect("the server runs");
        let pid = process.id().unwrap().to_string();
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap();
        within(PATIENCE, "the server stops", process.wait())
            .await
            .unwrap()
            .code()
            .unwrap_or(-1)
    }

    /// Starts it again on the same folder, on another port.
    pub(crate) async fn restart(&mut self) {
        assert!(self.process.is_none(), "stop it first");
        if let Err(refused) = self.spawn().await {
            panic!("the server does not start again: {refused:?}");
        }
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request without any credential.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// A request with the master token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.token)
    }

    /// Asks with the master token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// Sends JSON with the master token.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(
            self.request(Method::POST, path)
                .json(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// Deletes with the master token.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// Sends JSON with the master token and reads the events of the answer.
    pub(crate) async fn stream(&self, path: &str, body: &Value) -> EventStream {
        let response = self
            .request(Method::POST, path)
            .json(body)
            .send()
            .await
            .unwrap();
        EventStream::of(response)
            .await
            .unwrap_or_else(|answer| panic!("no event stream: {answer:?}"))
    }

    /// Goes on with a stream after the event of this id.
    pub(crate) async fn resume(&self, path: &str, id: &str) -> EventStream {
        let response = self
            .request(Method::GET, path)
            .header("Last-Event-ID", id)
            .send()
            .await
            .unwrap();
        EventStream::of(response)
            .await
            .unwrap_or_else(|answer| panic!("no event stream: {answer:?}"))
    }

    /// What was said in a session: roles and texts.
    pub(crate) async fn history(&self, session: &str) -> Vec<(String, String)> {
        let messages = self
            .get(&format!("/api/v1/sessions/{session}/history?limit=500"))
            .await
            .ok();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let messages = messages.as_array().unwrap().iter();
        messages
            .map(|message| (text(&message["role"]), text(&message["content"])))
            .collect()
    }
}

/// The address that the process of this id has written down.
fn announced(data_dir: &Path, pid: u32) -> Option<SocketAddr> {
    let text = fs::read(data_dir.join("server.json")).ok()?;
    let value: Value = serde_json::from_slice(&text).ok()?;
    (value["pid"].as_u64() == Some(u64::from(pid)))
        .then(|| value["address"].as_str()?.parse().ok())?
}
