//! What happens in the caller's runs and on the server, as a stream.

mod position;

use actix_web::web::Data;
use futures_util::stream::{self, StreamExt as _};
use majordomo_application::events::{SystemEvent, SystemEventKind};
use majordomo_presentation_http::openapi::Sse;
use majordomo_presentation_http::sse::Frame;
use majordomo_presentation_http::{ApiError, Authenticated, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::budgets;
use crate::ws::system_events;
pub(crate) use position::EventPosition;

/// What a frame holds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum StreamFrame {
    /// The first one, named `connected`.
    Connected {
        /// Always `ok`.
        status: &'static str,
    },
    /// All others.
    Event(EventFrame),
}

/// An event; its name is also the name of the frame.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EventFrame {
    /// `agent_start`, `recalled`, `thinking`, `thinking_done`, `tool_start`, `tool_result`, `token_usage`, `error`,
    /// `agent_end`, `health_update`, `budget_warning` or `budget_exhausted`.
    event: &'static str,
    /// `session_key` names the session, `trace_id` the run; the rest depends on the event.
    data: Value,
}

/// The frames of an event. The last of them carries its id: who has seen fewer is told of it again.
fn frames(event: &SystemEvent) -> Vec<Frame> {
    let told = match &event.kind {
        SystemEventKind::Run { run, event } => system_events(run, &event.kind),
        SystemEventKind::Health(status) => {
            vec![("health_update", json!({ "status": status.as_str() }))]
        }
        SystemEventKind::Budget(status) => vec![budgets::event(status)],
    };
    let mut frames: Vec<Frame> = told
        .into_iter()
        .map(|(name, data)| {
            Frame::json(&StreamFrame::Event(EventFrame { event: name, data })).event(name)
        })
        .collect();
    if let Some(last) = frames.pop() {
        frames.push(last.id(event.id));
    }
    frames
}

/// GET /api/v1/events/stream: what happens in the caller's runs and on the server
///
/// Begins now, or after the event with the id in `Last-Event-ID`, as far as events are held.
#[api_v2_operation(tags(Events), operation_id = "stream_events")]
pub(crate) async fn stream_events(
    Authenticated(caller): Authenticated,
    services: Data<Services>,
    after: EventPosition,
) -> Result<Sse<StreamFrame>, ApiError> {
    let events = services.chat.listen(&caller, after.0)?;
    let connected = Frame::json(&StreamFrame::Connected { status: "ok" })
        .event("connected")
        .id(events.position());
    let told = events
        .into_stream()
        .flat_map(|event| stream::iter(frames(&event)));
    Ok(Sse::new(stream::iter([connected]).chain(told)))
}
