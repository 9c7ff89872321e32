//! The latest errors of the server, for its operator.

use async_trait::async_trait;
use majordomo_domain::Timestamp;

use super::RepositoryError;
use super::health_check::Severity;

/// An error that was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLoggedError {
    /// The part of the program that noticed it.
    pub source: String,
    /// How bad it is.
    pub severity: Severity,
    /// What happened.
    pub message: String,
    /// Its causes, one a line; may be empty.
    pub trace: String,
    /// What else is known: request, run, and what the program noted, by name.
    pub context: Vec<(String, String)>,
}

/// An error that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedError {
    /// Twelve hexadecimal digits.
    pub id: String,
    /// When it was noticed.
    pub at: Timestamp,
    /// What was noticed, long texts cut.
    pub error: NewLoggedError,
}

/// Keeps the latest errors, over restarts too.
#[async_trait]
pub trait ErrorLog: Send + Sync {
    /// Keeps an error. MUST NOT block; under a flood of errors some may be lost.
    fn record(&self, error: NewLoggedError);
    /// The newest first, `limit` at most; with `search` those whose message, source or trace holds it, whatever the
    /// case of its letters.
    async fn newest(
        &self,
        limit: usize,
        search: Option<&str>,
    ) -> Result<Vec<LoggedError>, RepositoryError>;
    /// Forgets all errors for good.
    async fn clear(&self) -> Result<(), RepositoryError>;
}
