//! The answers: whole, and in chunks.

use majordomo_application::ports::FinishReason;
use majordomo_domain::{ToolCall, Usage};
use schemars::JsonSchema;
use serde::Serialize;

/// What ends every stream that did not fail.
pub(super) const DONE: &str = "[DONE]";

/// A whole answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatCompletion {
    /// `chatcmpl-` and the run, or the request's id.
    pub(super) id: String,
    /// Always `chat.completion`.
    pub(super) object: &'static str,
    /// When it was asked for, in Unix seconds.
    pub(super) created: i64,
    /// What answered, as the request names it.
    pub(super) model: String,
    /// The answer, alone in a list.
    pub(super) choices: [Choice; 1],
    /// The tokens used.
    pub(super) usage: TokenUsage,
}

/// An answer and why it ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Choice {
    /// Always 0.
    index: u8,
    /// The answer.
    message: AssistantMessage,
    /// Always null.
    logprobs: Option<()>,
    /// `stop`, `length`, `tool_calls` or `content_filter`.
    finish_reason: &'static str,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AssistantMessage {
    /// Always `assistant`.
    role: &'static str,
    /// What was said; null when there is nothing but tool calls.
    content: Option<String>,
    /// Always null.
    refusal: Option<()>,
    /// The model's reasoning, where it tells.
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    /// The tools to call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    tool_calls: Vec<CallItem>,
}

/// A tool to call.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CallItem {
    /// Names the call.
    id: String,
    /// Always `function`.
    r#type: &'static str,
    /// What to call.
    function: FunctionItem,
}

/// What to call.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FunctionItem {
    /// The tool's name.
    name: String,
    /// Its arguments: JSON text.
    arguments: String,
}

/// The tokens used.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct TokenUsage {
    /// Tokens read.
    prompt_tokens: u64,
    /// Tokens written.
    completion_tokens: u64,
    /// Both.
    total_tokens: u64,
    /// More on the tokens read.
    prompt_tokens_details: PromptTokens,
}

/// More on the tokens read.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct PromptTokens {
    /// Those the provider had cached.
    cached_tokens: u64,
}

/// What is gathered of a model's answer.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) calls: Vec<ToolCall>,
}

impl Choice {
    pub(super) fn new(gathered: Gathered, finish_reason: &'static str) -> Self {
        let silent = gathered.text.is_empty() && !gathered.calls.is_empty();
        Self {
            index: 0,
            message: AssistantMessage {
                role: "assistant",
                content: (!silent).then_some(gathered.text),
                refusal: None,
                reasoning_content: gathered.reasoning,
                tool_calls: gathered.calls.into_iter().map(CallItem::from).collect(),
            },
            logprobs: None,
            finish_reason,
        }
    }
}

impl From<ToolCall> for CallItem {
    fn from(call: ToolCall) -> Self {
        Self {
            id: call.id,
            r#type: "function",
            function: FunctionItem {
                name: call.name,
                arguments: call.arguments,
            },
        }
    }
}

impl From<Usage> for TokenUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: PromptTokens {
                cached_tokens: usage.cached_input_tokens,
            },
        }
    }
}

/// A piece of an answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatCompletionChunk<'a> {
    /// The same in all chunks of an answer.
    id: &'a str,
    /// Always `chat.completion.chunk`.
    object: &'static str,
    /// When it was asked for, in Unix seconds.
    created: i64,
    /// What answers, as the request names it.
    model: &'a str,
    /// The piece, alone in a list; none in the chunk that tells the tokens used.
    choices: Vec<ChunkChoice<'a>>,
    /// The tokens used, in the last chunk where asked for; null in the others then.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<ChunkUsage>,
}

/// What a chunk tells of the tokens used.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum ChunkUsage {
    /// Not yet.
    Later(()),
    /// All of them.
    Told(TokenUsage),
}

/// A piece of an answer, and why the answer ended where it did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChunkChoice<'a> {
    /// Always 0.
    index: u8,
    /// The piece.
    delta: Delta<'a>,
    /// Always null.
    logprobs: Option<()>,
    /// `stop`, `length`, `tool_calls` or `content_filter` in the last piece.
    finish_reason: Option<&'static str>,
}

/// The piece.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Delta<'a> {
    /// `assistant`, in the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'static str>,
    /// What is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<&'a str>,
    /// The model's reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<&'a str>,
    /// Pieces of tool calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) tool_calls: Vec<CallDelta<'a>>,
}

/// A piece of a tool call.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CallDelta<'a> {
    /// Which call of the answer.
    pub(super) index: usize,
    /// Names the call, in its first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    /// `function`, in its first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) r#type: Option<&'static str>,
    /// What is called.
    pub(super) function: FunctionDelta<'a>,
}

/// A piece of what is called.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FunctionDelta<'a> {
    /// The tool's name, in the call's first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    /// A piece of the arguments.
    pub(super) arguments: &'a str,
}

impl<'a> Delta<'a> {
    /// The piece every answer begins with.
    pub(super) fn first() -> Self {
        Self {
            role: Some("assistant"),
            content: Some(""),
            ..Self::default()
        }
    }

    pub(super) fn text(text: &'a str) -> Self {
        Self {
            content: Some(text),
            ..Self::default()
        }
    }

    pub(super) fn reasoning(text: &'a str) -> Self {
        Self {
            reasoning_content: Some(text),
            ..Self::default()
        }
    }

    pub(super) fn call(call: CallDelta<'a>) -> Self {
        Self {
            tool_calls: vec![call],
            ..Self::default()
        }
    }
}

/// What all chunks of an answer have in common.
#[derive(Debug)]
pub(super) struct ChunkHead<'a> {
    pub(super) id: &'a str,
    pub(super) created: i64,
    pub(super) model: &'a str,
    pub(super) include_usage: bool,
}

impl<'a> ChunkHead<'a> {
    fn chunk(
        &self,
        choices: Vec<ChunkChoice<'a>>,
        usage: Option<TokenUsage>,
    ) -> ChatCompletionChunk<'a> {
        ChatCompletionChunk {
            id: self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model,
            choices,
            usage: self
                .include_usage
                .then(|| usage.map_or(ChunkUsage::Later(()), ChunkUsage::Told)),
        }
    }

    /// A piece of the answer.
    pub(super) fn delta(
        &self,
        delta: Delta<'a>,
        finish_reason: Option<&'static str>,
    ) -> ChatCompletionChunk<'a> {
        let choice = ChunkChoice {
            index: 0,
            delta,
            logprobs: None,
            finish_reason,
        };
        self.chunk(vec![choice], None)
    }

    /// The chunk that tells the tokens used, where it is wanted.
    pub(super) fn usage(&self, usage: Usage) -> Option<ChatCompletionChunk<'a>> {
        self.include_usage
            .then(|| self.chunk(Vec::new(), Some(usage.into())))
    }
}

/// Why an answer of the agent ended, in OpenAI's words: its own tools are not the caller's business.
pub(super) fn finish_reason(reason: &str) -> &'static str {
    let reason = match reason {
        "length" | "max_steps" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    };
    reason.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_cut_short_says_so() {
        for (reason, said) in [
            ("stop", "stop"),
            ("tool_calls", "stop"),
            ("length", "length"),
            ("max_steps", "length"),
            ("content_filter", "content_filter"),
        ] {
            assert_eq!(finish_reason(reason), said);
        }
    }
}
