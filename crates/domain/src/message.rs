//! Messages: what was said in a session. Tool calls live in the journal of the run that made them.

use crate::{MessageId, RunId, SessionId, Timestamp, Usage, UserId};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The person.
    User,
    /// The agent.
    Assistant,
    /// An instruction the caller placed in the conversation.
    System,
}

impl Role {
    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
        }
    }

    /// The inverse of [`Role::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::User, Self::Assistant, Self::System]
            .into_iter()
            .find(|r| r.as_str() == name)
    }
}

/// Whether a message says all that its author meant to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageStatus {
    /// All of it.
    Complete,
    /// The user stopped the answer; this is what had been said.
    Stopped,
    /// The answer broke off (crash, failure of the model); this is what had been said.
    Interrupted,
}

impl MessageStatus {
    /// The stable name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
        }
    }

    /// The inverse of [`MessageStatus::as_str`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Complete, Self::Stopped, Self::Interrupted]
            .into_iter()
            .find(|s| s.as_str() == name)
    }
}

/// A picture that belongs to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The bytes or where they are.
    pub source: ImageSource,
}

/// Where a picture's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// An `http` or `https` address the model provider fetches.
    Url(String),
    /// The bytes, base64 (standard alphabet), with their media type (`image/png`).
    Base64 {
        /// Media type.
        media_type: String,
        /// Base64 text.
        data: String,
    },
}

/// One thing said in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Unique on the server.
    pub id: MessageId,
    /// Who may see it.
    pub owner: UserId,
    /// The conversation it belongs to.
    pub session: SessionId,
    /// Position in the session, from 1, without gaps except where messages were cleared.
    pub seq: u64,
    /// Who speaks.
    pub role: Role,
    /// What was said.
    pub text: String,
    /// Pictures, in order.
    pub images: Vec<Image>,
    /// Whether it is whole.
    pub status: MessageStatus,
    /// When it was stored.
    pub created_at: Timestamp,
    /// The run that produced or received it.
    pub run: Option<RunId>,
    /// The model that wrote it, `provider/model`.
    pub model: Option<String>,
    /// What it cost in tokens, over all steps of its run.
    pub usage: Option<Usage>,
}
