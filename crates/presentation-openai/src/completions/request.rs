//! The body of a request for a completion, as OpenAI's reference words it. Parameters that are not named here are passed
//! over, as every server of this protocol does with those of others.

mod convert;

use majordomo_presentation_http::ApiError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::error::invalid_parameter;
use crate::shape;

/// What is asked. Models whose provider speaks this protocol itself get every parameter, also those not listed.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ChatCompletionRequest {
    /// What answers: `majordomo`, `majordomo/<provider>/<model>`, `<provider>/<model>` or a bare model name.
    #[expect(
        dead_code,
        reason = "documents the field; the head of the request has read it"
    )]
    #[schemars(regex(pattern = r"\S"))]
    model: String,
    /// The conversation, oldest first.
    #[schemars(length(min = 1))]
    messages: Vec<RequestMessage>,
    /// Whether the answer comes as events.
    stream: Option<bool>,
    /// What a stream tells besides the answer.
    stream_options: Option<StreamOptions>,
    /// Sampling temperature.
    #[schemars(range(min = 0, max = 2))]
    temperature: Option<f64>,
    /// Nucleus sampling.
    #[schemars(range(min = 0, max = 1))]
    top_p: Option<f64>,
    /// Most tokens to write; `max_completion_tokens` goes first.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    max_tokens: Option<u32>,
    /// Most tokens to write.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    max_completion_tokens: Option<u32>,
    /// How many answers; only 1.
    #[schemars(range(min = 1, max = 1))]
    n: Option<u32>,
    /// Texts that end the answer. Not for the agent.
    stop: Option<Stop>,
    /// The caller's tools. Not for the agent, which has its own.
    tools: Option<Vec<Tool>>,
    /// Whether tools may, must or must not be called.
    tool_choice: Option<ToolChoice>,
    /// The form of the answer. Not for the agent.
    response_format: Option<ResponseFormat>,
    /// Who speaks; for the agent the name of a session unless another is named.
    pub(super) user: Option<String>,
    /// Marks of the caller's.
    metadata: Option<Metadata>,
}

/// What a stream tells besides the answer.
#[derive(Debug, Deserialize, JsonSchema)]
struct StreamOptions {
    /// Whether a last event tells the tokens used.
    include_usage: Option<bool>,
}

/// Marks of the caller's.
#[derive(Debug, Deserialize, JsonSchema)]
struct Metadata {
    /// The agent's session to speak in; begun if there is none with this id.
    session_id: Option<String>,
}

/// Texts that end the answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum Stop {
    One(String),
    Many(Vec<String>),
}

/// One message.
#[derive(Debug, Deserialize, JsonSchema)]
struct RequestMessage {
    /// Who speaks.
    role: Role,
    /// What is said; an assistant's message may have tool calls instead.
    content: Option<Content>,
    /// The tools an assistant asked for.
    tool_calls: Option<Vec<Call>>,
    /// The call a tool's message answers.
    tool_call_id: Option<String>,
    /// The tool's name, or the speaker's.
    name: Option<String>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

/// What is said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a text or a list of `text`, `image_url` and `refusal` parts"
)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of what is said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String },
    ImageUrl { image_url: ImageUrl },
    Refusal { refusal: String },
}

/// A picture.
#[derive(Debug, Deserialize, JsonSchema)]
struct ImageUrl {
    /// An `http`, `https` or `data:image/...;base64,` address.
    url: String,
}

/// A call of a tool.
#[derive(Debug, Deserialize, JsonSchema)]
struct Call {
    /// Names the call.
    id: String,
    /// What is called.
    function: CalledFunction,
}

/// What is called.
#[derive(Debug, Deserialize, JsonSchema)]
struct CalledFunction {
    /// The tool's name.
    name: String,
    /// Its arguments: JSON text.
    arguments: String,
}

/// A tool.
#[derive(Debug, Deserialize, JsonSchema)]
struct Tool {
    /// Always `function`.
    r#type: Option<String>,
    /// The function.
    function: Function,
}

/// A function a model may call.
#[derive(Debug, Deserialize, JsonSchema)]
struct Function {
    /// 1 to 64 of `A-Z a-z 0-9 _ -`.
    name: String,
    /// What it does and when to use it.
    description: Option<String>,
    /// JSON Schema of its arguments; none means no arguments.
    parameters: Option<Value>,
}

/// Whether tools may, must or must not be called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected `none`, `auto`, `required` or a function to call"
)]
enum ToolChoice {
    Mode(ToolMode),
    Named { function: NamedFunction },
}

/// Whether tools may, must or must not be called.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ToolMode {
    None,
    Auto,
    Required,
}

/// The function that must be called.
#[derive(Debug, Deserialize, JsonSchema)]
struct NamedFunction {
    /// Its name.
    name: String,
}

/// The form of the answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat {
    Text,
    JsonObject,
    JsonSchema { json_schema: SchemaFormat },
}

/// A schema the answer must fit.
#[derive(Debug, Deserialize, JsonSchema)]
struct SchemaFormat {
    /// Names the schema.
    name: String,
    /// The schema.
    schema: Option<Value>,
    /// Whether it must be enforced.
    strict: Option<bool>,
}

/// Reads a body whose head has been read: it is JSON, but may have the wrong shape.
pub(super) fn read(body: &[u8]) -> Result<ChatCompletionRequest, ApiError> {
    let request: ChatCompletionRequest = shape::read(body)?;
    request.check()?;
    Ok(request)
}

impl ChatCompletionRequest {
    /// Whether a stream is to end with the tokens used.
    pub(super) fn include_usage(&self) -> bool {
        let options = self.stream_options.as_ref();
        options.and_then(|options| options.include_usage) == Some(true)
    }

    /// Whether a stream is wanted.
    pub(super) fn wants_stream(&self) -> bool {
        self.stream == Some(true)
    }

    /// The session that `metadata` names.
    pub(super) fn session_id(&self) -> Option<&str> {
        self.metadata.as_ref()?.session_id.as_deref()
    }

    /// The most tokens to write.
    pub(super) fn max_tokens(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// The sampling temperature.
    pub(super) fn temperature(&self) -> Option<f64> {
        self.temperature
    }

    fn check(&self) -> Result<(), ApiError> {
        let within =
            |value: Option<f64>, most: f64| value.is_none_or(|v| (0.0..=most).contains(&v));
        let wrong = |field, error| Err(invalid_parameter(field, "invalid_value", error));
        if self.messages.is_empty() {
            return wrong("messages", "must not be empty");
        }
        if self.n.is_some_and(|n| n != 1) {
            return wrong("n", "only 1 is supported");
        }
        if !within(self.temperature, 2.0) {
            return wrong("temperature", "must lie between 0 and 2");
        }
        if !within(self.top_p, 1.0) {
            return wrong("top_p", "must lie between 0 and 1");
        }
        if self.max_tokens() == Some(0) {
            return wrong("max_tokens", "must be at least 1");
        }
        Ok(())
    }

    /// Fails for what the agent cannot do.
    pub(super) fn check_for_agent(&self) -> Result<(), ApiError> {
        let wrong = |field, error| Err(invalid_parameter(field, "invalid_value", error));
        if self.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
            return wrong(
                "tools",
                "the agent has tools of its own; name a `<provider>/<model>` to use yours",
            );
        }
        if self.stop.is_some() {
            return wrong("stop", "is not supported by the agent");
        }
        match self.response_format {
            None | Some(ResponseFormat::Text) => Ok(()),
            Some(_) => wrong("response_format", "only `text` is supported by the agent"),
        }
    }
}
