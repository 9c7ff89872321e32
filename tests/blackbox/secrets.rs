//! Where secrets may and may not be seen: in no answer, no log line, no file but those meant for them, and no backup.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use majordomo_infrastructure_system::archive::read_archive;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, ModelServer, Options, Refused, Server, binary, let_app_in, run};

/// The user's password.
const PASSWORD: &str = "canary-password-5d6e7f8091a2";
/// Secrets of every kind that a client may send, by the setting that takes them.
const OVER_API: [(&str, &str); 4] = [
    ("openai_api_key", "sk-canary-over-api-1b2c3d4e5f60"),
    ("discord_bot_token", "canary-of-channel-9a8b7c6d5e4f"),
    (
        "google_oauth_client_secret",
        "GOCSPX-canary-of-oauth-0a1b2c3d",
    ),
    (
        "openai_compatible_api_key",
        "sk-canary-that-is-sent-77aa88bb",
    ),
];
/// One that stands in the configuration file.
const IN_CONFIG: &str = "sk-canary-in-config-7f3a91c2d4e5";
/// One that is refused.
const REFUSED: &str = "sk-canary-refused-0c1d2e3f4a5b6c7d8e9f";

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}

fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
        .to_owned()
}

/// A server, and everything it has answered.
struct Watched {
    server: Server,
    answers: Vec<String>,
    /// The secrets so far, by what they are.
    secrets: BTreeMap<String, String>,
}

impl Watched {
    async fn ask(&mut self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let token = self.server.token.clone();
        self.ask_as(&token, method, path, body).await
    }

    async fn ask_as(
        &mut self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let request = self.server.anonymous(method, path).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = Answer::of(request.send().await.unwrap()).await;
        self.answers
            .push(format!("{:?} {}", answer.headers, answer.text));
        answer
    }

    /// Asks for something whose answer shows a secret, once; that answer is not kept.
    async fn issue(&mut self, what: &str, path: &str, body: &Value, field: &str) -> Value {
        let answer = self.ask(Method::POST, path, Some(body)).await;
        self.answers.pop();
        assert!(answer.status < 300, "{path}: {answer:?}");
        let issued = answer.json();
        self.secrets.insert(what.to_owned(), text(&issued, field));
        issued
    }

    /// Gets credentials of every kind.
    async fn collect(&mut self) {
        let user = json!({ "username": "alice", "password": PASSWORD });
        self.issue("login token", "/api/auth/register", &user, "token")
            .await;
        self.issue("second login token", "/api/auth/login", &user, "token")
            .await;
        let key = json!({ "name": "script", "scopes": ["chat"] });
        self.issue("API key", "/api/v1/auth/api-keys", &key, "key")
            .await;
        let key = json!({ "keyName": "script" });
        let answer = self
            .ask(Method::POST, "/api/settings/api-keys", Some(&key))
            .await;
        self.answers.pop();
        self.secrets.insert(
            "Pixcode key".to_owned(),
            text(&answer.json()["apiKey"], "apiKey"),
        );
        self.issue(
            "session token",
            "/api/v1/auth/session",
            &json!({}),
            "session_token",
        )
        .await;
        self.app_tokens().await;
    }

    /// Lets an app in: code, access and refresh token.
    async fn app_tokens(&mut self) {
        let exchange = let_app_in(&self.server).await;
        self.secrets
            .insert("code".to_owned(), text(&exchange, "code"));
        let made = self
            .issue(
                "access token",
                "/api/v1/oauth/token",
                &exchange,
                "access_token",
            )
            .await;
        self.secrets
            .insert("refresh token".to_owned(), text(&made, "refresh_token"));
        // A code that is shown twice, and whatever else goes wrong.
        self.ask(Method::POST, "/api/v1/oauth/token", Some(&exchange))
            .await
            .with_status(400);
    }

