//! The request body of the Gemini protocol.

use std::borrow::Cow;

use majordomo_application::ports::{ModelMessage, ModelRequest, ResponseFormat, ToolChoice};
use majordomo_domain::{Image, ImageSource};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::arguments;

/// Stands in for the signature of a thought that is not at hand; documented by Google for histories that come from
/// elsewhere. Without one, models from Gemini 3 on refuse earlier tool calls.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// `POST /models/MODEL:streamGenerateContent`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GenerateBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Instruction<'a>>,
    contents: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<Value>,
    generation_config: GenerationConfig<'a>,
}

impl<'a> GenerateBody<'a> {
    pub(crate) fn new(request: &'a ModelRequest) -> Self {
        let (system, contents) = conversation(request);
        Self {
            system_instruction: (!system.is_empty()).then_some(Instruction { parts: system }),
            contents,
            tools: tools(request),
            tool_config: tool_config(request),
            generation_config: GenerationConfig::new(request),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a Value>,
}

impl<'a> GenerationConfig<'a> {
    fn new(request: &'a ModelRequest) -> Self {
        let schema = match &request.response_format {
            ResponseFormat::JsonSchema { schema, .. } => Some(schema),
            ResponseFormat::Text | ResponseFormat::JsonObject => None,
        };
        Self {
            temperature: request.temperature,
            top_p: request.top_p,
            max_output_tokens: request.max_tokens,
            stop_sequences: &request.stop,
            response_mime_type: (request.response_format != ResponseFormat::Text)
                .then_some("application/json"),
            response_json_schema: schema,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    description: &'a str,
    parameters_json_schema: &'a Value,
}

fn tools(request: &ModelRequest) -> Vec<Tools<'_>> {
    if request.tools.is_empty() {
        return Vec::new();
    }
    let declarations = request.tools.iter().map(|tool| Declaration {
        name: &tool.name,
        description: &tool.description,
        parameters_json_schema: &tool.parameters,
    });
    vec![Tools {
        function_declarations: declarations.collect(),
    }]
}

fn tool_config(request: &ModelRequest) -> Option<Value> {
    if request.tools.is_empty() {
        return None;
    }
    let mode = match &request.tool_choice {
        ToolChoice::Auto => return None,
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Required => json!({ "mode": "ANY" }),
        ToolChoice::Named(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
    };
    Some(json!({ "functionCallingConfig": mode }))
}

#[derive(Serialize)]
struct Instruction<'a> {
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Text {
        text: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    Inline {
        inline_data: InlineData<'a>,
    },
    #[serde(rename_all = "camelCase")]
    File {
        file_data: FileData<'a>,
    },
    #[serde(rename_all = "camelCase")]
    Call {
        function_call: Call<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought_signature: Option<&'static str>,
    },
    #[serde(rename_all = "camelCase")]
    Response {
        function_response: Response<'a>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InlineData<'a> {
    mime_type: &'a str,
    data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    mime_type: &'static str,
    file_uri: &'a str,
}

#[derive(Serialize)]
struct Call<'a> {
    name: &'a str,
    args: Cow<'a, RawValue>,
}

#[derive(Serialize)]
struct Response<'a> {
    name: &'a str,
    response: Value,
}

/// The instructions, which stand apart in this protocol, and the turns. Messages of one side in a row become one turn:
/// the results of parallel tool calls must arrive together, in the order of the calls.
fn conversation(request: &ModelRequest) -> (Vec<Part<'_>>, Vec<Turn<'_>>) {
    let signature = wants_signatures(&request.model).then_some(NO_SIGNATURE);
    let mut system = Vec::new();
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for message in &request.messages {
        match message {
            ModelMessage::System(text) => system.push(Part::Text { text }),
            ModelMessage::User { text, images } => {
                if !text.is_empty() || images.is_empty() {
                    push(&mut turns, "user", Part::Text { text });
                }
                for image in images {
                    push(&mut turns, "user", image_part(image));
                }
            }
            ModelMessage::Assistant { text, tool_calls } => {
                if !text.is_empty() {
                    push(&mut turns, "model", Part::Text { text });
                }
                for (position, call) in tool_calls.iter().enumerate() {
                    let part = Part::Call {
                        function_call: Call {
                            name: &call.name,
                            args: arguments::as_object(&call.arguments),
                        },
                        // Only the first of parallel calls carries one.
                        thought_signature: signature.filter(|_| position == 0),
                    };
                    push(&mut turns, "model", part);
                }
            }
            ModelMessage::Tool {
                name,
                content,
                is_error,
                ..
            } => {
                let key = if *is_error { "error" } else { "output" };
                let function_response = Response {
                    name,
                    response: json!({ key: content }),
                };
                push(&mut turns, "user", Part::Response { function_response });
            }
        }
    }
    (system, turns)
}

fn wants_signatures(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    !["gemini-1", "gemini-2", "gemma", "learnlm"]
        .iter()
        .any(|earlier| name.starts_with(earlier))
}

fn push<'a>(turns: &mut Vec<Turn<'a>>, role: &'static str, part: Part<'a>) {
    match turns.last_mut() {
        Some(turn) if turn.role == role => turn.parts.push(part),
        _ => turns.push(Turn {
            role,
            parts: vec![part],
        }),
    }
}

fn image_part(image: &Image) -> Part<'_> {
    match &image.source {
        ImageSource::Base64 { media_type, data } => Part::Inline {
            inline_data: InlineData {
                mime_type: media_type,
                data,
            },
        },
        ImageSource::Url(url) => Part::File {
            file_data: FileData {
                mime_type: media_type_of(url),
                file_uri: url,
            },
        },
    }
}

/// The media type that the protocol wants to know, from the name in the address; JPEG where that tells nothing.
fn media_type_of(url: &str) -> &'static str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let extension = path.rsplit('.').next().unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        _ => "image/jpeg",
    }
}
