//! The latest errors, for the operator.

use async_trait::async_trait;
use majordomo_domain::Scope;
use thiserror::Error;

use super::health::HealthService;
use crate::caller::{Caller, ScopeDenied};
use crate::error::{ErrorKind, INTERNAL_MESSAGE, ServiceError};
use crate::ports::{ErrorLog, LoggedError, NewLoggedError, RepositoryError};

/// Errors told at once at most.
pub(super) const MAX_LIMIT: usize = 500;

/// Which of the latest errors are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorQuery {
    /// How many at most; 500 whatever is asked.
    pub limit: usize,
    /// What their message, source or trace must hold; nothing for all.
    pub search: Option<String>,
}

/// Why the latest errors cannot be told or forgotten.
#[derive(Debug, Error)]
pub enum ErrorLogError {
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// They cannot be read or written.
    #[error("the error log does not answer")]
    Storage(#[from] RepositoryError),
}

impl ServiceError for ErrorLogError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::Storage(RepositoryError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Storage(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::Storage(_) => "error_log_unavailable",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::Storage(RepositoryError::Unavailable(_)) => self.to_string(),
            Self::Storage(_) => INTERNAL_MESSAGE.to_owned(),
        }
    }
}

impl HealthService {
    /// The latest errors, newest first. They are those of the whole server, so only its administrators see them.
    pub async fn errors(
        &self,
        caller: &Caller,
        query: ErrorQuery,
    ) -> Result<Vec<LoggedError>, ErrorLogError> {
        caller.require(Scope::Admin)?;
        let search = query.search.as_deref().filter(|text| !text.is_empty());
        let limit = query.limit.min(MAX_LIMIT);
        Ok(self.errors.newest(limit, search).await?)
    }

    /// Forgets the latest errors. They are in a file, so the record comes first: nothing is forgotten without one.
    pub async fn clear_errors(&self, caller: &Caller) -> Result<(), ErrorLogError> {
        caller.require_change(Scope::Admin)?;
        if let Some(audit) = &self.audit {
            let act = caller.record("errors.clear", self.clock.now());
            audit.append(&act).await?;
        }
        Ok(self.errors.clear().await?)
    }
}

/// Keeps no errors.
pub struct DisabledErrorLog;

#[async_trait]
impl ErrorLog for DisabledErrorLog {
    fn record(&self, _: NewLoggedError) {}

    async fn newest(&self, _: usize, _: Option<&str>) -> Result<Vec<LoggedError>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn clear(&self) -> Result<(), RepositoryError> {
        Ok(())
    }
}
