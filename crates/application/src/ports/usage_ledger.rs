//! Storage of what model calls used.

use async_trait::async_trait;
use majordomo_domain::{AuditRecord, BudgetWindow, Timestamp, UsageRecord, UsageSum, UserId};

use super::RepositoryError;

/// A model call that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedCall {
    /// What the ledger keeps of it.
    pub record: UsageRecord,
    /// The windows of budgets in which it counts.
    pub windows: Vec<BudgetWindow>,
}

/// The ledger of model calls. The last call of a chat turn is stored with the end of its run
/// ([`RunJournal::finish`](super::RunJournal::finish)), others through [`append`](Self::append). What a call has used is
/// added to each of its windows ([`BudgetRepository::spent`](super::BudgetRepository::spent)) in the same transaction.
#[async_trait]
pub trait UsageLedger: Send + Sync {
    /// Stores calls in one transaction, `Written`: all of them or none.
    async fn append(&self, calls: &[EndedCall]) -> Result<(), RepositoryError>;
    /// The owner's calls since `since`, added up by model, most calls first, `limit` models at most.
    async fn sums(
        &self,
        owner: &UserId,
        since: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<UsageSum>, RepositoryError>;
    /// The owner's latest calls, newest first, `limit` of them at most.
    async fn recent(&self, owner: &UserId, limit: u32)
    -> Result<Vec<UsageRecord>, RepositoryError>;
    /// Forgets the owner's calls and tells how many there were; the record of it is stored in the same transaction.
    async fn clear(&self, owner: &UserId, act: &AuditRecord) -> Result<u64, RepositoryError>;
}
