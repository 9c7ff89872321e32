//! The bodies of `/v1/chat` and what they mean.

use majordomo_application::chat::{ChatError, Reply, SendMessage, WhenBusy};
use majordomo_domain::{Channel, MemoryId, Outcome, RunOptions, RunStatus, SessionId, Usage};
use majordomo_presentation_http::session_id::{ID_PATTERN, session_id};
use majordomo_presentation_http::{ApiError, ErrorClass, FieldIssue, Location};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest message, in characters.
const MAX_MESSAGE: usize = 10_000;
/// Longest instructions, in characters.
const MAX_SYSTEM_PROMPT: usize = 8_000;
/// Most tokens that may be asked for.
const MAX_TOKENS: i64 = 8_192;
/// Named as the model of answers that no model wrote: those of slash commands.
const AGENT: &str = "majordomo";

/// A message to the agent.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ChatRequest {
    /// The message.
    #[schemars(
        required,
        with = "String",
        length(min = 1, max = 10_000),
        regex(pattern = r"\S")
    )]
    message: Option<String>,
    /// The conversation to go on with; one is begun under this id where there is none. A new one when left out.
    #[schemars(regex(pattern = ID_PATTERN))]
    conversation_id: Option<String>,
    /// Instructions in place of the configured ones, for this message.
    #[schemars(length(max = 8_000))]
    system_prompt: Option<String>,
    /// The model, as `/v1/system/models` names it.
    model: Option<String>,
    /// Sampling temperature.
    #[schemars(range(min = 0.0, max = 2.0))]
    temperature: Option<f64>,
    /// Most tokens to write.
    #[schemars(range(min = 1, max = 8192))]
    max_tokens: Option<i64>,
}

impl ChatRequest {
    /// The message the agent gets; every field that is wrong is named.
    pub(crate) fn into_message(self) -> Result<SendMessage, ApiError> {
        let mut issues = Vec::new();
        let text = self.message.unwrap_or_default();
        if text.trim().is_empty() {
            issues.push(wrong("message", "cannot be empty"));
        } else if is_longer(&text, MAX_MESSAGE) {
            issues.push(wrong("message", too_long(MAX_MESSAGE)));
        }
        let session = match self.conversation_id.as_deref().map(read_conversation) {
            None => None,
            Some(Ok(session)) => Some(session),
            Some(Err(error)) => {
                issues.extend_from_slice(error.issues());
                None
            }
        };
        let system_prompt = self
            .system_prompt
            .filter(|prompt| !prompt.trim().is_empty());
        if system_prompt
            .as_ref()
            .is_some_and(|prompt| is_longer(prompt, MAX_SYSTEM_PROMPT))
        {
            issues.push(wrong("system_prompt", too_long(MAX_SYSTEM_PROMPT)));
        }
        if self
            .temperature
            .is_some_and(|temperature| !(0.0..=2.0).contains(&temperature))
        {
            issues.push(wrong("temperature", "must be between 0.0 and 2.0"));
        }
        let max_tokens = self
            .max_tokens
            .filter(|tokens| (1..=MAX_TOKENS).contains(tokens))
            .and_then(|tokens| u32::try_from(tokens).ok());
        if max_tokens.is_none() && self.max_tokens.is_some() {
            issues.push(wrong(
                "max_tokens",
                format!("must be between 1 and {MAX_TOKENS}"),
            ));
        }
        if !issues.is_empty() {
            return Err(ApiError::invalid(ErrorClass::Invalid, issues));
        }
        Ok(SendMessage {
            session,
            channel: Channel::Api,
            text,
            images: Vec::new(),
            options: RunOptions {
                model: self.model,
                system_prompt,
                temperature: self.temperature,
                max_tokens,
            },
            when_busy: WhenBusy::Queue,
        })
    }
}

fn read_conversation(text: &str) -> Result<SessionId, ApiError> {
    session_id(Location::Body, "conversation_id", text)
}

/// Counts characters only where there may be too many.
fn is_longer(text: &str, characters: usize) -> bool {
    text.len() > characters && text.chars().count() > characters
}

fn too_long(characters: usize) -> String {
    format!("must not be longer than {characters} characters")
}

fn wrong(field: &str, error: impl Into<String>) -> FieldIssue {
    FieldIssue::new(Location::Body, field, "invalid_value", error)
}

/// Tokens an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Tokens {
    /// Tokens read.
    prompt: u64,
    /// Tokens written.
    completion: u64,
    /// Both together.
    total: u64,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            prompt: usage.input_tokens,
            completion: usage.output_tokens,
            total: usage.total_tokens(),
        }
    }
}

/// The agent's answer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChatResponse {
    /// The stored answer's id.
    id: String,
    /// The conversation it belongs to.
    conversation_id: String,
    /// Always `assistant`.
    role: &'static str,
    /// The answer.
    content: String,
    /// The model that wrote it.
    model: String,
    /// What it took.
    tokens: Tokens,
    /// When it was whole; RFC 3339, UTC.
    created_at: String,
    /// The ids of the memories that the prompt quoted; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    recalled: Vec<String>,
}

impl TryFrom<Reply> for ChatResponse {
    type Error = ChatError;

    /// An answer that broke off is a failure; one that was stopped on purpose is an answer.
    fn try_from(reply: Reply) -> Result<Self, ChatError> {
        if let Some(error) = failure_of(&reply.outcome) {
            return Err(error);
        }
        Ok(Self {
            id: reply.message.into_string(),
            conversation_id: reply.session.into_string(),
            role: "assistant",
            content: reply.text,
            model: model_of(&reply.outcome).to_owned(),
            tokens: reply.outcome.usage.into(),
            created_at: reply.finished_at.to_rfc3339(),
            recalled: reply
                .recalled
                .into_iter()
                .map(MemoryId::into_string)
                .collect(),
        })
    }
}

/// The error of a turn that ended otherwise than with its answer or on purpose.
pub(crate) fn failure_of(outcome: &Outcome) -> Option<ChatError> {
    match outcome.status {
        RunStatus::Completed | RunStatus::Stopped => None,
        _ => Some(ChatError::TurnFailed {
            reason: outcome.reason.clone(),
            message: outcome
                .error
                .clone()
                .unwrap_or_else(|| "The answer broke off".to_owned()),
        }),
    }
}

/// The model that wrote an answer.
pub(crate) fn model_of(outcome: &Outcome) -> &str {
    outcome.model.as_deref().unwrap_or(AGENT)
}
