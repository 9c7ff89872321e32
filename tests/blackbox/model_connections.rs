//! The ways to a model: with TLS, through the proxy of an office, and straight.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::crypto::ring;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::harness::{ModelServer, Options, Server, WITHOUT_LIMITS};

/// `user:pass` in the form of a header.
const CREDENTIALS: &str = "Basic dXNlcjpwYXNz";

/// A model server's door with TLS, for `localhost` and `model.test`. It ends with this value.
struct TlsDoor {
    address: SocketAddr,
    /// The certificate that clients have to trust.
    certificate: NamedTempFile,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TlsDoor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsDoor {
    async fn to(model: SocketAddr) -> Self {
        let names = ["localhost".to_owned(), "model.test".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = NamedTempFile::new().unwrap();
        std::fs::write(certificate.path(), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_der();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.try_into().unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut upstream = TcpStream::connect(model).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut upstream).await
                });
            }
        });
        Self {
            address,
            certificate,
            task,
        }
    }

    /// What a server's environment needs to trust it.
    fn trusted(&self) -> (&'static str, String) {
        let path = self.certificate.path().to_str().unwrap();
        ("SSL_CERT_FILE", path.to_owned())
    }
}

/// A proxy to which every host is one model server. It ends with this value.
struct ForwardProxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

/// The head of a request to the proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Request {
    line: String,
    credentials: Option<String>,
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ForwardProxy {
    async fn to(model: SocketAddr) -> Self {
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
    let request = Request {
        line: line.to_owned(),
        credentials,
    };
    seen.lock().unwrap().push(request);
    let mut upstream = TcpStream::connect(model).await?;
    if line.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    } else {
        let origin = line.replace("http://model.test", "");
        let head = format!("{origin}\r\n{headers}");
        upstream.write_all(head.as_bytes()).await?;
    }
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

/// What a server says that is asked through `/v1/chat`.
async fn answer(server: &Server) -> String {
    let body = json!({ "message": "ECHO one" });
    let answer = server.post("/v1/chat", &body).await.ok();
    answer["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_model_with_tls_is_asked() {
    let model = ModelServer::start().await;
    let door = TlsDoor::to(model.address).await;
    let base_url = format!("https://localhost:{}/v1", door.address.port());
    let server = server(&base_url, &[door.trusted()]).await;
    assert_eq!(answer(&server).await, "one");
}

#[tokio::test]
async fn a_model_that_nobody_vouches_for_is_not_asked() {
    let model = ModelServer::start().await;
    let door = TlsDoor::to(model.address).await;
    let other = TlsDoor::to(model.address).await;
    let base_url = format!("https://localhost:{}/v1", door.address.port());
    let server = server(&base_url, &[other.trusted()]).await;
    let body = json!({ "message": "ECHO one" });
    server.post("/v1/chat", &body).await.with_status(503);
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn a_model_without_tls_is_asked_through_the_proxy() {
    let model = ModelServer::start().await;
    let proxy = ForwardProxy::to(model.address).await;
    let through = format!("http://user:pass@{}", proxy.address);
    let server = server("http://model.test/v1", &[("HTTP_PROXY", through)]).await;
    assert_eq!(answer(&server).await, "one");
    let expected = Request {
        line: "POST http://model.test/v1/chat/completions HTTP/1.1".to_owned(),
        credentials: Some(CREDENTIALS.to_owned()),
    };
    assert!(proxy.seen().contains(&expected), "{:?}", proxy.seen());
}

#[tokio::test]
async fn a_model_with_tls_is_asked_through_a_tunnel() {
    let model = ModelServer::start().await;
    let door = TlsDoor::to(model.address).await;
    let proxy = ForwardProxy::to(door.address).await;
    let through = format!("http://user:pass@{}", proxy.address);
    let env = [("HTTPS_PROXY", through), door.trusted()];
    let server = server("https://model.test/v1", &env).await;
    assert_eq!(answer(&server).await, "one");
    let expected = Request {
        line: "CONNECT model.test:443 HTTP/1.1".to_owned(),
        credentials: Some(CREDENTIALS.to_owned()),
    };
    assert!(proxy.seen().contains(&expected), "{:?}", proxy.seen());
}

#[tokio::test]
async fn a_model_on_this_machine_is_asked_directly() {
    let model = ModelServer::start().await;
    let proxy = ForwardProxy::to(model.address).await;
    let through = format!("http://{}", proxy.address);
    let base_url = format!("http://{}/v1", model.address);
    let server = server(&base_url, &[("ALL_PROXY", through)]).await;
    assert_eq!(answer(&server).await, "one");
    assert_eq!(proxy.seen(), []);
}
