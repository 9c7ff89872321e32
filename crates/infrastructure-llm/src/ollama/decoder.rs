//! Reads the lines of a streamed chat.

use majordomo_application::ports::{FinishReason, ModelError};
use majordomo_domain::Usage;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::{AnswerDecoder, Deltas};
use crate::failure::Failures;

/// State of one answer.
pub(crate) struct OllamaDecoder {
    failures: Failures,
}

impl OllamaDecoder {
    pub(crate) const fn new(failures: Failures) -> Self {
        Self { failures }
    }
}

impl AnswerDecoder for OllamaDecoder {
    fn frame(&mut self, frame: &[u8], deltas: &mut Deltas) -> Result<(), ModelError> {
        let line: Line =
            serde_json::from_slice(frame).map_err(|error| self.failures.undecodable(&error))?;
        if let Some(error) = line.error {
            return Err(self.failures.in_band(error));
        }
        if let Some(message) = line.message {
            deltas.reasoning(message.thinking.unwrap_or_default());
            deltas.text(message.content.unwrap_or_default());
            for call in message.tool_calls.unwrap_or_default() {
                let index = deltas.tool_call(call.id, call.function.name, &self.failures)?;
                let arguments = call
                    .function
                    .arguments
                    .map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned());
                deltas.arguments(index, arguments);
            }
        }
        if line.done {
            deltas.usage(Usage {
                input_tokens: line.prompt_eval_count.unwrap_or_default(),
                output_tokens: line.eval_count.unwrap_or_default(),
                cached_input_tokens: 0,
            });
            deltas.finish(match line.done_reason.as_deref() {
                Some("length") => FinishReason::Length,
                _ => FinishReason::Stop,
            });
        }
        Ok(())
    }

    fn end(&mut self, _deltas: &mut Deltas) -> Result<(), ModelError> {
        Err(self.failures.broke_off())
    }
}

#[derive(Deserialize)]
struct Line {
    message: Option<Message>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: Option<Box<RawValue>>,
}
