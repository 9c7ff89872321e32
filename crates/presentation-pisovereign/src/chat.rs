//! Talking to the agent: a whole answer, or its pieces as they come.

mod dto;
mod frames;

use actix_web::web;
use majordomo_presentation_http::openapi::{Body, Reply, Sse};
use majordomo_presentation_http::run_events::{live_frames, replayed_frames};
use majordomo_presentation_http::{
    ApiError, Authenticated, Kernel, ResumeAt, ResumeFrom, RunPosition, Services,
};
use paperclip::actix::api_v2_operation;

use dto::{ChatRequest, ChatResponse};
use frames::{StreamPayload, render};

/// POST /v1/chat: Send a chat message
///
/// Answers when the answer is whole and stored. A message to a conversation in which one is being answered waits for its
/// turn.
#[api_v2_operation(tags(Chat), operation_id = "chat")]
pub(crate) async fn chat(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    body: Body<ChatRequest>,
) -> Result<Reply<ChatResponse>, ApiError> {
    let message = body.0.into_message()?;
    let answer = async move { services.chat.ask(&caller, message).await };
    let reply = kernel.core().run_here(answer).await?;
    Ok(Reply(ChatResponse::try_from(reply)?))
}

/// POST /v1/chat/stream: Send a chat message and stream the answer
///
/// Events: `recalled` with `{"memories"}` where the prompt quotes some, `message` with `{"delta"}`, then `done` with
/// `{"tokens","conversation_id","id","model"}`, or `error` with `{"code","message","request_id"}`. Every event has an id; a
/// request with the last one in `Last-Event-ID` gets the rest of that answer, and its body is not sent to the agent again.
#[api_v2_operation(tags(Chat), operation_id = "chat_stream")]
pub(crate) async fn stream_chat(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    resume: ResumeFrom,
    body: Body<ChatRequest>,
) -> Result<Sse<StreamPayload<'static>>, ApiError> {
    if let Some(position) = resume.0 {
        return resume_at(Authenticated(caller), services, &kernel, position).await;
    }
    let message = body.0.into_message()?;
    let turn = async move { services.chat.send(&caller, message).await };
    let turn = kernel.core().run_here(turn).await?;
    Ok(Sse::new(live_frames(turn.into_events(), render)))
}

/// GET /v1/chat/stream: Go on with the stream of an answer
///
/// For `EventSource`, which cannot send bodies: gives the events of a run after the one named, stored ones first.
#[api_v2_operation(tags(Chat), operation_id = "chat_stream_resume")]
pub(crate) async fn resume_chat_stream(
    caller: Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    place: ResumeAt,
) -> Result<Sse<StreamPayload<'static>>, ApiError> {
    resume_at(caller, services, &kernel, place.0).await
}

async fn resume_at(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: &Kernel,
    RunPosition { run, after }: RunPosition,
) -> Result<Sse<StreamPayload<'static>>, ApiError> {
    let events = async move { services.chat.watch(&caller, &run, after).await };
    let events = kernel.core().run(events).await?;
    Ok(Sse::new(replayed_frames(kernel.core(), events, render)))
}
