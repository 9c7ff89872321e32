//! The request body of the Messages protocol.

use std::borrow::Cow;

use majordomo_application::ports::{ModelMessage, ModelRequest, ResponseFormat, ToolChoice};
use majordomo_domain::ImageSource;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::arguments;

/// Sent where the caller sets no limit, since the protocol wants one. Every model on offer can write as much.
const DEFAULT_MAX_TOKENS: u32 = 8192;

/// `POST /messages`, always streamed.
#[derive(Serialize)]
pub(crate) struct MessagesBody<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    messages: Vec<Turn<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Value>,
}

impl<'a> MessagesBody<'a> {
    pub(crate) fn new(request: &'a ModelRequest) -> Self {
        let (system, messages) = conversation(request);
        Self {
            model: &request.model,
            max_tokens: request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
            system,
            messages,
            stream: true,
            tools: request
                .tools
                .iter()
                .map(|tool| Tool {
                    name: &tool.name,
                    description: &tool.description,
                    input_schema: &tool.parameters,
                })
                .collect(),
            tool_choice: tool_choice(request),
            // The protocol's range ends at 1.
            temperature: request.temperature.map(|value| value.min(1.0)),
            top_p: request.top_p,
            stop_sequences: &request.stop,
            output_config: output_config(&request.response_format),
        }
    }
}

fn tool_choice(request: &ModelRequest) -> Option<Value> {
    if request.tools.is_empty() {
        return None;
    }
    match &request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!({ "type": "none" })),
        ToolChoice::Required => Some(json!({ "type": "any" })),
        ToolChoice::Named(name) => Some(json!({ "type": "tool", "name": name })),
    }
}

fn output_config(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Text | ResponseFormat::JsonObject => None,
        ResponseFormat::JsonSchema { schema, .. } => {
            Some(json!({ "format": { "type": "json_schema", "schema": schema } }))
        }
    }
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a Value,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Cow<'a, RawValue>,
    },
    ToolResult {
        tool_use_id: &'a str,
        content: &'a str,
        is_error: bool,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Url { url: &'a str },
    Base64 { media_type: &'a str, data: &'a str },
}

/// The instructions, which stand apart in this protocol, and the turns. Messages of one side in a row become one turn:
/// the results of parallel tool calls must arrive together.
fn conversation(request: &ModelRequest) -> (String, Vec<Turn<'_>>) {
    let mut system: Vec<&str> = Vec::new();
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for message in &request.messages {
        match message {
            ModelMessage::System(text) => system.push(text),
            ModelMessage::User { text, images } => {
                push_text(&mut turns, "user", text);
                for image in images {
                    let source = match &image.source {
                        ImageSource::Url(url) => Source::Url { url },
                        ImageSource::Base64 { media_type, data } => {
                            Source::Base64 { media_type, data }
                        }
                    };
                    push(&mut turns, "user", Block::Image { source });
                }
            }
            ModelMessage::Assistant { text, tool_calls } => {
                push_text(&mut turns, "assistant", text);
                for call in tool_calls {
                    let block = Block::ToolUse {
                        id: &call.id,
                        name: &call.name,
                        input: arguments::as_object(&call.arguments),
                    };
                    push(&mut turns, "assistant", block);
                }
            }
            ModelMessage::Tool {
                call_id,
                content,
                is_error,
                ..
            } => {
                let block = Block::ToolResult {
                    tool_use_id: call_id,
                    content,
                    is_error: *is_error,
                };
                push(&mut turns, "user", block);
            }
        }
    }
    if request.response_format == ResponseFormat::JsonObject {
        system.push("Answer with one JSON object and nothing else.");
    }
    (system.join("\n\n"), turns)
}

/// The protocol refuses empty texts.
fn push_text<'a>(turns: &mut Vec<Turn<'a>>, role: &'static str, text: &'a str) {
    if !text.trim().is_empty() {
        push(turns, role, Block::Text { text });
    }
}

fn push<'a>(turns: &mut Vec<Turn<'a>>, role: &'static str, block: Block<'a>) {
    match turns.last_mut() {
        Some(turn) if turn.role == role => turn.content.push(block),
        _ => turns.push(Turn {
            role,
            content: vec![block],
        }),
    }
}
