//! Models that are reached through the proxy of an office.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{ModelServer, Options, Server, WITHOUT_LIMITS};

/// `user:pass` in the form of a header.
const CREDENTIALS: &str = "Basic dXNlcjpwYXNz";

/// A proxy to which every host is one model server. It ends with this value.
struct ForwardProxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

/// The head of a request to the proxy, and the first byte of what follows `CONNECT`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Request {
    line: String,
    credentials: Option<String>,
    tunnelled: Option<u8>,
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ForwardProxy {
    async fn start(model: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let shared = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let seen = shared.clone();
                tokio::spawn(async move { drop(serve(client, model, &seen).await) });
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

/// The first request of a connection; what follows it goes the same way.
async fn serve(
    client: TcpStream,
    model: SocketAddr,
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let (line, headers) = head.split_once("\r\n").unwrap();
    let credentials = headers.lines().find_map(|header| {
        let (name, value) = header.split_once(": ")?;
        (name.eq_ignore_ascii_case("proxy-authorization")).then(|| value.to_owned())
    });
    let mut request = Request {
        line: line.to_owned(),
        credentials,
        tunnelled: None,
    };
    if line.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
        request.tunnelled = Some(client.read_u8().await?);
        seen.lock().unwrap().push(request);
        return Ok(());
    }
    seen.lock().unwrap().push(request);
    let mut upstream = TcpStream::connect(model).await?;
    let origin = line.replace("http://model.test", "");
    upstream
        .write_all(format!("{origin}\r\n{headers}").as_bytes())
        .await?;
    tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

/// A server whose model is at `base_url`, with these variables in its environment.
async fn server(base_url: &str, env: &[(&str, String)]) -> Server {
    let config = format!(
        "{WITHOUT_LIMITS}\n[models]\ndefault = \"mock/m\"\n\n[[models.providers]]\nname = \"mock\"\nkind = \"openai\"\n\
         base_url = \"{base_url}\"\nmodels = [\"m\"]\n"
    );
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Server::start(Options {
        env: env.collect(),
        ..Options::config(config)
    })
    .await
}

#[tokio::test]
async fn a_model_without_tls_is_asked_through_the_proxy() {
    let model = ModelServer::start().await;
    let proxy = ForwardProxy::start(model.address).await;
    let env = [("HTTP_PROXY", format!("http://user:pass@{}", proxy.address))];
    let server = server("http://model.test/v1", &env).await;
    let body = json!({ "message": "ECHO one" });
    assert_eq!(server.post("/v1/chat", &body).await.ok()["content"], "one");
    let expected = Request {
        line: "POST http://model.test/v1/chat/completions HTTP/1.1".to_owned(),
        credentials: Some(CREDENTIALS.to_owned()),
        tunnelled: None,
    };
    let seen = proxy.seen();
    let chat = seen.iter().find(|request| request.line.starts_with("POST"));
    assert_eq!(chat, Some(&expected));
}

#[tokio::test]
async fn a_model_with_tls_is_asked_through_a_tunnel() {
    let model = ModelServer::start().await;
    let proxy = ForwardProxy::start(model.address).await;
    let env = [("HTTPS_PROXY", format!("http://user:pass@{}", proxy.address))];
    let server = server("https://model.test/v1", &env).await;
    let body = json!({ "message": "ECHO one" });
    let refused = server.post("/v1/chat", &body).await.with_status(503);
    assert!(!refused.text.contains("pass"), "{refused:?}");
    let seen = proxy.seen();
    let tunnel = seen.first().unwrap();
    assert_eq!(tunnel.line, "CONNECT model.test:443 HTTP/1.1");
    assert_eq!(tunnel.credentials.as_deref(), Some(CREDENTIALS));
    let handshake = 0x16;
    assert_eq!(tunnel.tunnelled, Some(handshake));
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn a_model_on_this_machine_is_asked_directly() {
    let model = ModelServer::start().await;
    let proxy = ForwardProxy::start(model.address).await;
    let through = format!("http://{}", proxy.address);
    let local = format!("http://{}/v1", model.address);
    let server = server(&local, &[("ALL_PROXY", through)]).await;
    let body = json!({ "message": "ECHO one" });
    assert_eq!(server.post("/v1/chat", &body).await.ok()["content"], "one");
    assert_eq!(proxy.seen(), []);
}
