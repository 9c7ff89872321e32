//! A model whose provider speaks another protocol: the request is translated, and its answer too.

use std::sync::Arc;

use futures_util::StreamExt as _;
use majordomo_application::models::CompletionError;
use majordomo_application::ports::{ModelDelta, ModelError, ModelErrorKind, ModelStream};
use majordomo_domain::{ModelRef, ToolCall, Usage};
use majordomo_presentation_http::openapi::{OneOf, Raw, Reply, Sse};
use majordomo_presentation_http::{ApiError, sse};

use super::event_body::EventBody;
use super::joined::Joined;
use super::model_chunks::ModelChunks;
use super::request::ChatCompletionRequest;
use super::response::{ChatCompletion, Choice, Gathered};
use super::{Answer, Asked};

/// Longest answer that is gathered, in bytes: a model that never stops must not fill the memory.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// Most tool calls of an answer that are gathered.
const MAX_CALLS: usize = 128;

/// Asks `model`, which the request calls `name`. The caller's going away cancels it.
pub(super) async fn answer(
    asked: &Asked<'_>,
    model: ModelRef,
    name: &str,
    request: ChatCompletionRequest,
) -> Result<Answer, ApiError> {
    let id = format!("chatcmpl-{}", asked.context.id.simple());
    let created = asked.kernel.clock().now().as_secs();
    let (stream, include_usage) = (request.wants_stream(), request.include_usage());
    let request = request.into_model_request(&model.model)?;
    let completions = Arc::clone(&asked.services.completions);
    let caller = asked.caller.0.clone();
    let core = asked.kernel.core();
    let name = name.to_owned();
    if stream {
        let mut chunks = ModelChunks::new(id, created, name, include_usage);
        let deltas = completions.ask(&caller, &model, request).await?;
        let pieces = deltas.map(move |delta| match delta {
            Ok(delta) => Ok(chunks.render(delta)),
            Err(error) => Err(CompletionError::from(error).into()),
        });
        let body = EventBody::new(Joined::new(pieces), sse::KEEP_ALIVE);
        return Ok(OneOf::Second(Sse::from_response(sse::respond_with(body))));
    }
    let work = async move {
        let deltas = completions.ask(&caller, &model, request).await?;
        gather(deltas).await.map_err(CompletionError::from)
    };
    let (gathered, usage, finish_reason) = core.run_cancellable(work).await?;
    Ok(OneOf::First(Raw::from(Reply(ChatCompletion {
        id,
        object: "chat.completion",
        created,
        model: name,
        choices: [Choice::new(gathered, finish_reason)],
        usage: usage.into(),
    }))))
}

async fn gather(mut deltas: ModelStream) -> Result<(Gathered, Usage, &'static str), ModelError> {
    let malformed = |message| ModelError::new(ModelErrorKind::Malformed, message);
    let (mut gathered, mut usage, mut size) = (Gathered::default(), Usage::default(), 0_usize);
    while let Some(delta) = deltas.next().await {
        match delta? {
            ModelDelta::Text(text) => {
                size += text.len();
                gathered.text.push_str(&text);
            }
            ModelDelta::Reasoning(text) => {
                size += text.len();
                gathered.reasoning.push_str(&text);
            }
            ModelDelta::ToolCallStarted { id, name, .. } => {
                size += id.len() + name.len();
                gathered.calls.push(ToolCall {
                    id,
                    name,
                    arguments: String::new(),
                });
            }
            ModelDelta::ToolCallArguments { index, fragment } => {
                size += fragment.len();
                if let Some(call) = gathered.calls.get_mut(index) {
                    call.arguments.push_str(&fragment);
                }
            }
            ModelDelta::Usage(latest) => usage = latest,
            ModelDelta::Finish(reason) => return Ok((gathered, usage, reason.as_str())),
        }
        if size > MAX_ANSWER || gathered.calls.len() > MAX_CALLS {
            return Err(malformed("The model's answer is too long"));
        }
    }
    Err(malformed("The model's answer broke off"))
}
