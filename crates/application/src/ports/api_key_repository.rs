//! Storage of API keys, by digest.

use async_trait::async_trait;
use majordomo_domain::{ApiKey, ApiKeyId, AuditRecord, Budget, Timestamp, UserId};

use super::RepositoryError;

/// SHA-256 of an API key.
pub type Digest = [u8; 32];

/// Stores API keys. The key itself never gets here. Every change is stored in one transaction with its audit record,
/// and the record is stored only where there was a change.
#[async_trait]
pub trait ApiKeyRepository: Send + Sync {
    /// Stores a key and what it may spend. MUST return `Conflict` when the id or the digest is taken.
    async fn insert(
        &self,
        key: &ApiKey,
        digest: &Digest,
        budgets: &[Budget],
        record: &AuditRecord,
    ) -> Result<(), RepositoryError>;
    /// The key with this digest, revoked and expired ones included. MUST use an index.
    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<ApiKey>, RepositoryError>;
    /// The owner's key with this id, revoked and expired ones included.
    async fn find(&self, owner: &UserId, id: &ApiKeyId) -> Result<Option<ApiKey>, RepositoryError>;
    /// The owner's keys, newest first, revoked ones included, at most `limit`.
    async fn list(&self, owner: &UserId, limit: u32) -> Result<Vec<ApiKey>, RepositoryError>;
    /// Revokes a key that is neither revoked nor expired; `false` when the owner has no such key.
    async fn revoke(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        at: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
    /// Switches a key that is not revoked on or off; `false` when the owner has no such key.
    async fn set_enabled(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        enabled: bool,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
    /// Stores the successor of a key that is neither revoked nor expired, and lets the old one end at `end` (or earlier,
    /// where it expires earlier); where `end` is not after `at` it is revoked. The budgets of the old key are set for its
    /// successor too, and what was spent of them counts on. `false` (and nothing stored) when the successor's owner has
    /// no such key.
    async fn rotate(
        &self,
        id: &ApiKeyId,
        successor: &ApiKey,
        digest: &Digest,
        at: Timestamp,
        end: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
    /// Notes that a key was used.
    async fn touch(&self, id: &ApiKeyId, at: Timestamp) -> Result<(), RepositoryError>;
}
