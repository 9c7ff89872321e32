//! The request body of the chat-completions protocol.

use std::borrow::Cow;

use majordomo_application::ports::{
    ModelMessage, ModelRequest, ResponseFormat, ToolChoice, ToolSpec,
};
use majordomo_domain::{Image, ImageSource, ToolCall};
use serde::Serialize;
use serde_json::{Value, json};

/// `POST /chat/completions`, always streamed.
#[derive(Serialize)]
pub(crate) struct CompletionBody<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> CompletionBody<'a> {
    pub(crate) fn new(request: &'a ModelRequest) -> Self {
        let reasoning = is_reasoning_model(&request.model);
        Self {
            model: &request.model,
            messages: request.messages.iter().map(Message::new).collect(),
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
            tools: request.tools.iter().map(Tool::new).collect(),
            tool_choice: tool_choice(request),
            temperature: request.temperature,
            top_p: request.top_p,
            max_tokens: request.max_tokens.filter(|_| !reasoning),
            max_completion_tokens: request.max_tokens.filter(|_| reasoning),
            stop: &request.stop,
            response_format: response_format(&request.response_format),
        }
    }
}

/// Whether the model is one of OpenAI's that refuse `max_tokens` and want `max_completion_tokens`: the o series and
/// gpt-5 onwards. Compatible servers know `max_tokens` best, so every other model gets that.
pub(super) fn is_reasoning_model(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let generation = |rest: &str| rest.chars().next().and_then(|c| c.to_digit(10));
    name.strip_prefix('o').and_then(generation).is_some()
        || name
            .strip_prefix("gpt-")
            .and_then(generation)
            .is_some_and(|number| number >= 5)
}

fn tool_choice(request: &ModelRequest) -> Option<Value> {
    if request.tools.is_empty() {
        return None;
    }
    match &request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!("none")),
        ToolChoice::Required => Some(json!("required")),
        ToolChoice::Named(name) => {
            Some(json!({ "type": "function", "function": { "name": name } }))
        }
    }
}

fn response_format(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(json!({ "type": "json_object" })),
        ResponseFormat::JsonSchema {
            name,
            schema,
            strict,
        } => Some(json!({
            "type": "json_schema",
            "json_schema": { "name": name, "schema": schema, "strict": strict },
        })),
    }
}

/// A tool as this protocol (and Ollama's) writes it.
#[derive(Serialize)]
pub(crate) struct Tool<'a> {
    r#type: &'static str,
    function: FunctionSpec<'a>,
}

#[derive(Serialize)]
struct FunctionSpec<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

impl<'a> Tool<'a> {
    pub(crate) fn new(tool: &'a ToolSpec) -> Self {
        Self {
            r#type: "function",
            function: FunctionSpec {
                name: &tool.name,
                description: &tool.description,
                parameters: &tool.parameters,
            },
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Message<'a> {
    System {
        content: &'a str,
    },
    User {
        content: Content<'a>,
    },
    Assistant {
        content: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: Cow<'a, str>,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: Cow<'a, str>,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> Message<'a> {
    fn new(message: &'a ModelMessage) -> Self {
        match message {
            ModelMessage::System(content) => Self::System { content },
            ModelMessage::User { text, images } => Self::User {
                content: Content::new(text, images),
            },
            ModelMessage::Assistant { text, tool_calls } => Self::Assistant {
                content: (!text.is_empty() || tool_calls.is_empty()).then_some(text),
                tool_calls: tool_calls.iter().map(Call::new).collect(),
            },
            // The protocol has no mark for a failed call, so the text says it.
            ModelMessage::Tool {
                call_id,
                content,
                is_error,
                ..
            } => Self::Tool {
                tool_call_id: call_id,
                content: if *is_error {
                    Cow::Owned(format!("Error: {content}"))
                } else {
                    Cow::Borrowed(content)
                },
            },
        }
    }
}

impl<'a> Content<'a> {
    fn new(text: &'a str, images: &'a [Image]) -> Self {
        if images.is_empty() {
            return Self::Text(text);
        }
        let text = (!text.is_empty()).then_some(Part::Text { text });
        let images = images.iter().map(|image| Part::ImageUrl {
            image_url: ImageUrl {
                url: match &image.source {
                    ImageSource::Url(url) => Cow::Borrowed(url),
                    ImageSource::Base64 { media_type, data } => {
                        Cow::Owned(format!("data:{media_type};base64,{data}"))
                    }
                },
            },
        });
        Self::Parts(text.into_iter().chain(images).collect())
    }
}

impl<'a> Call<'a> {
    fn new(call: &'a ToolCall) -> Self {
        Self {
            id: &call.id,
            r#type: "function",
            function: Function {
                name: &call.name,
                // Some servers refuse a call whose arguments are not an object.
                arguments: if call.arguments.trim().is_empty() {
                    "{}"
                } else {
                    &call.arguments
                },
            },
        }
    }
}
