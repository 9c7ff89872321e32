//! Storage of what the server finds when it examines itself.

use async_trait::async_trait;
use majordomo_domain::{AuditRecord, SelfAuditReport, Timestamp};

use super::RepositoryError;

/// How an API key of any owner is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

/// Stores one report for each day, and tells how keys are used.
#[async_trait]
pub trait SelfAuditRepository: Send + Sync {
    /// Stores the report of its day, in the place of an earlier one, and forgets those of days before `oldest`
    /// (`YYYY-MM-DD`); appends `audit` in the same transaction.
    async fn put(
        &self,
        report: &SelfAuditReport,
        oldest: &str,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError>;
    /// The report of the day `date` (`YYYY-MM-DD`).
    async fn find(&self, date: &str) -> Result<Option<SelfAuditReport>, RepositoryError>;
    /// The newest reports, newest first, at most `limit`.
    async fn list(&self, limit: u32) -> Result<Vec<SelfAuditReport>, RepositoryError>;
    /// The keys that are not revoked, of every owner, oldest first, at most `limit`.
    async fn keys_in_use(&self, limit: u32) -> Result<Vec<KeyUse>, RepositoryError>;
}
