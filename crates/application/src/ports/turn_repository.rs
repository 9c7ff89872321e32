//! Stored messages as memory reads them.

use async_trait::async_trait;
use majordomo_domain::{MemoryTurn, MessageId, SessionId, Timestamp, UserId};

use super::RepositoryError;

/// How far a session has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionMark {
    /// The session.
    pub session: SessionId,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// Position of its newest message.
    pub last_seq: u64,
    /// When it was last changed: active, or imported into.
    pub changed_at: Timestamp,
    /// When messages were last imported into it.
    pub imported_at: Option<Timestamp>,
}

/// Reads stored messages so that they can be remembered. Every method sees the owner's only.
#[async_trait]
pub trait TurnRepository: Send + Sync {
    /// The owner's sessions that were changed at `since` or later, the longest unchanged first, at most `limit`. One that
    /// was both active and imported into MAY be given for each.
    async fn sessions(
        &self,
        owner: &UserId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionMark>, RepositoryError>;

    /// What was said in a session after the position `after`, in order, at most `limit`. System messages and empty ones
    /// are left out. A long text MAY be cut, not below 16,000 characters.
    async fn turns(
        &self,
        owner: &UserId,
        session: &SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<MemoryTurn>, RepositoryError>;

    /// Those of the sessions that exist, in any order.
    async fn existing(
        &self,
        owner: &UserId,
        sessions: &[SessionId],
    ) -> Result<Vec<SessionId>, RepositoryError>;

    /// Those of the messages that exist, in any order.
    async fn find(
        &self,
        owner: &UserId,
        ids: &[MessageId],
    ) -> Result<Vec<MemoryTurn>, RepositoryError>;
}
