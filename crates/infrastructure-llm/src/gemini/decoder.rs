//! Reads the chunks of a streamed `generateContent`.

use majordomo_application::ports::{FinishReason, ModelError, ModelErrorKind};
use majordomo_domain::Usage;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::{AnswerDecoder, Deltas};
use crate::failure::Failures;

/// State of one answer.
pub(crate) struct GeminiDecoder {
    failures: Failures,
    finish: Option<FinishReason>,
}

impl GeminiDecoder {
    pub(crate) const fn new(failures: Failures) -> Self {
        Self {
            failures,
            finish: None,
        }
    }

    fn part(&self, part: Part, deltas: &mut Deltas) -> Result<(), ModelError> {
        let text = part.text.unwrap_or_default();
        if part.thought {
            deltas.reasoning(text);
        } else {
            deltas.text(text);
        }
        if let Some(call) = part.function_call {
            let index = deltas.tool_call(call.id, call.name, &self.failures)?;
            let arguments = call
                .args
                .map_or_else(|| "{}".to_owned(), |args| args.get().to_owned());
            deltas.arguments(index, arguments);
        }
        Ok(())
    }

    fn finish_reason(&self, reason: &str) -> Result<FinishReason, ModelError> {
        Ok(match reason {
            "MAX_TOKENS" => FinishReason::Length,
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => FinishReason::ContentFilter,
            "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => {
                return Err(self.failures.malformed("the model botched a tool call"));
            }
            _ => FinishReason::Stop,
        })
    }
}

impl AnswerDecoder for GeminiDecoder {
    fn frame(&mut self, frame: &[u8], deltas: &mut Deltas) -> Result<(), ModelError> {
        let chunk: Chunk =
            serde_json::from_slice(frame).map_err(|error| self.failures.undecodable(&error))?;
        if let Some(error) = chunk.error {
            return Err(self.failures.in_band(error));
        }
        if let Some(reason) = chunk.prompt_feedback.and_then(|f| f.block_reason) {
            let kind = ModelErrorKind::Refused;
            let what = format_args!("the request is refused ({})", constant_name(&reason));
            return Err(self.failures.error(kind, what));
        }
        // Only one candidate is ever asked for.
        if let Some(candidate) = chunk.candidates.unwrap_or_default().into_iter().next() {
            let parts = candidate.content.and_then(|content| content.parts);
            for part in parts.unwrap_or_default() {
                self.part(part, deltas)?;
            }
            if let Some(reason) = candidate.finish_reason {
                self.finish = Some(self.finish_reason(&reason)?);
            }
        }
        if let Some(usage) = chunk.usage_metadata {
            deltas.usage(usage.into());
        }
        Ok(())
    }

    /// The protocol has no last frame; the finish reason counts once the stream has ended.
    fn end(&mut self, deltas: &mut Deltas) -> Result<(), ModelError> {
        let reason = self.finish.ok_or_else(|| self.failures.broke_off())?;
        deltas.finish(reason);
        Ok(())
    }
}

/// The provider's constant, if it is one: it is shown.
fn constant_name(reason: &str) -> &str {
    let is_constant = reason.len() <= 40
        && reason
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if is_constant { reason } else { "OTHER" }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<WireUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    function_call: Option<Call>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    name: String,
    args: Option<Box<RawValue>>,
}

/// Thoughts are counted apart from the answer, cached tokens within the prompt.
#[derive(Deserialize)]
struct WireUsage {
    #[serde(default, rename = "promptTokenCount")]
    prompt: u64,
    #[serde(default, rename = "candidatesTokenCount")]
    candidates: u64,
    #[serde(default, rename = "thoughtsTokenCount")]
    thoughts: u64,
    #[serde(default, rename = "cachedContentTokenCount")]
    cached: u64,
}

impl From<WireUsage> for Usage {
    fn from(usage: WireUsage) -> Self {
        Self {
            input_tokens: usage.prompt,
            output_tokens: usage.candidates.saturating_add(usage.thoughts),
            cached_input_tokens: usage.cached,
        }
    }
}
