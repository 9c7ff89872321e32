//! Reads the chunks of a streamed chat completion.

use majordomo_application::ports::{FinishReason, ModelError, ModelErrorKind};
use majordomo_domain::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{AnswerDecoder, Deltas};
use crate::failure::Failures;

/// Ends every stream of the protocol.
const DONE: &[u8] = b"[DONE]";

/// State of one answer.
pub(crate) struct OpenAiDecoder {
    failures: Failures,
    calls: Vec<Call>,
    finish: Option<FinishReason>,
}

/// A tool call seen so far.
struct Call {
    wire_index: Option<u64>,
    id: Option<String>,
    index: usize,
    has_arguments: bool,
}

impl OpenAiDecoder {
    pub(crate) const fn new(failures: Failures) -> Self {
        Self {
            failures,
            calls: Vec::new(),
            finish: None,
        }
    }

    fn delta(&mut self, delta: Delta, deltas: &mut Deltas) -> Result<(), ModelError> {
        // DeepSeek's and vLLM's name, then OpenRouter's; a server that sends both sends the same text twice.
        let reasoning = delta.reasoning_content.filter(|text| !text.is_empty());
        deltas.reasoning(reasoning.or(delta.reasoning).unwrap_or_default());
        deltas.text(delta.content.unwrap_or_default());
        deltas.text(delta.refusal.unwrap_or_default());
        for call in delta.tool_calls.unwrap_or_default() {
            self.tool_call(call, deltas)?;
        }
        Ok(())
    }

    fn tool_call(&mut self, delta: CallDelta, deltas: &mut Deltas) -> Result<(), ModelError> {
        let id = delta.id.filter(|id| !id.is_empty());
        let function = delta.function.unwrap_or_default();
        let position = self.position(delta.index, id.as_deref(), function.name.as_deref());
        let call = if let Some(call) = position.and_then(|at| self.calls.get_mut(at)) {
            call
        } else {
            let name = function.name.unwrap_or_default();
            let index = deltas.tool_call(id.clone(), name, &self.failures)?;
            self.calls.push(Call {
                wire_index: delta.index,
                id,
                index,
                has_arguments: false,
            });
            let Some(call) = self.calls.last_mut() else {
                return Ok(());
            };
            call
        };
        let fragment = function.arguments.unwrap_or_default();
        call.has_arguments |= !fragment.is_empty();
        deltas.arguments(call.index, fragment);
        Ok(())
    }

    /// The call that a fragment continues; `None` when it begins one. The index tells, but some servers leave it out or
    /// send 0 for every call, so another id begins another call too.
    fn position(&self, index: Option<u64>, id: Option<&str>, name: Option<&str>) -> Option<usize> {
        let position = match index {
            Some(_) => self.calls.iter().rposition(|call| call.wire_index == index),
            None if id.is_none() && name.is_some_and(|name| !name.is_empty()) => None,
            None => self.calls.len().checked_sub(1),
        }?;
        let known = self.calls.get(position)?.id.as_deref();
        (id.is_none() || known.is_none() || id == known).then_some(position)
    }

    fn finish_reason(&mut self, reason: &str) -> Result<(), ModelError> {
        self.finish = Some(match reason {
            "length" => FinishReason::Length,
            "tool_calls" | "function_call" => FinishReason::ToolCalls,
            "content_filter" => FinishReason::ContentFilter,
            "error" => {
                return Err(self
                    .failures
                    .error(ModelErrorKind::Unavailable, "the provider failed"));
            }
            // Servers have their own words for a normal end: `stop`, `eos`, `end_turn` ...
            _ => FinishReason::Stop,
        });
        Ok(())
    }

    fn complete(&mut self, reason: FinishReason, deltas: &mut Deltas) {
        if matches!(reason, FinishReason::Stop | FinishReason::ToolCalls) {
            for call in self.calls.iter().filter(|call| !call.has_arguments) {
                deltas.arguments(call.index, "{}".to_owned());
            }
        }
        deltas.finish(reason);
    }
}

impl AnswerDecoder for OpenAiDecoder {
    fn frame(&mut self, frame: &[u8], deltas: &mut Deltas) -> Result<(), ModelError> {
        if frame.trim_ascii() == DONE {
            let reason = self.finish.unwrap_or(FinishReason::Stop);
            self.complete(reason, deltas);
            return Ok(());
        }
        let chunk: Chunk =
            serde_json::from_slice(frame).map_err(|error| self.failures.undecodable(&error))?;
        if let Some(error) = chunk.error {
            return Err(self.failures.in_band(error));
        }
        // Only one choice is ever asked for.
        let choices = chunk.choices.unwrap_or_default().into_iter();
        for choice in choices.filter(|choice| choice.index == 0) {
            if let Some(delta) = choice.delta {
                self.delta(delta, deltas)?;
            }
            if let Some(reason) = choice.finish_reason {
                self.finish_reason(&reason)?;
            }
        }
        if let Some(usage) = chunk.usage {
            deltas.usage(usage.into());
        }
        Ok(())
    }

    fn end(&mut self, deltas: &mut Deltas) -> Result<(), ModelError> {
        // Some servers close without `[DONE]`; a finish reason says as much.
        let reason = self.finish.ok_or_else(|| self.failures.broke_off())?;
        self.complete(reason, deltas);
        Ok(())
    }
}

#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

/// Every text in here goes into a delta as it is, so owning it costs nothing that borrowing would save.
#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Deserialize)]
struct CallDelta {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Deserialize, Default)]
struct FunctionDelta {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    /// `DeepSeek`'s name for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(usage: WireUsage) -> Self {
        let details = usage.prompt_tokens_details;
        Self {
            input_tokens: usage.prompt_tokens.unwrap_or_default(),
            output_tokens: usage.completion_tokens.unwrap_or_default(),
            cached_input_tokens: details
                .and_then(|details| details.cached_tokens)
                .or(usage.prompt_cache_hit_tokens)
                .unwrap_or_default(),
        }
    }
}
