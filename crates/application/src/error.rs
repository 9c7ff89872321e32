//! What every service error can say about itself, free of any transport.

use std::time::Duration;

/// What kind of failure this is. Each dialect maps it to a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// No such object for this caller.
    NotFound,
    /// The object's state forbids the act.
    Conflict,
    /// The input has one or more bad fields.
    Invalid(Vec<FieldError>),
    /// No credential, or a wrong one.
    Unauthenticated,
    /// The credential does not allow this.
    Forbidden,
    /// Too many requests.
    RateLimited {
        /// When to come back.
        retry_after: Duration,
    },
    /// The server has too much to do, or is about to start anew: the same request will do later.
    Busy {
        /// When to come back.
        retry_after: Duration,
    },
    /// A part this server needs does not answer; nobody knows when it will.
    Unavailable,
    /// A model provider or other outside service answered wrongly.
    Upstream,
    /// A defect or a storage failure; its cause is logged, never shown.
    Internal,
}

/// One bad field of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name, as the caller's dialect spells it.
    pub field: String,
    /// What is wrong with it.
    pub error: String,
}

impl FieldError {
    /// A bad field.
    pub fn new(field: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            error: error.into(),
        }
    }
}

/// An error of a service: what dialects render.
pub trait ServiceError: std::error::Error + Send + Sync + 'static {
    /// What kind of failure this is.
    fn kind(&self) -> ErrorKind;
    /// A stable name: `session_not_found`.
    fn code(&self) -> &'static str;
    /// Words safe to show. An internal failure always shows a fixed sentence.
    fn public_message(&self) -> String;
}

/// When to come back to a server that has too much to do, or is about to start anew.
pub const BUSY_RETRY: Duration = Duration::from_secs(5);

/// The sentence shown for every internal failure.
pub const INTERNAL_MESSAGE: &str = "An internal error occurred";
