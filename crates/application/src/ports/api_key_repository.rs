//! Storage of API keys, by digest.

use async_trait::async_trait;
use majordomo_domain::{ApiKey, ApiKeyId, Timestamp, UserId};

use super::RepositoryError;

/// SHA-256 of an API key.
pub type Digest = [u8; 32];

/// Stores API keys. The key itself never gets here.
#[async_trait]
pub trait ApiKeyRepository: Send + Sync {
    /// Stores a key. MUST return `Conflict` when the id or the digest is taken.
    async fn insert(&self, key: &ApiKey, digest: &Digest) -> Result<(), RepositoryError>;
    /// The key with this digest, revoked and expired ones included. MUST use an index.
    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<ApiKey>, RepositoryError>;
    /// The owner's keys, newest first, revoked ones included, at most `limit`.
    async fn list(&self, owner: &UserId, limit: u32) -> Result<Vec<ApiKey>, RepositoryError>;
    /// Revokes an active key; `false` when the owner has no such active key.
    async fn revoke(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        at: Timestamp,
    ) -> Result<bool, RepositoryError>;
    /// Revokes an active key and stores its successor in one transaction; `false` (and nothing stored) when the
    /// owner has no such active key.
    async fn rotate(
        &self,
        id: &ApiKeyId,
        successor: &ApiKey,
        digest: &Digest,
        at: Timestamp,
    ) -> Result<bool, RepositoryError>;
    /// Notes that a key was used.
    async fn touch(&self, id: &ApiKeyId, at: Timestamp) -> Result<(), RepositoryError>;
}