    /// Uses every credential, rightly and wrongly, and does what fails.
    async fn drive(&mut self) {
        for secret in self
            .secrets
            .clone()
            .into_values()
            .chain([REFUSED.to_owned()])
        {
            for path in [
                "/api/v1/sessions",
                "/api/v1/settings",
                "/v1/models",
                "/api/nothing",
                "/api/auth/user",
            ] {
                self.ask_as(&secret, Method::GET, path, None).await;
            }
            let query = format!("/api/v1/sessions?token={secret}");
            let answer = self
                .server
                .anonymous(Method::GET, &query)
                .send()
                .await
                .unwrap();
            let answer = Answer::of(answer).await;
            self.answers.push(answer.text);
        }
        let wrong = json!({ "username": "alice", "password": format!("{PASSWORD}-wrong") });
        self.ask(Method::POST, "/api/auth/login", Some(&wrong))
            .await;
        let malformed = json!({ "temperature": "hot", "openai_api_key": OVER_API[0].1, "slack_bot_token": [REFUSED] });
        self.ask(Method::PUT, "/api/v1/settings", Some(&malformed))
            .await
            .with_status(422);
        for body in ["ECHO hello", "FAIL 401", "FAIL 500", "CUT 1"] {
            let said = json!({ "content": body, "session_id": "s" });
            self.ask(Method::POST, "/api/v1/chat", Some(&said)).await;
            let said = json!({ "model": "openai_compatible/m", "messages": [{ "role": "user", "content": body }] });
            self.ask(Method::POST, "/v1/chat/completions", Some(&said))
                .await;
        }
        for path in [
            "/api/v1/settings",
            "/api/v1/auth/api-keys",
            "/api/settings/api-keys",
            "/api/v1/audit?limit=1000",
            "/api/v1/health",
            "/api/v1/health/errors",
            "/api/v1/oauth/grants",
            "/api/v1/identity",
            "/api/v1/self-audit/reports",
            "/metrics",
            "/v1/models",
        ] {
            self.ask(Method::GET, path, None).await;
        }
        for path in [
            "/api/v1/security-audit",
            "/api/v1/self-audit/run",
            "/api/v1/health/check",
        ] {
            self.ask(Method::POST, path, None).await;
        }
    }

