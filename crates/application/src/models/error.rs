//! How choosing and asking a model fails.

use std::time::Duration;

use majordomo_domain::Hop;
use thiserror::Error;

use crate::error::{ErrorKind, FieldError, ServiceError};
use crate::ports::{ModelError, ModelErrorKind};

/// What is suggested as a pause when a provider names none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(30);

/// How choosing and asking a model fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelsError {
    /// No provider offers a model of this name.
    #[error("unknown model")]
    UnknownModel(String),
    /// No model of the chain answered.
    #[error("no model answered")]
    NoAnswer {
        /// The models that were asked in vain or left alone.
        hops: Vec<Hop>,
        /// The last failure.
        last: ModelError,
    },
}

impl ModelsError {
    /// Whether there is no such model, here or at its provider.
    pub fn is_unknown_model(&self) -> bool {
        match self {
            Self::UnknownModel(_) => true,
            Self::NoAnswer { last, .. } => last.kind == ModelErrorKind::UnknownModel,
        }
    }
}

impl From<ModelError> for ModelsError {
    fn from(last: ModelError) -> Self {
        Self::NoAnswer {
            hops: Vec::new(),
            last,
        }
    }
}

impl ServiceError for ModelsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownModel(_) => {
                ErrorKind::Invalid(vec![FieldError::new("model", self.public_message())])
            }
            Self::NoAnswer { last, .. } => kind_of(last),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::UnknownModel(_) => "model_not_found",
            Self::NoAnswer { last, .. } => last.code(),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::UnknownModel(name) => format!("The model `{name}` does not exist"),
            Self::NoAnswer { last, .. } => last.message.clone(),
        }
    }
}

fn kind_of(error: &ModelError) -> ErrorKind {
    match &error.kind {
        ModelErrorKind::RateLimited { retry_after } => ErrorKind::RateLimited {
            retry_after: retry_after.unwrap_or(DEFAULT_RETRY_AFTER),
        },
        ModelErrorKind::Overloaded { retry_after } => ErrorKind::Busy {
            retry_after: *retry_after,
        },
        ModelErrorKind::ContextTooLong | ModelErrorKind::Invalid => {
            ErrorKind::Invalid(vec![FieldError::new("messages", error.message.clone())])
        }
        ModelErrorKind::UnknownModel => {
            ErrorKind::Invalid(vec![FieldError::new("model", error.message.clone())])
        }
        ModelErrorKind::Refused => ErrorKind::Forbidden,
        ModelErrorKind::Unavailable | ModelErrorKind::Timeout | ModelErrorKind::Cancelled => {
            ErrorKind::Unavailable
        }
        ModelErrorKind::Auth | ModelErrorKind::Malformed => ErrorKind::Upstream,
    }
}
