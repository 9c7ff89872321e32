//! Why settings cannot be read or changed.

use thiserror::Error;

use crate::caller::ScopeDenied;
use crate::error::{ErrorKind, FieldError, INTERNAL_MESSAGE, ServiceError};
use crate::ports::RepositoryError;
use crate::settings::UnreadableSecret;

/// Settings cannot be read or changed.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The credential does not allow it.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// Only owner and administrators change what holds for everybody.
    #[error("only the owner and administrators may change the settings of the installation")]
    NotAdministrator,
    /// Values that make no sense. Nothing was changed.
    #[error("{} settings are wrong", .0.len())]
    Invalid(Vec<FieldError>),
    /// Storage failed.
    #[error("settings cannot be stored or read")]
    Storage(#[from] RepositoryError),
    /// A stored secret cannot be opened.
    #[error(transparent)]
    Secret(#[from] UnreadableSecret),
}

impl From<FieldError> for SettingsError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl ServiceError for SettingsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::NotAdministrator => ErrorKind::Forbidden,
            Self::Invalid(fields) => ErrorKind::Invalid(fields.clone()),
            Self::Storage(RepositoryError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Storage(_) | Self::Secret(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::NotAdministrator => "not_administrator",
            Self::Invalid(_) => "validation_error",
            Self::Storage(RepositoryError::Unavailable(_)) => "storage_unavailable",
            Self::Storage(_) | Self::Secret(_) => "internal",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::NotAdministrator | Self::Invalid(_) => self.to_string(),
            Self::Storage(RepositoryError::Unavailable(_)) => {
                "The database does not answer".to_owned()
            }
            Self::Storage(_) | Self::Secret(_) => INTERNAL_MESSAGE.to_owned(),
        }
    }
}
