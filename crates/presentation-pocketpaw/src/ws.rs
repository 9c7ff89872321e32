//! The WebSocket of `PocketPaw`'s clients, at three equal paths. One task for each connection: it reads actions, shows the
//! runs they start, and holds next to nothing while it is idle.
//!
//! A connection speaks one of two protocols. The dashboard's (`{"action": "chat", "message": ...}`) is answered with
//! `stream_start`, `message`, `system_event` and `stream_end`; the documented one (`{"type": "chat", "content": ...}`)
//! with `chunk`, `thinking`, `tool_start`, `tool_result`, `error` and `stream_end`. The first chat message decides.
//! Frames of a run carry `session_id`, `run_id` and `seq`. `{"action": "resume", "run_id", "after"}`, or
//! `?resume_run=&after=`, shows the frames after a `seq` again, the very same bytes.

mod action;
mod connection;
mod frame;
mod guard;
mod perform;
mod render;
mod watch;
mod writer;

use std::pin::Pin;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use actix_web::web::{self, Data, Payload, Query, ServiceConfig};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, dev};
use bytes::Bytes;
use futures_util::Stream;
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
use guard::FrameGuard;
use perform::Context;

/// The body of a request, as the framework takes one that was wrapped.
type BoxedPayloadStream = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// Longest message a client may send, in bytes: room for pictures.
const MAX_MESSAGE: usize = 10 * 1024 * 1024;

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
}

impl SocketQuery {
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
    let position = query.position()?;
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
    let protocols: Vec<&str> = credential_protocol(request.headers()).into_iter().collect();
    let guarded = FrameGuard::new(body.into_inner(), MAX_MESSAGE);
    let mut guarded = dev::Payload::Stream {
        payload: Box::pin(guarded) as BoxedPayloadStream,
    };
    let body = Payload::from_request(&request, &mut guarded)
        .await
        .map_err(|_| ApiError::of(ErrorClass::Internal))?;
    let (response, sink, messages) = actix_ws::handle_with_protocols(&request, body, &protocols)
        .map_err(|_| bad_request("Expected a WebSocket handshake"))?;
    let timing = request
        .app_data::<Data<SocketTiming>>()
        .map_or_else(SocketTiming::default, |timing| ***timing);
    let context = Context {
        presented: presented(&kernel, &request),
        client: facts.client,
        kernel,
        services,
    };
    let messages = messages
        .max_frame_size(MAX_MESSAGE)
        .aggregate_continuations()
        .max_continuation_size(MAX_MESSAGE);
    let opening = Action::Open {
        history: resumes,
        position,
    };
    let connection = Connection::new(context, sink, messages, session, timing);
    actix_web::rt::spawn(connection.run(opening));
    Ok(response)
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
