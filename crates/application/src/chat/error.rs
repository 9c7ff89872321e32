//! How chatting fails.

use std::time::Duration;

use majordomo_domain::{Outcome, TitleError};
use thiserror::Error;

use crate::caller::ScopeDenied;
use crate::error::{BUSY_RETRY, ErrorKind, FieldError, INTERNAL_MESSAGE, ServiceError};
use crate::models::ModelsError;
use crate::ports::RepositoryError;
use crate::usage::BudgetError;

/// When to come back after a queue was full.
const QUEUE_RETRY: Duration = Duration::from_secs(5);
/// When to come back after a model asked for a pause.
const MODEL_RETRY: Duration = Duration::from_secs(30);

/// How chatting fails.
#[derive(Debug, Error)]
pub enum ChatError {
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// The caller has no such session.
    #[error("no such session")]
    SessionNotFound,
    /// The caller has no such run.
    #[error("no such run")]
    RunNotFound,
    /// Nothing runs in the session.
    #[error("nothing runs")]
    NothingRunning,
    /// A field of the request is wrong.
    #[error("invalid field")]
    Invalid(FieldError),
    /// The model named does not exist.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// Too many messages wait in this session.
    #[error("the session's queue is full")]
    SessionQueueFull,
    /// Too many turns of this user wait.
    #[error("the user's queue is full")]
    UserQueueFull,
    /// Some budget does not allow this.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// Too many turns wait on this server.
    #[error("the server's queue is full")]
    Overloaded,
    /// The server is shutting down.
    #[error("shutting down")]
    ShuttingDown,
    /// The turn ended without an answer.
    #[error("the turn failed: {reason}")]
    TurnFailed {
        /// The outcome's reason.
        reason: String,
        /// Words fit for the user.
        message: String,
    },
    /// Storage failed.
    #[error("storage failed")]
    Storage(#[from] RepositoryError),
}

impl ChatError {
    /// The error of a turn that ended without an answer.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self::TurnFailed {
            reason: outcome.reason.clone(),
            message: outcome
                .error
                .clone()
                .unwrap_or_else(|| INTERNAL_MESSAGE.to_owned()),
        }
    }
}

impl From<TitleError> for ChatError {
    fn from(error: TitleError) -> Self {
        Self::Invalid(FieldError::new("title", error.to_string()))
    }
}

impl ServiceError for ChatError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::SessionNotFound | Self::RunNotFound | Self::NothingRunning => ErrorKind::NotFound,
            Self::Invalid(field) => ErrorKind::Invalid(vec![field.clone()]),
            Self::Models(error) => error.kind(),
            Self::Budget(error) => error.kind(),
            Self::SessionQueueFull | Self::UserQueueFull => ErrorKind::RateLimited {
                retry_after: QUEUE_RETRY,
            },
            Self::Overloaded | Self::ShuttingDown => ErrorKind::Busy {
                retry_after: BUSY_RETRY,
            },
            Self::Storage(RepositoryError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::TurnFailed { reason, message } => kind_of_failure(reason, message),
            Self::Storage(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::SessionNotFound => "session_not_found",
            Self::RunNotFound => "run_not_found",
            Self::NothingRunning => "nothing_running",
            Self::Invalid(_) => "invalid_field",
            Self::Models(error) => error.code(),
            Self::Budget(error) => error.code(),
            Self::UserQueueFull => "user_queue_full",
            Self::SessionQueueFull => "session_queue_full",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::TurnFailed { reason, .. } => match reason.as_str() {
                "budget_exceeded" => "budget_exceeded",
                "model_not_found" => "model_not_found",
                _ => "turn_failed",
            },
            Self::Storage(_) => "storage",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::SessionNotFound => "Session not found".to_owned(),
            Self::RunNotFound => "Run not found".to_owned(),
            Self::NothingRunning => "No active stream for this session".to_owned(),
            Self::Invalid(field) => field.error.clone(),
            Self::Models(error) => error.public_message(),
            Self::Budget(error) => error.public_message(),
            Self::UserQueueFull => "Too many messages of this user wait".to_owned(),
            Self::SessionQueueFull => "Too many messages wait in this session".to_owned(),
            Self::Overloaded => "The server is busy".to_owned(),
            Self::ShuttingDown => "The server is shutting down".to_owned(),
            Self::TurnFailed { message, .. } => message.clone(),
            Self::Storage(RepositoryError::Unavailable(_)) => "Storage is unavailable".to_owned(),
            Self::Storage(_) => INTERNAL_MESSAGE.to_owned(),
        }
    }
}

fn kind_of_failure(reason: &str, message: &str) -> ErrorKind {
    match reason {
        "rate_limited" | "budget_exceeded" | "budget_reserved" => ErrorKind::RateLimited {
            retry_after: MODEL_RETRY,
        },
        "overloaded" => ErrorKind::Busy {
            retry_after: MODEL_RETRY,
        },
        "budget_unavailable" | "unavailable" | "timeout" | "cancelled" | "interrupted"
        | "storage" => ErrorKind::Unavailable,
        "invalid" | "context_too_long" => {
            ErrorKind::Invalid(vec![FieldError::new("message", message)])
        }
        "model_not_found" => ErrorKind::Invalid(vec![FieldError::new("model", message)]),
        "refused" | "model_unpriced" => ErrorKind::Forbidden,
        "stopped" => ErrorKind::Conflict,
        "auth" | "malformed" | "loop" => ErrorKind::Upstream,
        _ => ErrorKind::Internal,
    }
}
