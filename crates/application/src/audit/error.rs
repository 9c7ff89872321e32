//! How the use cases of the audit log fail.

use thiserror::Error;

use crate::caller::ScopeDenied;
use crate::error::{ErrorKind, INTERNAL_MESSAGE, ServiceError};
use crate::ports::{AuditVaultError, RepositoryError};

/// How the use cases of the audit log fail.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// Storage failed.
    #[error("the audit log cannot be used")]
    Storage(#[from] RepositoryError),
    /// A file failed.
    #[error("a file of the audit log cannot be used")]
    Vault(#[from] AuditVaultError),
    /// The log was changed while it was archived.
    #[error("the audit log changed while it was archived")]
    Changed,
}

impl ServiceError for AuditError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::Storage(RepositoryError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Storage(_) | Self::Vault(_) => ErrorKind::Internal,
            Self::Changed => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::Storage(RepositoryError::Unavailable(_)) => "storage_unavailable",
            Self::Storage(_) | Self::Vault(_) => "internal",
            Self::Changed => "audit_changed",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::Storage(RepositoryError::Unavailable(_)) => "Storage is unavailable".to_owned(),
            Self::Storage(_) | Self::Vault(_) => INTERNAL_MESSAGE.to_owned(),
            Self::Changed => "The audit log was archived by somebody else".to_owned(),
        }
    }
}
