//! Storage of the audit log: entries in a chain of hashes.
//!
//! Most records do not come through this port: a repository method that does an act which matters to security takes
//! its [`AuditRecord`] and appends it in the act's own transaction, as that transaction's last statement.

use async_trait::async_trait;
use majordomo_domain::{AuditChain, AuditEntry, AuditHash, AuditRecord, Timestamp, UserId};

use super::RepositoryError;

/// Which entries are wanted. An absent condition holds for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Only what this user did.
    pub actor: Option<UserId>,
    /// Only this act.
    pub action: Option<String>,
    /// Only from this time on.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub to: Option<Timestamp>,
    /// Only entries with a smaller place.
    pub before: Option<u64>,
    /// At most this many.
    pub limit: u32,
}

/// Stores the audit log. Entries can only be added at the end and taken away, once they are archived, at the beginning.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends a record whose act stores nothing itself. MUST give it the next place and link it to the entry before,
    /// whatever else appends at the same time, and reach the disk before it answers.
    async fn append(&self, record: &AuditRecord) -> Result<(), RepositoryError>;
    /// The entries that fit, newest first.
    async fn list(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, RepositoryError>;
    /// The entries after a place, oldest first, at most `limit`. MUST read every entry back as it is stored.
    async fn page(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, RepositoryError>;
    /// Both ends of the chain.
    async fn chain(&self) -> Result<AuditChain, RepositoryError>;
    /// Takes all entries up to `last` away, makes `last` and its `hash` the chain's base and appends `record`, in one
    /// transaction; `false`, and nothing done, unless `last` is stored with this hash.
    async fn remove_archived(
        &self,
        last: u64,
        hash: &AuditHash,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
}
