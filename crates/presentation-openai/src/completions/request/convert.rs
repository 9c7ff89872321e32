//! From OpenAI's words to those of the port.

use std::collections::HashMap;

use majordomo_application::ports::{self, ModelMessage, ModelRequest, ToolSpec};
use majordomo_domain::{Image, ImageSource, ToolCall};
use majordomo_presentation_http::ApiError;
use serde_json::json;

use super::{
    Call, ChatCompletionRequest, Content, Part, RequestMessage, ResponseFormat, Role, Stop, Tool,
    ToolChoice, ToolMode,
};
use crate::error::invalid_parameter;

/// Most tools of a request, as OpenAI limits them.
const MAX_TOOLS: usize = 128;
/// Most texts that end an answer; OpenAI allows 4.
const MAX_STOPS: usize = 16;

impl ChatCompletionRequest {
    /// The request for `model`, its name at its provider.
    pub(in crate::completions) fn into_model_request(
        mut self,
        model: &str,
    ) -> Result<ModelRequest, ApiError> {
        let max_tokens = self.max_tokens();
        let messages = self.take_messages()?;
        let tools = self.tools.unwrap_or_default();
        if tools.len() > MAX_TOOLS {
            return Err(wrong("tools", "too many tools"));
        }
        let stop = match self.stop {
            None => Vec::new(),
            Some(Stop::One(text)) => vec![text],
            Some(Stop::Many(texts)) if texts.len() > MAX_STOPS => {
                return Err(wrong("stop", "too many texts"));
            }
            Some(Stop::Many(texts)) => texts,
        };
        let tools = tools.into_iter().enumerate();
        Ok(ModelRequest {
            tools: tools.map(tool).collect::<Result<_, _>>()?,
            tool_choice: self.tool_choice.map(choice).unwrap_or_default(),
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens,
            stop,
            response_format: self.response_format.map(format).unwrap_or_default(),
            ..ModelRequest::new(model, messages)
        })
    }

    /// The conversation.
    pub(in crate::completions) fn take_messages(&mut self) -> Result<Vec<ModelMessage>, ApiError> {
        let mut tools_by_call = HashMap::new();
        let messages = std::mem::take(&mut self.messages).into_iter().enumerate();
        messages
            .map(|(place, message)| message.convert(place, &mut tools_by_call))
            .collect()
    }
}

fn wrong(field: &str, error: &str) -> ApiError {
    invalid_parameter(field, "invalid_value", error)
}

impl RequestMessage {
    /// `tools_by_call` names the tool of each call met so far.
    fn convert(
        self,
        place: usize,
        tools_by_call: &mut HashMap<String, String>,
    ) -> Result<ModelMessage, ApiError> {
        let field = format!("messages.{place}.content");
        let calls = self.tool_calls.unwrap_or_default();
        let content = match self.content {
            Some(content) => content,
            None if self.role == Role::Assistant => Content::Text(String::new()),
            None => return Err(invalid_parameter(&field, "missing", "is required")),
        };
        let (text, images) = content.convert(&field)?;
        if !images.is_empty() && self.role != Role::User {
            return Err(wrong(&field, "only users may send pictures"));
        }
        Ok(match self.role {
            Role::System | Role::Developer => ModelMessage::System(text),
            Role::User => ModelMessage::User { text, images },
            Role::Assistant => {
                let tool_calls: Vec<ToolCall> = calls.into_iter().map(called).collect();
                let named = tool_calls.iter();
                tools_by_call.extend(named.map(|call| (call.id.clone(), call.name.clone())));
                ModelMessage::Assistant { text, tool_calls }
            }
            Role::Tool => {
                let field = format!("messages.{place}.tool_call_id");
                let call_id = self
                    .tool_call_id
                    .ok_or_else(|| invalid_parameter(&field, "missing", "is required"))?;
                let name = tools_by_call.get(&call_id).cloned().or(self.name);
                let name = name.ok_or_else(|| wrong(&field, "no earlier tool call has this id"))?;
                ModelMessage::Tool {
                    call_id,
                    name,
                    content: text,
                    is_error: false,
                }
            }
        })
    }
}

fn called(call: Call) -> ToolCall {
    ToolCall {
        id: call.id,
        name: call.function.name,
        arguments: call.function.arguments,
    }
}

impl Content {
    /// The text parts, one paragraph each, and the pictures.
    fn convert(self, field: &str) -> Result<(String, Vec<Image>), ApiError> {
        let parts = match self {
            Self::Text(text) => return Ok((text, Vec::new())),
            Self::Parts(parts) => parts,
        };
        let (mut texts, mut images) = (Vec::new(), Vec::new());
        for (place, part) in parts.into_iter().enumerate() {
            match part {
                Part::Text { text } | Part::Refusal { refusal: text } => texts.push(text),
                Part::ImageUrl { image_url } => {
                    let field = format!("{field}.{place}.image_url.url");
                    images.push(image(image_url.url, &field)?);
                }
            }
        }
        Ok((texts.join("\n"), images))
    }
}

fn image(url: String, field: &str) -> Result<Image, ApiError> {
    let source = if let Some(rest) = url.strip_prefix("data:") {
        let (media_type, data) = rest
            .split_once(";base64,")
            .filter(|(media_type, data)| media_type.starts_with("image/") && !data.is_empty())
            .ok_or_else(|| wrong(field, "expected data:image/...;base64,..."))?;
        ImageSource::Base64 {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        }
    } else if url.starts_with("https://") || url.starts_with("http://") {
        ImageSource::Url(url)
    } else {
        return Err(wrong(field, "expected an http, https or data address"));
    };
    Ok(Image { source })
}

fn tool((place, tool): (usize, Tool)) -> Result<ToolSpec, ApiError> {
    if tool.r#type.is_some_and(|kind| kind != "function") {
        let field = format!("tools.{place}.type");
        return Err(wrong(&field, "only `function` is supported"));
    }
    let name = tool.function.name;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_allowed) {
        let field = format!("tools.{place}.function.name");
        return Err(wrong(&field, "expected 1 to 64 letters, digits, _ and -"));
    }
    let nothing = || json!({ "type": "object", "properties": {} });
    Ok(ToolSpec {
        name,
        description: tool.function.description.unwrap_or_default(),
        parameters: tool.function.parameters.unwrap_or_else(nothing),
    })
}

fn choice(choice: ToolChoice) -> ports::ToolChoice {
    match choice {
        ToolChoice::Mode(ToolMode::None) => ports::ToolChoice::None,
        ToolChoice::Mode(ToolMode::Auto) => ports::ToolChoice::Auto,
        ToolChoice::Mode(ToolMode::Required) => ports::ToolChoice::Required,
        ToolChoice::Named { function } => ports::ToolChoice::Named(function.name),
    }
}

fn format(format: ResponseFormat) -> ports::ResponseFormat {
    match format {
        ResponseFormat::Text => ports::ResponseFormat::Text,
        ResponseFormat::JsonObject => ports::ResponseFormat::JsonObject,
        ResponseFormat::JsonSchema { json_schema } => ports::ResponseFormat::JsonSchema {
            name: json_schema.name,
            schema: json_schema.schema.unwrap_or_else(|| json!({})),
            strict: json_schema.strict.unwrap_or(false),
        },
    }
}
