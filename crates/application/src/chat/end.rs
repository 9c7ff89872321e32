//! How a turn came to its end.

use majordomo_domain::RunStatus;

use crate::error::ServiceError as _;
use crate::ports::{ModelError, RepositoryError};
use crate::usage::BudgetError;

/// How a turn came to its end.
pub(super) struct End {
    pub(super) status: RunStatus,
    pub(super) reason: String,
    pub(super) error: Option<String>,
}

impl End {
    pub(super) fn completed(reason: &str) -> Self {
        Self {
            status: RunStatus::Completed,
            reason: reason.to_owned(),
            error: None,
        }
    }

    pub(super) fn failed(reason: &str, error: impl Into<String>) -> Self {
        Self {
            status: RunStatus::Failed,
            reason: reason.to_owned(),
            error: Some(error.into()),
        }
    }

    pub(super) fn cut(status: RunStatus, reason: &str) -> Self {
        Self {
            status,
            reason: reason.to_owned(),
            error: Some(format!("The answer was {reason}")),
        }
    }
}

impl From<RepositoryError> for End {
    fn from(error: RepositoryError) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "a run's journal cannot be written"
        );
        Self::failed("storage", "Storage is unavailable")
    }
}

impl From<BudgetError> for End {
    fn from(error: BudgetError) -> Self {
        Self::failed(error.code(), error.public_message())
    }
}

impl From<ModelError> for End {
    fn from(error: ModelError) -> Self {
        Self::failed(error.code(), error.message)
    }
}
