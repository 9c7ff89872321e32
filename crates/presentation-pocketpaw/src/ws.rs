//! The WebSocket of `PocketPaw`'s clients, at three equal paths. One task for each connection: it reads actions, shows the
//! runs they start, and holds next to nothing while it is idle.
//!
//! A connection speaks one of two protocols. The dashboard's (`{"action": "chat", "message": ...}`) is answered with
//! `stream_start`, `message`, `system_event` and `stream_end`; the documented one (`{"type": "chat", "content": ...}`)
//! with `chunk`, `thinking`, `tool_start`, `tool_result`, `error` and `stream_end`. `?protocol=dashboard` or
//! `?protocol=documented` decides, else the first chat message; until then runs are shown as the dashboard knows them.
//! Frames of a run carry `session_id`, `run_id` and `seq`. `{"action": "resume", "run_id", "after"}`, or
//! `?resume_run=&after=`, shows the frames after a `seq` again, the very same bytes.

mod action;
mod connection;
mod frame;
mod incoming;
mod outgoing;
mod perform;
mod render;
mod watch;

use std::time::Duration;

use actix_http::ws::handshake;
use actix_web::body::MessageBody as _;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use actix_web::web::{self, Data, Payload, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use majordomo_domain::{RunId, Scope};
use majordomo_presentation_http::auth::presented;
use majordomo_presentation_http::run_events::RunPosition;
use majordomo_presentation_http::session_id::session_id;
use majordomo_presentation_http::{
    ApiError, Authenticated, ErrorClass, Kernel, Location, RequestContext, Services,
};
use serde::Deserialize;

use action::Action;
use connection::Connection;
use incoming::Incoming;
use outgoing::pipe;
use perform::Context;
use render::Style;
pub(crate) use render::system_events;

/// How the server finds out that a client is gone. Another than the usual one is given as `app_data(Data::new(..))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketTiming {
    /// How often the client is pinged.
    pub ping_interval: Duration,
    /// After how long without a word from the client, and without room for one to it, the connection is given up.
    pub silence: Duration,
}

impl Default for SocketTiming {
    /// A ping every 30 seconds, given up after 90.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(30),
            silence: Duration::from_secs(90),
        }
    }
}

/// The three paths. They must be registered before the scopes `/api/v1` and `/v1`: scopes do not fall through.
pub fn configure(config: &mut ServiceConfig) {
    for path in ["/ws", "/api/v1/ws", "/v1/ws"] {
        config.service(web::resource(path).route(web::get().to(open_socket)));
    }
}

/// What a client asks for when it connects. The credential, which may stand in the query too, is the kernel's to read.
#[derive(Debug, Default, Deserialize)]
struct SocketQuery {
    resume_session: Option<String>,
    resume_run: Option<String>,
    after: Option<String>,
    protocol: Option<String>,
}

impl SocketQuery {
    /// The protocol that the client names.
    fn style(&self) -> Result<Option<Style>, ApiError> {
        match self.protocol.as_deref() {
            None | Some("") => Ok(None),
            Some("dashboard") => Ok(Some(Style::Dashboard)),
            Some("documented") => Ok(Some(Style::Documented)),
            Some(_) => Err(bad_request("protocol is neither dashboard nor documented")),
        }
    }

    /// The place in a run to go on from; an unreadable one is refused.
    fn position(&self) -> Result<Option<RunPosition>, ApiError> {
        let Some(run) = self.resume_run.as_deref().filter(|run| !run.is_empty()) else {
            return Ok(None);
        };
        let run = RunId::parse(run).map_err(|_| bad_request("resume_run names no run"))?;
        let after = match self.after.as_deref() {
            None | Some("") => 0,
            Some(after) => after
                .parse()
                .map_err(|_| bad_request("after is not a number"))?,
        };
        Ok(Some(RunPosition { run, after }))
    }
}

fn bad_request(words: &str) -> ApiError {
    ApiError::of(ErrorClass::Malformed)
        .with_status(StatusCode::BAD_REQUEST)
        .with_message(words)
}

/// GET /ws: opens a WebSocket; also GET /api/v1/ws and GET /v1/ws
async fn open_socket(
    Authenticated(caller): Authenticated,
    request: HttpRequest,
    body: Payload,
    facts: RequestContext,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let origins = kernel.allowed_origins();
    if !origins.allows_socket(request.headers(), request.uri()) {
        return Err(ApiError::of(ErrorClass::Forbidden)
            .with_message("This origin may not open a WebSocket"));
    }
    caller.require(Scope::Chat)?;
    let query = Query::<SocketQuery>::from_query(request.query_string())
        .map_err(|_| bad_request("The query could not be read"))?
        .into_inner();
    let (position, style) = (query.position()?, query.style()?);
    let resumed = query
        .resume_session
        .as_deref()
        .filter(|id| !id.is_empty())
        .map(|id| session_id(Location::Query, "resume_session", id))
        .transpose()?;
    let (session, resumes) = match resumed {
        Some(session) => (session, true),
        None => (services.chat.reserve_session(&caller)?, false),
    };
    let mut response =
        handshake(request.head()).map_err(|_| bad_request("Expected a WebSocket handshake"))?;
    if let Some(protocol) = credential_protocol(request.headers()) {
        response.insert_header((SEC_WEBSOCKET_PROTOCOL, protocol));
    }
    let (writer, outgoing) = pipe();
    let response = response
        .message_body(outgoing.boxed())
        .map_err(|_| ApiError::of(ErrorClass::Internal))?;
    let timing = request
        .app_data::<Data<SocketTiming>>()
        .map_or_else(SocketTiming::default, |timing| ***timing);
    let context = Context {
        presented: presented(&kernel, &request),
        source: facts.source(),
        kernel,
        services,
    };
    let opening = Action::Open {
        history: resumes,
        position,
    };
    let incoming = Incoming::new(body.into_inner());
    let mut connection =
        Connection::new(context, writer, incoming, session, timing).speaking(style);
    connection.open(opening);
    actix_web::rt::spawn(async move { connection.run().await });
    Ok(response.into())
}

/// The subprotocol that carries the client's credential. It is named in the answer, as browsers demand of one of those
/// they offered.
fn credential_protocol(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .find(|item| item.starts_with("pp_") || item.starts_with("ppat_"))
}
