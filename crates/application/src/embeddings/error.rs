//! How asking for vectors fails.

use thiserror::Error;

use crate::caller::ScopeDenied;
use crate::error::{ErrorKind, FieldError, ServiceError};
use crate::models::ModelsError;
use crate::ports::{ModelError, ModelErrorKind};
use crate::usage::BudgetError;

/// How asking for vectors fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EmbeddingError {
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// There is no such embedding model, or it does not answer.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// Some budget does not allow this.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The model has vectors of this length only.
    #[error("the model's vectors have {0} numbers")]
    Dimensions(usize),
}

impl From<ModelError> for EmbeddingError {
    fn from(error: ModelError) -> Self {
        Self::Models(error.into())
    }
}

impl ServiceError for EmbeddingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(denied) => denied.kind(),
            // The model is the object that is asked for here, not a field of another.
            Self::Models(error) if error.is_unknown_model() => ErrorKind::NotFound,
            Self::Models(ModelsError::NoAnswer { last, .. })
                if matches!(
                    last.kind,
                    ModelErrorKind::Invalid | ModelErrorKind::ContextTooLong
                ) =>
            {
                ErrorKind::Invalid(vec![FieldError::new("input", last.message.clone())])
            }
            Self::Models(error) => error.kind(),
            Self::Budget(error) => error.kind(),
            Self::Dimensions(_) => {
                ErrorKind::Invalid(vec![FieldError::new("dimensions", self.public_message())])
            }
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::Models(error) => error.code(),
            Self::Budget(error) => error.code(),
            Self::Dimensions(_) => "validation_error",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::Models(error) => error.public_message(),
            Self::Budget(error) => error.public_message(),
            Self::Dimensions(length) => {
                format!("must be {length} or left out: the model has no other vectors")
            }
        }
    }
}
