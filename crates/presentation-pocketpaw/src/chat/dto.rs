//! What is said and answered.

use majordomo_application::chat::{ChatError, Reply, SendMessage, WhenBusy};
use majordomo_application::error::INTERNAL_MESSAGE;
use majordomo_domain::{Channel, MemoryId, RunOptions, RunStatus, SessionId, Usage};
use majordomo_presentation_http::{ApiError, ErrorClass};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::media::{self, MediaItem};
use super::named_session;
use crate::wire::{check_length, wire_id};

/// Longest message, in characters.
const MAX_CONTENT: usize = 100_000;

/// What is said. Other fields that clients send (`model`, `tools`, `file_context` and so on) change nothing.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ChatRequest {
    /// The message.
    #[schemars(length(min = 1, max = 100_000))]
    content: String,
    /// The session, begun if there is none of this name; a new one when missing or empty.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._:@-]{0,128}$"))]
    session_id: Option<String>,
    /// Pictures. What is no picture is left out.
    media: Option<Vec<MediaItem>>,
    /// What the client's user looks at. Accepted, not used.
    #[serde(rename = "file_context")]
    _file_context: Option<Value>,
}

/// What is left of a request's media when its pictures are taken.
pub(crate) type Ignored = Vec<String>;

impl ChatRequest {
    /// The message to send, and the names of the media that are no pictures.
    pub(crate) fn into_message(
        self,
        when_busy: WhenBusy,
    ) -> Result<(SendMessage, Ignored), ApiError> {
        let (images, ignored) = media::images(self.media.unwrap_or_default())?;
        let text = if self.content.trim().is_empty() && images.is_empty() {
            ""
        } else {
            self.content.as_str()
        };
        check_length("content", text, MAX_CONTENT)?;
        let message = SendMessage {
            session: named_session(self.session_id.as_deref())?,
            channel: Channel::WebSocket,
            text: self.content,
            images,
            options: RunOptions::default(),
            when_busy,
        };
        Ok((message, ignored))
    }
}

/// Tokens of an answer, over all model calls.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct UsageResponse {
    /// Tokens read.
    input_tokens: u64,
    /// Tokens written.
    output_tokens: u64,
}

impl From<Usage> for UsageResponse {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
        }
    }
}

/// A whole answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatResponse {
    /// Names the session.
    session_id: String,
    /// The answer.
    content: String,
    /// What it cost.
    usage: UsageResponse,
    /// What else is to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<ChatMetadata>,
}

/// What else is to be told of an answer.
#[derive(Debug, Serialize, JsonSchema)]
struct ChatMetadata {
    /// Media that were left out because they are no pictures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    ignored_media: Vec<String>,
    /// The ids of the memories that the prompt quoted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    recalled: Vec<String>,
}

impl ChatResponse {
    /// The answer; an error when it broke off. What was said until then is in the session's history.
    pub(crate) fn of(reply: Reply, ignored_media: Ignored) -> Result<Self, ChatError> {
        let outcome = reply.outcome;
        if !matches!(outcome.status, RunStatus::Completed | RunStatus::Stopped) {
            return Err(ChatError::TurnFailed {
                reason: outcome.reason,
                message: outcome.error.unwrap_or_else(|| INTERNAL_MESSAGE.to_owned()),
            });
        }
        let recalled = reply.recalled.into_iter().map(MemoryId::into_string);
        let metadata = ChatMetadata {
            ignored_media,
            recalled: recalled.collect(),
        };
        let tells = !metadata.ignored_media.is_empty() || !metadata.recalled.is_empty();
        Ok(Self {
            session_id: wire_id(&reply.session),
            content: reply.text,
            usage: outcome.usage.into(),
            metadata: tells.then_some(metadata),
        })
    }
}

/// Which session is to be stopped.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct StopParams {
    /// The session; it must be there.
    #[schemars(required, with = "String", length(min = 1))]
    session_id: Option<String>,
}

impl StopParams {
    /// The session.
    pub(crate) fn into_session(self) -> Result<SessionId, ApiError> {
        match named_session(self.session_id.as_deref()) {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(ApiError::new(
                ErrorClass::Invalid,
                "invalid_field",
                "session_id is required",
            )
            .with_status(actix_web::http::StatusCode::BAD_REQUEST)),
            // Text that is no id names no session, so nothing runs in it.
            Err(_) => Err(ChatError::NothingRunning.into()),
        }
    }
}

/// It was stopped.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StopResponse {
    /// Always `ok`.
    pub(crate) status: &'static str,
    /// Names the session.
    pub(crate) session_id: String,
}
