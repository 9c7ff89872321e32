//! An estimate of token counts that needs no tokenizer.

use crate::ports::{ModelMessage, ToolSpec};

/// Tokens a picture is counted as.
const IMAGE_TOKENS: u64 = 1000;
/// Tokens a tool costs besides its name and description: the schema of its arguments.
const TOOL_TOKENS: u64 = 40;
/// Tokens a message costs besides its text.
const MESSAGE_TOKENS: u64 = 4;

/// Estimates the tokens of a text: one for four ASCII bytes, one for every other character. English text comes out
/// within about a fifth of what common tokenizers count; other scripts are rather over- than underestimated.
pub fn estimate_tokens(text: &str) -> u64 {
    if text.is_ascii() {
        return estimate_tokens_of_length(text.len());
    }
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = text.chars().filter(|c| !c.is_ascii()).count();
    u64::try_from(ascii.div_ceil(4) + other).unwrap_or(u64::MAX)
}

/// Estimates the tokens of a message, pictures and tool calls included.
pub fn estimate_message_tokens(message: &ModelMessage) -> u64 {
    MESSAGE_TOKENS
        + match message {
            ModelMessage::System(text) => estimate_tokens(text),
            ModelMessage::User { text, images } => {
                estimate_tokens(text)
                    + IMAGE_TOKENS * u64::try_from(images.len()).unwrap_or(u64::MAX)
            }
            ModelMessage::Assistant { text, tool_calls } => {
                let calls = tool_calls
                    .iter()
                    .map(|call| estimate_tokens(&call.name) + estimate_tokens(&call.arguments));
                estimate_tokens(text) + calls.sum::<u64>()
            }
            ModelMessage::Tool { content, .. } => estimate_tokens(content),
        }
}

/// Estimates the tokens of a conversation.
pub fn estimate_prompt_tokens(messages: &[ModelMessage]) -> u64 {
    messages.iter().map(estimate_message_tokens).sum()
}

/// Estimates the tokens that the tools on offer cost in each request.
pub fn estimate_tool_tokens(tools: &[ToolSpec]) -> u64 {
    let tokens = tools
        .iter()
        .map(|tool| TOOL_TOKENS + estimate_tokens(&tool.name) + estimate_tokens(&tool.description));
    tokens.sum()
}

/// Estimates the tokens of a text of which only the length in bytes is known.
pub fn estimate_tokens_of_length(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_count_ascii_by_four_and_other_characters_one_by_one() {
        assert_eq!(estimate_tokens(""), 0);
        assert_eq!(estimate_tokens("four"), 1);
        assert_eq!(estimate_tokens("fours"), 2);
        assert_eq!(estimate_tokens("日本"), 2);
    }
}
