//! Reads the events of a streamed message.

use majordomo_application::ports::{FinishReason, ModelError};
use majordomo_domain::Usage;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::{AnswerDecoder, Deltas};
use crate::failure::Failures;

/// State of one answer.
pub(crate) struct AnthropicDecoder {
    failures: Failures,
    open_calls: Vec<OpenCall>,
    usage: Usage,
    finish: Option<FinishReason>,
}

/// A tool call whose arguments are still arriving.
struct OpenCall {
    block: usize,
    index: usize,
    /// The input given with the start of the block; it counts when no fragments follow.
    input: Option<Box<RawValue>>,
    has_arguments: bool,
}

impl AnthropicDecoder {
    pub(crate) fn new(failures: Failures) -> Self {
        Self {
            failures,
            open_calls: Vec::new(),
            usage: Usage::default(),
            finish: None,
        }
    }

    fn block_start(
        &mut self,
        at: usize,
        block: Block,
        deltas: &mut Deltas,
    ) -> Result<(), ModelError> {
        deltas.reasoning(block.thinking.unwrap_or_default());
        deltas.text(block.text.unwrap_or_default());
        if block.kind == "tool_use" {
            let name = block.name.unwrap_or_default();
            let index = deltas.tool_call(block.id, name, &self.failures)?;
            self.open_calls.push(OpenCall {
                block: at,
                index,
                input: block.input,
                has_arguments: false,
            });
        }
        Ok(())
    }

    fn block_delta(&mut self, at: usize, delta: Delta, deltas: &mut Deltas) {
        deltas.reasoning(delta.thinking.unwrap_or_default());
        deltas.text(delta.text.unwrap_or_default());
        let Some(fragment) = delta.partial_json.filter(|json| !json.is_empty()) else {
            return;
        };
        // Blocks of tools that the provider runs itself have fragments too; they are not ours to answer.
        if let Some(call) = self.open_calls.iter_mut().find(|call| call.block == at) {
            call.has_arguments = true;
            deltas.arguments(call.index, fragment);
        }
    }

    fn block_stop(&mut self, at: usize, deltas: &mut Deltas) {
        let Some(position) = self.open_calls.iter().position(|call| call.block == at) else {
            return;
        };
        let call = self.open_calls.swap_remove(position);
        if !call.has_arguments {
            let input = call
                .input
                .map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned());
            deltas.arguments(call.index, input);
        }
    }

    /// Counts are running totals; each event names those that it knows.
    fn count(&mut self, usage: &WireUsage, deltas: &mut Deltas) {
        // The cache's counts are not part of `input_tokens`.
        if let Some(input) = usage.input {
            let read = usage.cache_read.unwrap_or_default();
            let written = usage.cache_written.unwrap_or_default();
            self.usage.input_tokens = input.saturating_add(read).saturating_add(written);
            self.usage.cached_input_tokens = read;
        }
        if let Some(output) = usage.output {
            self.usage.output_tokens = output;
        }
        deltas.usage(self.usage);
    }
}

fn finish_reason(reason: &str) -> FinishReason {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

impl AnswerDecoder for AnthropicDecoder {
    fn frame(&mut self, frame: &[u8], deltas: &mut Deltas) -> Result<(), ModelError> {
        let event: Event =
            serde_json::from_slice(frame).map_err(|error| self.failures.undecodable(&error))?;
        match event.kind.as_str() {
            "message_start" => {
                if let Some(usage) = event.message.and_then(|message| message.usage) {
                    self.count(&usage, deltas);
                }
            }
            "content_block_start" => {
                if let Some(block) = event.content_block {
                    self.block_start(event.index, block, deltas)?;
                }
            }
            "content_block_delta" => {
                if let Some(delta) = event.delta {
                    self.block_delta(event.index, delta, deltas);
                }
            }
            "content_block_stop" => self.block_stop(event.index, deltas),
            "message_delta" => {
                if let Some(reason) = event.delta.and_then(|delta| delta.stop_reason) {
                    self.finish = Some(finish_reason(&reason));
                }
                if let Some(usage) = event.usage {
                    self.count(&usage, deltas);
                }
            }
            "message_stop" => deltas.finish(self.finish.unwrap_or(FinishReason::Stop)),
            "error" => return Err(self.failures.in_band(event.error.unwrap_or_default())),
            // `ping`, and kinds to come, which the protocol says to ignore.
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, deltas: &mut Deltas) -> Result<(), ModelError> {
        let reason = self.finish.ok_or_else(|| self.failures.broke_off())?;
        deltas.finish(reason);
        Ok(())
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    index: usize,
    message: Option<MessageStart>,
    content_block: Option<Block>,
    delta: Option<Delta>,
    usage: Option<WireUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct MessageStart {
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    name: Option<String>,
    text: Option<String>,
    thinking: Option<String>,
    input: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Delta {
    text: Option<String>,
    thinking: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(rename = "input_tokens")]
    input: Option<u64>,
    #[serde(rename = "output_tokens")]
    output: Option<u64>,
    #[serde(rename = "cache_creation_input_tokens")]
    cache_written: Option<u64>,
    #[serde(rename = "cache_read_input_tokens")]
    cache_read: Option<u64>,
}
