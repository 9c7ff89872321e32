//! Chat completions: the request is read as little as its model's name allows, and goes to the agent or to a model.

mod agent;
mod event_body;
mod input;
mod joined;
mod model;
mod model_chunks;
mod relay;
mod request;
mod response;
mod run_chunks;
mod transcript;

use majordomo_presentation_http::openapi::{OneOf, Params, Raw, Sse};
use majordomo_presentation_http::{
    ApiError, Authenticated, Kernel, RequestContext, ResumeAt, ResumeFrom, Services,
};
use paperclip::actix::{api_v2_operation, web};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::body::UnreadJson;
use crate::error::refine;
use crate::head::{Head, Target};
use input::SessionHeader;
use request::ChatCompletionRequest;
use response::{ChatCompletion, ChatCompletionChunk};

/// The whole answer as JSON, or its pieces as events.
pub(crate) type Answer = OneOf<Raw<ChatCompletion>, Chunks>;

/// The pieces of an answer, and `[DONE]`.
pub(crate) type Chunks = Sse<ChatCompletionChunk<'static>, true>;

/// What belongs to every request for a completion.
pub(crate) struct Asked<'a> {
    services: &'a Services,
    kernel: &'a Kernel,
    caller: Authenticated,
    context: RequestContext,
}

/// How a stream is to go on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct ResumeParams {
    /// Whether the stream ends with the tokens used, as `stream_options.include_usage` says in a request.
    #[serde(default)]
    include_usage: bool,
}

/// GET /v1/chat/completions: Goes on with the stream of one of the agent's answers.
///
/// `run` and `after` (or `Last-Event-ID`) name the last event received.
#[api_v2_operation(tags("Chat"), operation_id = "resume_chat_completion")]
pub(crate) async fn resume_chat_completion(
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    caller: Authenticated,
    place: ResumeAt,
    params: Params<ResumeParams>,
) -> Result<Chunks, ApiError> {
    agent::resume(&services, &kernel, caller, place.0, params.0.include_usage).await
}

/// POST /v1/chat/completions: Asks the agent or a model.
///
/// `majordomo` and `majordomo/<provider>/<model>` are the agent with its own tools: the last message is what it is
/// told. `metadata.session_id`, the header `X-Session-Id` or `user` name a stored session, whose history it knows;
/// without any of them a fresh one is begun, and earlier messages of the request are shown to it. The answer's
/// `X-Session-Id` names the session. Events of its streams have ids to resume with.
///
/// `<provider>/<model>` and bare model names ask that model, with the caller's own tools and without a session.
#[api_v2_operation(tags("Chat"), operation_id = "create_chat_completion")]
pub(crate) async fn create_chat_completion(
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    caller: Authenticated,
    context: RequestContext,
    resume: ResumeFrom,
    session: SessionHeader,
    body: UnreadJson<ChatCompletionRequest>,
) -> Result<Answer, ApiError> {
    let asked = Asked {
        services: &services,
        kernel: &kernel,
        caller,
        context,
    };
    answer(asked, resume, session, &body.bytes)
        .await
        .map_err(refine)
}

async fn answer(
    asked: Asked<'_>,
    resume: ResumeFrom,
    session: SessionHeader,
    body: &bytes::Bytes,
) -> Result<Answer, ApiError> {
    let head = Head::read(body)?;
    if let Some(position) = resume.0 {
        let include_usage = request::read(body)?.include_usage();
        let (services, kernel) = (asked.services, asked.kernel);
        let stream = agent::resume(services, kernel, asked.caller, position, include_usage);
        return stream.await.map(OneOf::Second);
    }
    if let Target::Agent { model } = head.target() {
        return agent::answer(&asked, model, session, request::read(body)?).await;
    }
    let named = asked
        .services
        .completions
        .find(&asked.caller.0, &head.model)?;
    if named.relays {
        relay::answer(&asked, named.model, &head).await
    } else {
        model::answer(&asked, named.model, &head.model, request::read(body)?).await
    }
}
