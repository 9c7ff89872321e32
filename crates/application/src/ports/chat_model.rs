//! Language models: one streaming method, typed deltas, a typed error taxonomy.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use majordomo_domain::{Image, ToolCall, Usage};
use thiserror::Error;

use super::EmbeddingProvider;

/// A tool as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema of the arguments: an object schema.
    pub parameters: serde_json::Value,
}

/// One message of the conversation given to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelMessage {
    /// Instructions.
    System(String),
    /// What a person said.
    User {
        /// The text.
        text: String,
        /// Pictures, in order, after the text.
        images: Vec<Image>,
    },
    /// What the model said.
    Assistant {
        /// The text; may be empty when there are tool calls.
        text: String,
        /// The tools it asked for, in order.
        tool_calls: Vec<ToolCall>,
    },
    /// What a tool answered.
    Tool {
        /// The call it answers.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The answer.
        content: String,
        /// Whether the call failed.
        is_error: bool,
    },
}

/// Whether the model may, must, or must not call tools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// This tool.
    Named(String),
}

/// The form the answer must have.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ResponseFormat {
    /// Free text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// Names the schema.
        name: String,
        /// The schema.
        schema: serde_json::Value,
        /// Whether the provider must enforce it.
        strict: bool,
    },
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// The model's name at its provider.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<ModelMessage>,
    /// Tools the model may call.
    pub tools: Arc<[ToolSpec]>,
    /// Whether it may, must or must not.
    pub tool_choice: ToolChoice,
    /// Sampling temperature, `0.0..=2.0`.
    pub temperature: Option<f64>,
    /// Nucleus sampling, `0.0..=1.0`.
    pub top_p: Option<f64>,
    /// Most tokens to write.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// The form the answer must have.
    pub response_format: ResponseFormat,
}

impl ModelRequest {
    /// A request with the provider's defaults.
    pub fn new(model: impl Into<String>, messages: Vec<ModelMessage>) -> Self {
        Self {
            model: model.into(),
            messages,
            tools: Arc::default(),
            tool_choice: ToolChoice::Auto,
            temperature: None,
            top_p: None,
            max_tokens: None,
            stop: Vec::new(),
            response_format: ResponseFormat::Text,
        }
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done, or met a stop text.
    Stop,
    /// It reached the most tokens allowed.
    Length,
    /// It wants tools called.
    ToolCalls,
    /// Its provider withheld the rest.
    ContentFilter,
}

impl FinishReason {
    /// The stable name used in the journal and on the wire (OpenAI's words).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// One piece of a model's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelDelta {
    /// A piece of the answer, never empty.
    Text(String),
    /// A piece of the reasoning, never empty.
    Reasoning(String),
    /// A tool call begins. Indexes count from 0 in order of appearance.
    ToolCallStarted {
        /// Which call of this answer.
        index: usize,
        /// Names the call; adapters make one up where the provider gives none.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A piece of a tool call's arguments.
    ToolCallArguments {
        /// Which call of this answer.
        index: usize,
        /// A piece of JSON text.
        fragment: String,
    },
    /// Tokens used so far in this call; a later one replaces it.
    Usage(Usage),
    /// The answer is whole. The last delta of every stream that does not fail; a stream that ends without it broke off
    /// and the adapter MUST yield an error instead.
    Finish(FinishReason),
}

/// What went wrong with a model call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelErrorKind {
    /// The provider refuses our key.
    Auth,
    /// Too many requests or tokens.
    RateLimited {
        /// When the provider says to come back.
        retry_after: Option<Duration>,
    },
    /// The conversation does not fit the model.
    ContextTooLong,
    /// The provider refuses the content.
    Refused,
    /// The provider has no such model.
    UnknownModel,
    /// The request is wrong in a way that no retry mends (bad parameter).
    Invalid,
    /// The provider cannot be reached or fails (5xx).
    Unavailable,
    /// The provider has too much to do or is being mended (5xx), and says until when.
    Overloaded {
        /// When the provider says to come back.
        retry_after: Duration,
    },
    /// No answer in time.
    Timeout,
    /// We stopped it.
    Cancelled,
    /// The answer breaks the protocol, or broke off.
    Malformed,
}

/// A failed model call. The message is fit for users: it never holds keys, addresses with credentials, or headers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ModelError {
    /// What went wrong.
    pub kind: ModelErrorKind,
    /// What went wrong, in words fit for the user.
    pub message: String,
}

impl ModelError {
    /// An error.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// When the provider says to come back.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            ModelErrorKind::RateLimited { retry_after } => retry_after,
            ModelErrorKind::Overloaded { retry_after } => Some(retry_after),
            _ => None,
        }
    }

    /// A stable name: `auth`, `rate_limited`, `context_too_long`, `refused`, `model_not_found`, `invalid`, `unavailable`,
    /// `overloaded`, `timeout`, `cancelled`, `malformed`.
    pub const fn code(&self) -> &'static str {
        match self.kind {
            ModelErrorKind::Auth => "auth",
            ModelErrorKind::RateLimited { .. } => "rate_limited",
            ModelErrorKind::ContextTooLong => "context_too_long",
            ModelErrorKind::Refused => "refused",
            ModelErrorKind::UnknownModel => "model_not_found",
            ModelErrorKind::Invalid => "invalid",
            ModelErrorKind::Unavailable => "unavailable",
            ModelErrorKind::Overloaded { .. } => "overloaded",
            ModelErrorKind::Timeout => "timeout",
            ModelErrorKind::Cancelled => "cancelled",
            ModelErrorKind::Malformed => "malformed",
        }
    }
}

/// A model's answer as it is written. Dropping it MUST cancel the upstream request.
pub type ModelStream = BoxStream<'static, Result<ModelDelta, ModelError>>;

/// A model a provider offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelInfo {
    /// The model's name at its provider.
    pub id: String,
    /// Number of parameters as the provider words it (`7B`), where it tells.
    pub parameters: Option<String>,
    /// Context window in tokens, where it tells.
    pub context_length: Option<u64>,
}

/// A provider of language models.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Asks the model. Errors before the first byte of the answer come as `Err`; later ones end the stream.
    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError>;
    /// The models on offer. Also the readiness probe: MUST return within the connect timeout.
    async fn models(&self) -> Result<Vec<ModelInfo>, ModelError>;
    /// The provider's own chat-completions endpoint, where it speaks OpenAI's protocol.
    fn relay(&self) -> Option<&dyn CompletionRelay> {
        None
    }
    /// The provider's embedding models, where its protocol has any.
    fn embeddings(&self) -> Option<&dyn EmbeddingProvider> {
        None
    }
}

/// An answer relayed byte for byte.
pub struct RelayResponse {
    /// The upstream `Content-Type`.
    pub content_type: String,
    /// The body as it arrives. Dropping it MUST cancel the upstream request.
    pub body: RelayBody,
}

/// The body of a relayed answer.
pub enum RelayBody {
    /// All of it.
    Whole(Bytes),
    /// Piece by piece.
    Stream(BoxStream<'static, Result<Bytes, ModelError>>),
}

/// A provider that speaks OpenAI's chat-completions protocol, so that a request can be passed on unchanged.
#[async_trait]
pub trait CompletionRelay: Send + Sync {
    /// Passes a chat-completions request body on. `stream` says whether the body asks for a stream. An upstream
    /// status other than 2xx comes back as a typed error.
    async fn relay(&self, body: Bytes, stream: bool) -> Result<RelayResponse, ModelError>;
    /// The field in which `model` wants to be told the most tokens of an answer.
    fn output_limit_name(&self, _model: &str) -> &'static str {
        "max_tokens"
    }
}
