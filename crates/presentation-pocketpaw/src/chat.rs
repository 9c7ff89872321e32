//! Talking to the agent: whole answers, streams, and the end of both.

mod dto;
mod events;
pub(crate) mod media;

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::Caller;
use majordomo_application::chat::{SendMessage, WhenBusy};
use majordomo_presentation_http::openapi::{Body, OptionalBody, Params, Reply, Sse};
use majordomo_presentation_http::run_events::{
    ResumeAt, ResumeFrom, RunPosition, live_frames, replayed_frames,
};
use majordomo_presentation_http::session_id::session_id;
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Location, Services};
use paperclip::actix::api_v2_operation;

use crate::fails::Fails;
use crate::wire::{fault, wire_id};
pub(crate) use dto::UsageResponse;
use dto::{ChatRequest, ChatResponse, StopParams, StopResponse};
use events::{StreamEvent, render};

/// Answers with the events of a run after a place in it.
async fn replay(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    place: RunPosition,
) -> Result<Fails<Sse<StreamEvent>, 404>, ApiError> {
    let chat = Arc::clone(&services.chat);
    let run = kernel
        .core()
        .run(async move { chat.watch(&caller, &place.run, place.after).await })
        .await?;
    let frames = replayed_frames(kernel.core(), run, render);
    Ok(Fails(Sse::new(frames)))
}

fn body_missing() -> ApiError {
    fault(Location::Body, "", "missing", "Field required")
}

/// POST /api/v1/chat: says something and waits for the whole answer
#[api_v2_operation(tags(Chat), operation_id = "chat")]
pub(crate) async fn chat(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<ChatRequest>,
) -> Result<Reply<ChatResponse>, ApiError> {
    let (message, ignored) = body.0.into_message(WhenBusy::Queue)?;
    let chat = Arc::clone(&services.chat);
    let reply = kernel
        .core()
        .run_here(async move { chat.ask(&caller, message).await })
        .await?;
    Ok(Reply(ChatResponse::of(reply, ignored)?))
}

/// POST /api/v1/chat/stream: says something and streams the answer; what runs in the session is stopped first
///
/// With a `Last-Event-ID` nothing is said: the stream of that run goes on.
#[api_v2_operation(tags(Chat), operation_id = "stream_chat")]
pub(crate) async fn stream_chat(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    resume: ResumeFrom,
    body: OptionalBody<ChatRequest>,
) -> Result<Fails<Sse<StreamEvent>, 404>, ApiError> {
    if let Some(place) = resume.0 {
        return replay(&kernel, &services, caller, place).await;
    }
    let body = body.0.ok_or_else(body_missing)?;
    let (message, _ignored): (SendMessage, _) = body.into_message(WhenBusy::Replace)?;
    let chat = Arc::clone(&services.chat);
    let turn = kernel
        .core()
        .run_here(async move { chat.send(&caller, message).await })
        .await?;
    Ok(Fails(Sse::new(live_frames(turn.into_events(), render))))
}

/// GET /api/v1/chat/stream: goes on with the stream of a run, live or ended
#[api_v2_operation(tags(Chat), operation_id = "resume_chat")]
pub(crate) async fn resume_chat(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    place: ResumeAt,
) -> Result<Fails<Sse<StreamEvent>, 404>, ApiError> {
    replay(&kernel, &services, caller, place.0).await
}

/// POST /api/v1/chat/stop: stops what runs and waits in a session; what was said is kept
#[api_v2_operation(tags(Chat), operation_id = "stop_chat")]
pub(crate) async fn stop_chat(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<StopParams>,
) -> Result<Fails<Fails<Reply<StopResponse>, 400>, 404>, ApiError> {
    let id = params.0.into_session()?;
    let (chat, session) = (Arc::clone(&services.chat), id.clone());
    kernel
        .core()
        .run(async move { chat.stop(&caller, &session) })
        .await?;
    Ok(Fails(Fails(Reply(StopResponse {
        status: "ok",
        session_id: wire_id(&id),
    }))))
}

/// The session a client names; none begins a new one.
fn named_session(text: Option<&str>) -> Result<Option<majordomo_domain::SessionId>, ApiError> {
    text.filter(|text| !text.is_empty())
        .map(|text| session_id(Location::Body, "session_id", text))
        .transpose()
}
