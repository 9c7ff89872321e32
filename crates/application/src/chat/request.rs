//! A message to the agent, before it is accepted.

use majordomo_domain::{Channel, Image, RunOptions, SessionId};

use super::error::ChatError;
use crate::error::FieldError;

/// Longest message, in characters.
const MAX_TEXT: usize = 100_000;
/// Pictures per message at most.
const MAX_IMAGES: usize = 16;

/// What becomes of a message to a session in which a turn runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBusy {
    /// It waits.
    Queue,
    /// What runs and waits is stopped, and it goes next.
    Replace,
}

/// A message to the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct SendMessage {
    /// The session, begun if there is none with this id; a new one when `None`.
    pub session: Option<SessionId>,
    /// Where it comes from.
    pub channel: Channel,
    /// What is said; may be blank only beside a picture.
    pub text: String,
    /// Pictures.
    pub images: Vec<Image>,
    /// What is asked beyond the message.
    pub options: RunOptions,
    /// What becomes of it when a turn runs.
    pub when_busy: WhenBusy,
}

/// PostgreSQL's text cannot hold NUL characters; nobody means to say one.
pub(super) fn without_nul(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

pub(super) fn validate(request: &SendMessage) -> Result<(), ChatError> {
    let error = if request.text.trim().is_empty() && request.images.is_empty() {
        "cannot be empty".to_owned()
    } else if request.text.chars().count() > MAX_TEXT {
        format!("must not be longer than {MAX_TEXT} characters")
    } else if request.images.len() > MAX_IMAGES {
        format!("must not have more than {MAX_IMAGES} images")
    } else {
        return Ok(());
    };
    Err(ChatError::Invalid(FieldError::new("message", error)))
}
