//! How remembering fails.

use thiserror::Error;

use crate::caller::ScopeDenied;
use crate::error::{ErrorKind, FieldError, INTERNAL_MESSAGE, ServiceError};
use crate::ports::RepositoryError;

/// How remembering fails.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// The caller has no such memory.
    #[error("no such memory")]
    NotFound,
    /// Fields of the request are wrong.
    #[error("invalid fields")]
    Invalid(Vec<FieldError>),
    /// The caller remembers as much as one user may.
    #[error("the memory is full")]
    Full,
    /// Somebody else changed it meanwhile.
    #[error("changed meanwhile")]
    Changed,
    /// The storage fails.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ServiceError for MemoryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::NotFound => ErrorKind::NotFound,
            Self::Invalid(fields) => ErrorKind::Invalid(fields.clone()),
            Self::Full | Self::Changed => ErrorKind::Conflict,
            Self::Repository(RepositoryError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Repository(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::NotFound => "memory_not_found",
            Self::Invalid(_) => "invalid",
            Self::Full => "memory_full",
            Self::Changed => "memory_changed",
            Self::Repository(RepositoryError::Unavailable(_)) => "storage_unavailable",
            Self::Repository(_) => "internal",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::NotFound => "Memory entry not found".to_owned(),
            Self::Invalid(fields) => fields
                .iter()
                .map(|field| format!("{} {}", field.field, field.error))
                .collect::<Vec<_>>()
                .join("; "),
            Self::Full => "The memory is full: forget something first".to_owned(),
            Self::Changed => "The memory was changed meanwhile: try again".to_owned(),
            Self::Repository(RepositoryError::Unavailable(_)) => {
                "Storage is unavailable".to_owned()
            }
            Self::Repository(_) => INTERNAL_MESSAGE.to_owned(),
        }
    }
}
