//! Storage of memories.

use async_trait::async_trait;
use majordomo_domain::{AuditRecord, Memory, MemoryId, MemoryKind, Timestamp, UserId};

use super::RepositoryError;

/// In which order memories are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryOrder {
    /// The most important first, then the last found.
    Importance,
    /// The newest first.
    Newest,
}

/// Which memories to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryFilter {
    /// Only this kind.
    pub kind: Option<MemoryKind>,
    /// In this order.
    pub order: MemoryOrder,
    /// At most this many.
    pub limit: u32,
    /// After leaving out this many.
    pub offset: u32,
}

/// How inserting went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryInsert {
    /// All of them are stored.
    Stored,
    /// None of them is: the owner would have more than the limit.
    Full,
}

/// Stores memories. Every method sees the owner's only: another owner's memory does not exist.
#[async_trait]
pub trait MemoryRepository: Send + Sync {
    /// Stores memories of one owner, all of them or none: `Conflict` when an id is taken. `Full` when the owner would
    /// then have more than `most`. Appends `record`, if any, to the audit log with what is stored, in one transaction.
    /// MUST have reached the disk when it answers.
    async fn insert(
        &self,
        owner: &UserId,
        memories: &[Memory],
        most: u64,
        record: Option<&AuditRecord>,
    ) -> Result<MemoryInsert, RepositoryError>;

    /// Those of the memories that exist, in any order.
    async fn find(&self, owner: &UserId, ids: &[MemoryId]) -> Result<Vec<Memory>, RepositoryError>;

    /// A page of memories, and the count of all that the filter lets through.
    async fn list(
        &self,
        owner: &UserId,
        filter: MemoryFilter,
    ) -> Result<(Vec<Memory>, u64), RepositoryError>;

    /// The memories stored or replaced after the revision `after`, in the order of their revisions, at most `limit`.
    /// Revisions MUST become visible in their order, so that nothing is missed by who asks for more.
    async fn changes(
        &self,
        owner: &UserId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Memory>, RepositoryError>;

    /// Replaces content, summary, importance, tags, sources and times of those memories that still have the revision
    /// they are given with, and counts them. `rewritten` says that they say something else now: their vectors go. Appends
    /// `record`, if any, to the audit log unless there were none, in one transaction. MUST have reached the disk when it
    /// answers.
    async fn replace(
        &self,
        owner: &UserId,
        memories: &[Memory],
        rewritten: bool,
        record: Option<&AuditRecord>,
    ) -> Result<u64, RepositoryError>;

    /// Notes that these memories were found at `at`. No revision changes.
    async fn touch(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        at: Timestamp,
    ) -> Result<(), RepositoryError>;

    /// Forgets those of the memories that exist, with their vectors, counts them, and appends `record` to the audit log
    /// unless there were none; all in one transaction. Where `until` is given, those whose revision is later stay. MUST
    /// have reached the disk when it answers.
    async fn delete(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        until: Option<u64>,
        record: &AuditRecord,
    ) -> Result<u64, RepositoryError>;

    /// How many memories of each kind there are; kinds without any may be left out.
    async fn counts(&self, owner: &UserId) -> Result<Vec<(MemoryKind, u64)>, RepositoryError>;
}
