//! The request body of Ollama's `/api/chat`.

use std::borrow::Cow;

use majordomo_application::ports::{ModelMessage, ModelRequest, ResponseFormat, ToolChoice};
use majordomo_domain::{Image, ImageSource};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::arguments;
use crate::openai::Tool;

/// A picture is given as an address, which Ollama cannot fetch.
#[derive(Debug)]
pub(crate) struct ImageByAddress;

/// `POST /api/chat`, always streamed.
#[derive(Serialize)]
pub(crate) struct ChatBody<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Value>,
    options: Options<'a>,
}

#[derive(Serialize)]
struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
}

impl<'a> ChatBody<'a> {
    pub(crate) fn new(request: &'a ModelRequest) -> Result<Self, ImageByAddress> {
        Ok(Self {
            model: &request.model,
            messages: request
                .messages
                .iter()
                .map(Message::new)
                .collect::<Result<_, _>>()?,
            stream: true,
            tools: tools(request),
            format: match &request.response_format {
                ResponseFormat::Text => None,
                ResponseFormat::JsonObject => Some(json!("json")),
                ResponseFormat::JsonSchema { schema, .. } => Some(schema.clone()),
            },
            options: Options {
                temperature: request.temperature,
                top_p: request.top_p,
                num_predict: request.max_tokens,
                stop: &request.stop,
            },
        })
    }
}

/// The protocol has no tool choice. Offering no tool, or one, comes as near as can be; a call cannot be enforced.
fn tools(request: &ModelRequest) -> Vec<Tool<'_>> {
    let offered = request
        .tools
        .iter()
        .filter(|tool| match &request.tool_choice {
            ToolChoice::Auto | ToolChoice::Required => true,
            ToolChoice::None => false,
            ToolChoice::Named(name) => *name == tool.name,
        });
    offered.map(Tool::new).collect()
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Message<'a> {
    System {
        content: &'a str,
    },
    User {
        content: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        images: Vec<&'a str>,
    },
    Assistant {
        content: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call<'a>>,
    },
    Tool {
        tool_name: &'a str,
        content: Cow<'a, str>,
    },
}

#[derive(Serialize)]
struct Call<'a> {
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Cow<'a, RawValue>,
}

impl<'a> Message<'a> {
    fn new(message: &'a ModelMessage) -> Result<Self, ImageByAddress> {
        Ok(match message {
            ModelMessage::System(content) => Self::System { content },
            ModelMessage::User { text, images } => Self::User {
                content: text,
                images: images.iter().map(image_data).collect::<Result<_, _>>()?,
            },
            ModelMessage::Assistant { text, tool_calls } => Self::Assistant {
                content: text,
                tool_calls: tool_calls
                    .iter()
                    .map(|call| Call {
                        function: Function {
                            name: &call.name,
                            arguments: arguments::as_object(&call.arguments),
                        },
                    })
                    .collect(),
            },
            // The protocol has no mark for a failed call, so the text says it.
            ModelMessage::Tool {
                name,
                content,
                is_error,
                ..
            } => Self::Tool {
                tool_name: name,
                content: if *is_error {
                    Cow::Owned(format!("Error: {content}"))
                } else {
                    Cow::Borrowed(content)
                },
            },
        })
    }
}

fn image_data(image: &Image) -> Result<&str, ImageByAddress> {
    match &image.source {
        ImageSource::Base64 { data, .. } => Ok(data),
        ImageSource::Url(_) => Err(ImageByAddress),
    }
}
