//! `majordomo doctor proxy URL`: asks the server through its reverse proxies what it sees, and explains it.

mod explain;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use majordomo_application::ports::MasterTokenStore as _;
use majordomo_infrastructure_system::FileMasterTokenStore;
use reqwest::header::{AUTHORIZATION, CONNECTION, ORIGIN, UPGRADE};
use reqwest::{Client, Response, StatusCode, Url};

use super::finding::Finding;
use crate::cli::context::{CliError, Context};
use explain::{Report, explain};

/// Longest wait for one answer through all proxies.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Longest answer that is read: the server's are a few kilobytes.
const MAX_ANSWER: usize = 256 * 1024;

/// The address that a client claims for itself; TEST-NET-3 of RFC 5737, where nobody is.
const CLAIMED: &str = "203.0.113.99";

/// The first and the last event of the test stream are sent 400 ms apart; held back, they come together.
const SPREAD: Duration = Duration::from_millis(200);

/// What to ask, and as whom.
#[derive(Args)]
pub(super) struct ProxyArgs {
    /// Address under which clients reach the server: `https://example.org` or `https://example.org/majordomo`
    url: Url,
    /// File that holds a token or API key with the scope `admin` [default: the master token of the data folder]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Asks and explains. What cannot be asked is a finding, too.
pub(super) async fn examine(context: &Context, args: &ProxyArgs) -> Result<Vec<Finding>, CliError> {
    let probe = Probe {
        client: client()?,
        base: args.url.as_str().trim_end_matches('/').to_owned(),
        origin: args.url.origin().ascii_serialization(),
        token: token(context, args).await?,
    };
    Ok(match probe.report().await {
        Err(finding) => vec![finding],
        Ok(report) => {
            let mut findings = explain(&args.url, &report, CLAIMED);
            findings.push(probe.stream().await);
            findings.push(probe.socket().await);
            findings
        }
    })
}

fn client() -> Result<Client, CliError> {
    // The client wants a TLS provider even for plain HTTP; that one is installed already is no failure.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(TIMEOUT)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| CliError::Other(error.to_string()))
}

async fn token(context: &Context, args: &ProxyArgs) -> Result<String, CliError> {
    if let Some(file) = &args.token_file {
        let text = tokio::fs::read_to_string(file)
            .await
            .map_err(|error| CliError::Other(format!("{}: {error}", file.display())))?;
        return Ok(text.trim().to_owned());
    }
    let store = FileMasterTokenStore::new(&context.data_dir);
    match store.load().await {
        Ok(Some(token)) => Ok(token),
        _ => Err(CliError::Other(
            "no master token in the data folder; name a file with --token-file".to_owned(),
        )),
    }
}

/// Asks through the proxies.
struct Probe {
    client: Client,
    base: String,
    origin: String,
    token: String,
}

impl Probe {
    /// What the server sees of a request in which the client claims another address.
    async fn report(&self) -> Result<Report, Finding> {
        let request = self
            .client
            .get(format!("{}/api/v1/diagnostics/proxy", self.base))
            .bearer_auth(&self.token)
            .header("X-Forwarded-For", CLAIMED)
            .header("Forwarded", format!("for={CLAIMED}"))
            .timeout(TIMEOUT);
        let response = request.send().await.map_err(|error| {
            Finding::bad(
                "address",
                format!("{} does not answer: {}", self.base, reason(error)),
                "check the name, the port, the certificate and that the proxy runs",
            )
        })?;
        let status = response.status();
        let body = read(response).await;
        if status.is_success()
            && let Some(report) = body.and_then(|body| serde_json::from_slice(&body).ok())
        {
            return Ok(report);
        }
        Err(refusal(status))
    }

    /// Whether events come one by one.
    async fn stream(&self) -> Finding {
        const SUBJECT: &str = "streams";
        let failed = |says: String| {
            Finding::bad(
                SUBJECT,
                says,
                "let the proxy pass text/event-stream on without a limit of its own",
            )
        };
        let request = self
            .client
            .get(format!("{}/api/v1/diagnostics/proxy/stream", self.base))
            .bearer_auth(&self.token)
            .timeout(TIMEOUT);
        let mut response = match request.send().await {
            Ok(response) if response.status().is_success() => response,
            Ok(response) => return failed(format!("answered with {}", response.status())),
            Err(error) => return failed(reason(error)),
        };
        let mut first = None;
        let mut last = Instant::now();
        loop {
            match response.chunk().await {
                Ok(Some(_)) => {
                    last = Instant::now();
                    first.get_or_insert(last);
                }
                Ok(None) => break,
                Err(error) => return failed(reason(error)),
            }
        }
        let spread = first.map_or(Duration::ZERO, |first| {
            last.saturating_duration_since(first)
        });
        if spread >= SPREAD {
            Finding::good(SUBJECT, "events pass one by one")
        } else {
            Finding::bad(
                SUBJECT,
                "events are held back and come in one lump",
                "nginx: proxy_buffering off; Caddy: flush_interval -1; switch compression of text/event-stream off",
            )
        }
    }

    /// Whether a page of the public address can open a WebSocket.
    async fn socket(&self) -> Finding {
        const SUBJECT: &str = "sockets";
        let request = self
            .client
            .get(format!("{}/ws", self.base))
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(ORIGIN, &self.origin)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header("Sec-WebSocket-Version", "13")
            // Any 16 bytes do; the answer is not used as a socket.
            .header("Sec-WebSocket-Key", "bWFqb3Jkb21vLWRvY3Rvcg==")
            .timeout(TIMEOUT);
        match request.send().await.map(|response| response.status()) {
            Ok(StatusCode::SWITCHING_PROTOCOLS) => Finding::good(SUBJECT, "WebSockets open"),
            Ok(StatusCode::FORBIDDEN) => Finding::bad(
                SUBJECT,
                format!("pages of {} may not open WebSockets", self.origin),
                format!("set server.public_url = \"{}\"", self.base),
            ),
            Ok(status) => Finding::bad(
                SUBJECT,
                format!("the upgrade to a WebSocket is answered with {status}"),
                "nginx: proxy_http_version 1.1 and pass Upgrade and Connection on (docs/deploy/nginx.conf)",
            ),
            Err(error) => Finding::bad(SUBJECT, reason(error), "let the proxy pass upgrades on"),
        }
    }
}

/// The cause, without the address, which the finding names itself.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// The body, unless it is too long or breaks off.
async fn read(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return None;
        }
    }
    Some(body)
}

/// Why there is no report.
fn refusal(status: StatusCode) -> Finding {
    let (says, remedy) = match status {
        StatusCode::UNAUTHORIZED => (
            "the token is refused".to_owned(),
            "let the proxy pass the Authorization header on; if it does, name a token of this server with --token-file",
        ),
        StatusCode::FORBIDDEN => (
            "the token may not ask".to_owned(),
            "use the master token or an API key with the scope admin",
        ),
        StatusCode::NOT_FOUND => (
            "no Majordomo answers under this path".to_owned(),
            "send this path to Majordomo; when it is shown under a path, set server.public_url with that path",
        ),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            (
                format!("the proxy answers with {status}"),
                "start the server, and check the address the proxy sends requests to",
            )
        }
        status if status.is_redirection() => (
            "the proxy sends clients elsewhere".to_owned(),
            "give the address it redirects to",
        ),
        status => (
            format!("what answers ({status}) is not Majordomo"),
            "check the address",
        ),
    };
    Finding::bad("address", says, remedy)
}
