//! What the server sees of the way a request came: `majordomo doctor proxy` asks, and explains it.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HOST;
use actix_web::web::Data;
use futures_util::{Stream, StreamExt as _, stream};
use majordomo_application::Caller;
use majordomo_domain::Scope;
use majordomo_presentation_http::auth::is_forwarding_header;
use majordomo_presentation_http::openapi::{Reply, Sse};
use majordomo_presentation_http::sse::Frame;
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, RequestContext};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

/// Most forwarding headers that are told; more are a client's joke.
const MAX_HEADERS: usize = 32;

/// Longest part of a header's value that is told, in characters.
const MAX_VALUE: usize = 512;

/// Events of the test stream.
const TICKS: u32 = 3;

/// Time between two of them: longer than any network delays one and not the other.
const TICK: Duration = Duration::from_millis(200);

/// How a request came here.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProxyReport {
    /// Every machine from the one that connected to the one taken for the client.
    hops: Vec<HopResponse>,
    /// The address taken for the client's: what limits and key restrictions go by.
    client: Option<String>,
    /// The header that trusted proxies are believed in.
    address_header: String,
    /// Whether the client is taken to speak HTTPS, so that cookies are `Secure`.
    https: bool,
    /// The `Host` that came here.
    host: Option<String>,
    /// The server's public origin, as configured.
    public_origin: Option<String>,
    /// The path under which the server is shown, as configured; empty for none.
    base_path: String,
    /// Whether that path came here: the proxy has not taken it off.
    base_path_received: bool,
    /// Every header that proxies set.
    forwarding_headers: Vec<HeaderResponse>,
}

/// One machine on the way.
#[derive(Debug, Serialize, JsonSchema)]
struct HopResponse {
    /// Its address.
    address: String,
    /// Whether `server.trusted_proxies` holds it.
    trusted: bool,
}

/// One header.
#[derive(Debug, Serialize, JsonSchema)]
struct HeaderResponse {
    /// Its name, in small letters.
    name: String,
    /// Its value, shortened.
    value: String,
}

/// One event of the test stream.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tick {
    /// Its number, from 1.
    tick: u32,
}

/// Addresses of the machines in front of the server are the operator's business.
fn is_operator(caller: &Caller) -> Result<(), ApiError> {
    caller.require(Scope::Admin).map_err(ApiError::from)
}

/// GET /api/v1/diagnostics/proxy: how this request came here, proxy by proxy
#[api_v2_operation(tags(System), operation_id = "diagnose_proxy")]
pub(crate) async fn diagnose_proxy(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    context: RequestContext,
    request: HttpRequest,
) -> Result<Reply<ProxyReport>, ApiError> {
    is_operator(&caller)?;
    let headers = request.headers();
    let proxies = kernel.trusted_proxies();
    let hops = request
        .peer_addr()
        .map(|peer| proxies.hops(peer.ip(), headers))
        .unwrap_or_default();
    let text = |value: &[u8]| -> String {
        String::from_utf8_lossy(value)
            .chars()
            .take(MAX_VALUE)
            .collect()
    };
    Ok(Reply(ProxyReport {
        hops: hops
            .into_iter()
            .map(|hop| HopResponse {
                address: hop.address.to_string(),
                trusted: hop.trusted,
            })
            .collect(),
        client: context.client.map(|address| address.to_string()),
        address_header: proxies.header().name().to_string(),
        https: context.https,
        host: headers.get(HOST).map(|host| text(host.as_bytes())),
        public_origin: kernel.allowed_origins().own().map(str::to_owned),
        base_path: kernel.mounts().base().as_str().to_owned(),
        base_path_received: context.under_base,
        forwarding_headers: headers
            .iter()
            .filter(|(name, _)| is_forwarding_header(name))
            .take(MAX_HEADERS)
            .map(|(name, value)| HeaderResponse {
                name: name.to_string(),
                value: text(value.as_bytes()),
            })
            .collect(),
    }))
}

/// GET /api/v1/diagnostics/proxy/stream: three events, a fifth of a second apart, to see whether proxies hold them back
#[api_v2_operation(tags(System), operation_id = "diagnose_proxy_stream")]
pub(crate) async fn diagnose_proxy_stream(
    Authenticated(caller): Authenticated,
) -> Result<Sse<Tick>, ApiError> {
    is_operator(&caller)?;
    Ok(Sse::new(ticks()))
}

fn ticks() -> impl Stream<Item = Frame> {
    stream::iter(1..=TICKS).then(|tick| async move {
        if tick > 1 {
            actix_web::rt::time::sleep(TICK).await;
        }
        Frame::json(&Tick { tick }).event("tick")
    })
}
