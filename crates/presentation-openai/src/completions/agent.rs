//! The agent answers, in a stored session.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use majordomo_application::chat::{SendMessage, WhenBusy};
use majordomo_application::ports::ModelMessage;
use majordomo_domain::{Channel, RunOptions, SessionId};
use majordomo_presentation_http::openapi::{OneOf, Raw, Reply, Sse};
use majordomo_presentation_http::run_events::{live_frames, replayed_frames};
use majordomo_presentation_http::session_id::session_id;
use majordomo_presentation_http::{
    ApiError, Authenticated, Kernel, Location, RunPosition, Services, sse,
};

use super::input::{SESSION_HEADER, SessionHeader};
use super::request::ChatCompletionRequest;
use super::response::{ChatCompletion, Choice, Gathered, finish_reason};
use super::run_chunks::{agent_name, completion_id, failure, render, render_after};
use super::transcript::instructions;
use super::{Answer, Asked, Chunks};
use crate::error::{invalid_parameter, refine};

/// Gives the agent the last message of the request and waits for its answer, or streams it.
pub(super) async fn answer(
    asked: &Asked<'_>,
    model: Option<&str>,
    header: SessionHeader,
    request: ChatCompletionRequest,
) -> Result<Answer, ApiError> {
    let (stream, include_usage) = (request.wants_stream(), request.include_usage());
    let own_prompt = asked.services.chat.system_prompt(&asked.caller.0.user);
    let message = to_send(&own_prompt, model, header, request)?;
    let chat = Arc::clone(&asked.services.chat);
    let caller = asked.caller.0.clone();
    let core = asked.kernel.core();
    if stream {
        let turn = core
            .run_here(async move { chat.send(&caller, message).await })
            .await?;
        let session = turn.session.clone();
        let frames = live_frames(turn.into_events(), move |run, event| {
            render(run, event, include_usage)
        });
        let response = with_session(sse::respond(frames), &session);
        return Ok(OneOf::Second(Sse::from_response(response)));
    }
    let reply = core
        .run_here(async move { chat.ask(&caller, message).await })
        .await?;
    if let Some(failure) = failure(&reply.outcome) {
        return Err(failure.into_api_error());
    }
    let said = Gathered {
        text: reply.text,
        ..Gathered::default()
    };
    let completion = Reply::<_, 200>(ChatCompletion {
        id: completion_id(reply.run.as_str()),
        object: "chat.completion",
        created: reply.created_at.as_secs(),
        model: agent_name(model),
        choices: [Choice::new(said, finish_reason(&reply.outcome.reason))],
        usage: reply.outcome.usage.into(),
    });
    let response = with_session(completion.into_response(), &reply.session);
    Ok(OneOf::First(Raw::from(response)))
}

/// Goes on with the stream of a run after the last event the client has.
pub(super) async fn resume(
    services: &Services,
    kernel: &Kernel,
    Authenticated(caller): Authenticated,
    position: RunPosition,
    include_usage: bool,
) -> Result<Chunks, ApiError> {
    let RunPosition { run, after } = position;
    let chat = Arc::clone(&services.chat);
    let from = after.saturating_sub(1);
    let watched = async move { chat.watch(&caller, &run, from).await };
    let events = kernel.core().run(watched).await.map_err(refine)?;
    let session = events.run().session.clone();
    let frames = replayed_frames(kernel.core(), events, move |run, event| {
        render_after(run, event, include_usage, after)
    });
    let response = with_session(sse::respond(frames), &session);
    Ok(Sse::from_response(response))
}

fn with_session(mut response: HttpResponse, session: &SessionId) -> HttpResponse {
    // Identifiers are letters, digits and a few signs: always a header's value.
    if let Ok(value) = HeaderValue::from_str(session.as_str()) {
        let name = HeaderName::from_static(SESSION_HEADER);
        response.headers_mut().insert(name, value);
    }
    response
}

fn to_send(
    own_prompt: &str,
    model: Option<&str>,
    SessionHeader(header): SessionHeader,
    mut request: ChatCompletionRequest,
) -> Result<SendMessage, ApiError> {
    request.check_for_agent()?;
    let session = session_of(&request, header)?;
    let mut messages = request.take_messages()?;
    let last = messages.len().saturating_sub(1);
    let Some(ModelMessage::User { text, images }) = messages.pop() else {
        let field = format!("messages.{last}.role");
        let error = "the last message to the agent must be a user's";
        return Err(invalid_parameter(&field, "invalid_value", error));
    };
    let mut prompts = Vec::new();
    messages.retain_mut(|message| match message {
        ModelMessage::System(prompt) => {
            prompts.push(std::mem::take(prompt));
            false
        }
        _ => session.is_none(),
    });
    Ok(SendMessage {
        session,
        channel: Channel::Api,
        text,
        images,
        options: RunOptions {
            model: model.map(str::to_owned),
            system_prompt: instructions(own_prompt, &prompts, &messages),
            temperature: request.temperature(),
            max_tokens: request.max_tokens(),
        },
        when_busy: WhenBusy::Queue,
    })
}

/// The session the request names: in its metadata, in the header, or by who speaks.
fn session_of(
    request: &ChatCompletionRequest,
    header: Option<SessionId>,
) -> Result<Option<SessionId>, ApiError> {
    if let Some(text) = request.session_id() {
        return session_id(Location::Body, "metadata.session_id", text).map(Some);
    }
    if header.is_some() {
        return Ok(header);
    }
    let user = request.user.as_deref().filter(|user| !user.is_empty());
    user.map(session_of_user).transpose()
}

/// Each user has a session of their own: `openai-` and the user, in which characters that no identifier may hold stand
/// as `:` and two hexadecimal digits a byte.
fn session_of_user(user: &str) -> Result<SessionId, ApiError> {
    let mut id = String::from("openai-");
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@') {
            id.push(char::from(byte));
        } else {
            id.push(':');
            for digit in [byte >> 4, byte & 15] {
                id.extend(char::from_digit(u32::from(digit), 16));
            }
        }
    }
    SessionId::parse(id)
        .map_err(|_| invalid_parameter("user", "invalid_value", "is too long to name a session"))
}
