//! The published reverse proxy configurations, in the real nginx and Caddy: events pass one by one, sockets pass, and the
//! server sees who really asks.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::process::{Child, Command};

use crate::harness::{
    EventStream, ModelServer, Options, Server, Socket, eventually, http_client, skipped, workspace,
};

/// A proxy in front of a server; it ends with this value.
struct Proxy {
    port: u16,
    process: Child,
    folder: tempfile::TempDir,
}

fn published(file: &str) -> String {
    fs::read_to_string(workspace().join("docs/deploy").join(file)).unwrap()
}

/// A port that is free now. Nobody else takes it before the proxy does, as systems hand free ports out in turn.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Proxy {
    async fn start(mut command: Command, port: u16, folder: tempfile::TempDir) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut proxy = Self {
            port,
            process: command.spawn().unwrap(),
            folder,
        };
        let client = http_client();
        let answers = async || {
            assert!(
                proxy.process.try_wait().unwrap().is_none(),
                "the proxy has ended"
            );
            client
                .get(format!("http://127.0.0.1:{port}/health"))
                .send()
                .await
                .ok()
        };
        eventually("the proxy answers", answers).await;
        proxy
    }

    async fn nginx(server: &Server) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"]
            .into_iter()
            .find(|path| Path::new(path).exists())?;
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let place = folder.path().display().to_string();
        // Without certificates, on a port of its own.
        let published = published("nginx.conf")
            .replace(
                "listen 443 ssl http2;",
                &format!("listen 127.0.0.1:{port};"),
            )
            .replace("127.0.0.1:8888", &server.address.to_string())
            .replace("/var/log/nginx", &place);
        let inner: Vec<&str> = published
            .lines()
            .filter(|line| !line.contains("ssl"))
            .collect();
        let inner = inner.join("\n");
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .concat();
        let whole =
            format!("pid {place}/pid;\ndaemon off;\nevents {{}}\nhttp {{\n{paths}{inner}\n}}\n");
        let file = folder.path().join("nginx.conf");
        fs::write(&file, whole).unwrap();
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(file)
            .args(["-e", &format!("{place}/error.log")]);
        // As root it would change to a user that may not enter the folder.
        command.args(["-g", "user root;"]);
        Some(Self::start(command, port, folder).await)
    }

    async fn caddy(server: &Server) -> Option<Self> {
        let program = Path::new("/usr/bin/caddy");
        if !program.exists() {
            return None;
        }
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let inner = published("Caddyfile")
            .replace("majordomo.example.org {", &format!("http://:{port} {{"))
            .replace("127.0.0.1:8888", &server.address.to_string());
        let file = folder.path().join("Caddyfile");
        fs::write(&file, format!("{{\n\tadmin off\n}}\n{inner}")).unwrap();
        let mut command = Command::new(program);
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(file);
        command
            .env("HOME", folder.path())
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path());
        Some(Self::start(command, port, folder).await)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx has workers, which only its own end takes along.
        if let Some(pid) = self.process.id() {
            let _ = std::process::Command::new("kill")
                .args(["-TERM", &pid.to_string()])
                .status();
        }
        std::thread::sleep(Duration::from_millis(100));
        let _ = self.folder.path();
    }
}

async fn server(model: &ModelServer) -> Server {
    let config = format!(
        "[server]\npublic_url = \"https://majordomo.example.org\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
         [security]\nrate_limit_rpm = 3\nrate_limit_ws_burst = 100\n{}",
        model.settings()
    );
    Server::start(Options::config(config)).await
}

async fn passes_everything(server: &Server, proxy: &Proxy) {
    let base = format!("127.0.0.1:{}", proxy.port);
    let client = http_client();
    // Events come while the model still speaks.
    let body = json!({ "content": "COUNT 10 100 t", "session_id": "s" });
    let request = client
        .post(format!("http://{base}/api/v1/chat/stream"))
        .bearer_auth(&server.token)
        .json(&body);
    let begin = Instant::now();
    let mut stream = EventStream::of(request.send().await.unwrap())
        .await
        .unwrap_or_else(|answer| panic!("{answer:?}"));
    let mut arrivals = Vec::new();
    while let Some(event) = stream.next().await.unwrap() {
        if event.name == "chunk" {
            arrivals.push(begin.elapsed());
        }
    }
    assert!(arrivals.len() >= 5, "{arrivals:?}");
    let spread = arrivals.last().unwrap().saturating_sub(arrivals[0]);
    assert!(
        spread > Duration::from_millis(500),
        "events come in one lump: {arrivals:?}"
    );

    let url = format!("ws://{base}/ws?token={}", server.token);
    let mut socket = Socket::connect(&url, &[])
        .await
        .unwrap_or_else(|status| panic!("socket: {status}"));
    socket
        .send(&json!({ "type": "chat", "content": "ECHO through the proxy", "session_id": "w" }))
        .await
        .unwrap();
    socket.until("stream_end").await;
    assert_eq!(server.history("w").await[1].1, "through the proxy");

    // No credential is needed on this machine, but this came through a proxy.
    let anonymous = client
        .get(format!("http://{base}/v1/models"))
        .send()
        .await
        .unwrap();
    assert_eq!(anonymous.status().as_u16(), 401);

    // A client's own claim of an address is not believed: one bucket for one client.
    let mut statuses = Vec::new();
    for number in 0..6 {
        let request = client
            .get(format!("http://{base}/v1/models"))
            .bearer_auth(&server.token);
        let answer = request
            .header("X-Forwarded-For", format!("10.0.0.{number}"))
            .send()
            .await
            .unwrap();
        statuses.push(answer.status().as_u16());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn nginx() {
    let model = ModelServer::start().await;
    let server = server(&model).await;
    match Proxy::nginx(&server).await {
        Some(proxy) => passes_everything(&server, &proxy).await,
        None => skipped("nginx is not installed"),
    }
}

#[tokio::test]
async fn caddy() {
    let model = ModelServer::start().await;
    let server = server(&model).await;
    match Proxy::caddy(&server).await {
        Some(proxy) => passes_everything(&server, &proxy).await,
        None => skipped("caddy is not installed"),
    }
}

/// Behind a trusted proxy each client has a bucket of its own; a peer that is no proxy is not believed.
#[tokio::test]
async fn the_clients_address_comes_from_trusted_proxies_only() {
    let model = ModelServer::start().await;
    for (config, shared) in [("[\"127.0.0.1/32\"]", false), ("[\"10.0.0.0/8\"]", true)] {
        let config = format!(
            "[server]\ntrusted_proxies = {config}\n[security]\nrate_limit_rpm = 2\n{}",
            model.settings()
        );
        let server = Server::start(Options::config(config)).await;
        let mut statuses = Vec::new();
        for number in 0..6 {
            let request = server.request(reqwest::Method::GET, "/v1/models");
            let answer = request
                .header("X-Forwarded-For", format!("203.0.113.{number}"))
                .send()
                .await
                .unwrap();
            statuses.push(answer.status().as_u16());
        }
        assert_eq!(statuses.contains(&429), shared, "{statuses:?}");
    }
}