    /// Files of the data folder that hold a secret, with what it is.
    fn leaks(&self) -> Vec<(String, String)> {
        let mut leaks = Vec::new();
        for path in files(self.server.data_dir()) {
            let bytes = fs::read(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            leaks.extend(self.found_in(&bytes).map(|what| (name.clone(), what)));
        }
        leaks
    }

    fn found_in(&self, bytes: &[u8]) -> impl Iterator<Item = String> {
        let found = self
            .secrets
            .iter()
            .filter(|(_, secret)| holds(bytes, secret));
        found.map(|(what, _)| what.clone())
    }
}

async fn watched(model: &ModelServer) -> Watched {
    let config = format!(
        "[security]\nrate_limit_enabled = false\n[logging]\nlevel = \"trace\"\n{}\n[[models.providers]]\nname = \"other\"\n\
         kind = \"openai\"\nbase_url = \"http://{}/v1\"\nmodels = [\"m\"]\napi_key = \"{IN_CONFIG}\"\n",
        model.settings(),
        model.address
    );
    let server = Server::start(Options::config(config)).await;
    let mut secrets: BTreeMap<String, String> = OVER_API
        .iter()
        .map(|(name, secret)| ((*name).to_owned(), (*secret).to_owned()))
        .collect();
    for (what, secret) in [
        ("configured key", IN_CONFIG),
        ("password", PASSWORD),
        ("refused", REFUSED),
    ] {
        secrets.insert(what.to_owned(), secret.to_owned());
    }
    secrets.insert("master token".to_owned(), server.token.clone());
    Watched {
        server,
        answers: Vec::new(),
        secrets,
    }
}

#[tokio::test]
async fn secrets_are_seen_nowhere_but_where_they_belong() {
    let model = ModelServer::start().await;
    let mut watched = watched(&model).await;
    watched.collect().await;
    let mut settings: serde_json::Map<String, Value> = OVER_API
        .iter()
        .map(|(name, secret)| ((*name).to_owned(), json!(secret)))
        .collect();
    let address = format!("http://{}/v1", model.address);
    settings.insert("openai_compatible_base_url".to_owned(), json!(address));
    let body = Value::Object(settings);
    watched
        .ask(Method::PUT, "/api/v1/settings", Some(&body))
        .await
        .ok();
    watched.drive().await;

    // A crash leaves what was in memory nowhere either.
    watched.server.kill9().await;
    let only_the_token = [("access_token".to_owned(), "master token".to_owned())];
    assert_eq!(watched.leaks(), only_the_token);
    watched.server.restart().await;
    watched.drive().await;
    let archive = watched.server.data_dir().parent().unwrap().join("backup");
    run(
        watched.server.data_dir(),
        &["backup", archive.to_str().unwrap()],
    )
    .await
    .ok();
    watched.server.stop().await;
    assert_eq!(watched.leaks(), only_the_token);
    let log = watched.server.log();
    assert!(log.contains("TRACE"), "the log tells everything");
    assert_eq!(
        watched.found_in(log.as_bytes()).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    for answer in &watched.answers {
        let found: Vec<_> = watched.found_in(answer.as_bytes()).collect();
        assert!(found.is_empty(), "{found:?} in {answer}");
    }

    // What the archive holds, unpacked.
    let (sender, mut receiver) = tokio::sync::mpsc::channel(4);
    let reading = tokio::task::spawn_blocking(move || read_archive(&archive, &sender));
    let mut rows = 0;
    while let Some(step) = receiver.recv().await {
        if let majordomo_application::ports::CopyStep::Part(part) = step {
            rows += part.rows;
            assert_eq!(
                watched.found_in(&part.lines).collect::<Vec<_>>(),
                Vec::<String>::new()
            );
        }
    }
    assert!(reading.await.unwrap().unwrap().is_empty(), "no key files");
    assert!(rows > 50, "the archive holds what was done");

    // The model has seen the keys it was to be asked with.
    assert!(model.keys().contains(&format!("Bearer {}", OVER_API[3].1)));
}

/// A server with sealed secrets.
async fn sealed(model: &ModelServer) -> Server {
    let server = watched(model).await.server;
    let body = json!({ "openai_api_key": OVER_API[0].1, "discord_bot_token": OVER_API[1].1 });
    let request = server.request(Method::PUT, "/api/v1/settings").json(&body);
    Answer::of(request.send().await.unwrap()).await.ok();
    server
}

async fn secrets_set(server: &Server) -> Value {
    let settings = server.get("/api/v1/settings").await.ok();
    settings["settings_status"]["secrets_set"].clone()
}

/// The words of a start that must be refused, on the folder of a server that has stopped.
async fn refused(server: &Server, variable: Option<&str>) -> String {
    let options = Options {
        data_dir: Some(server.data_dir().to_owned()),
        env: variable
            .map(|keys| ("MAJORDOMO_SECRET_KEY".to_owned(), keys.to_owned()))
            .into_iter()
            .collect(),
        ..Options::default()
    };
    match Server::try_start(options).await {
        Ok(_) => panic!("it starts"),
        Err(Refused { stderr, .. }) => stderr,
    }
}

#[tokio::test]
async fn without_the_right_key_nothing_starts() {
    const OTHER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    let model = ModelServer::start().await;
    let mut server = sealed(&model).await;
    server.stop().await;
    let path = server.data_dir().join("secret.key");
    let key = fs::read_to_string(&path).unwrap();
    let cases = [
        (None, "is missing"),
        (Some(OTHER.to_owned()), "key"),
        (Some("nonsense".to_owned()), "secret.key"),
    ];
    for (present, words) in cases {
        match &present {
            None => fs::remove_file(&path).unwrap(),
            Some(text) => put_key(&path, text),
        }
        let told = refused(&server, None).await;
        assert!(told.contains(words), "{present:?}: {told}");
        assert!(!told.contains(key.trim()), "{told}");
    }
    let told = refused(&server, Some("nonsense")).await;
    assert!(told.contains("MAJORDOMO_SECRET_KEY"), "{told}");
    refused(&server, Some(OTHER)).await;
    // A missing key was not replaced by another one.
    put_key(&path, &key);
    server.restart().await;
    assert_eq!(
        secrets_set(&server).await,
        json!(["openai_api_key", "discord_bot_token"])
    );
}

/// Writes a private file of a key.
fn put_key(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Keys are rotated, and rotations are killed at any moment: the secrets can be opened after each, by the next start and
/// by the next rotation, and in the end one key is left.
#[tokio::test]
async fn keys_are_rotated_whatever_ends_it() {
    let model = ModelServer::start().await;
    let mut server = sealed(&model).await;
    let refused = run(server.data_dir(), &["secrets", "rotate"]).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("stop it first"),
        "{refused:?}"
    );
    server.stop().await;
    let path = server.data_dir().join("secret.key");
    let first = fs::read_to_string(&path).unwrap();
    let set = json!(["openai_api_key", "discord_bot_token"]);
    for number in 0..24_u64 {
        let mut rotation = std::process::Command::new(binary())
            .args([
                "secrets",
                "rotate",
                "--data-dir",
                server.data_dir().to_str().unwrap(),
            ])
            .env_clear()
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(number * 4)).await;
        rotation.kill().unwrap();
        rotation.wait().unwrap();
        let keys = fs::read_to_string(&path).unwrap();
        assert!(
            (1..=2).contains(&keys.lines().count()),
            "{} keys",
            keys.lines().count()
        );
        if number % 8 == 0 {
            server.restart().await;
            assert_eq!(secrets_set(&server).await, set);
            server.stop().await;
        }
    }
    run(server.data_dir(), &["secrets", "rotate"]).await.ok();
    let last = fs::read_to_string(&path).unwrap();
    assert_eq!(last.lines().count(), 1);
    assert_ne!(last, first);
    server.restart().await;
    assert_eq!(secrets_set(&server).await, set);
    server.stop().await;
    run(server.data_dir(), &["audit", "verify"]).await.ok();
    // The first key opens nothing any more.
    put_key(&path, &first);
    assert!(!self::refused(&server, None).await.is_empty());
}
