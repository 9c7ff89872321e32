//! API keys in memory.

use std::cmp::Reverse;

use async_trait::async_trait;
use majordomo_application::ports::api_key_repository::Digest;
use majordomo_application::ports::{ApiKeyRepository, RepositoryError};
use majordomo_domain::{ApiKey, ApiKeyId, AuditRecord, Budget, Timestamp, UserId};

use super::{InMemoryStore, State, count};

impl State {
    fn insert_key(&mut self, key: &ApiKey, digest: &Digest) -> Result<(), RepositoryError> {
        let id_taken = self.keys.values().any(|stored| stored.id == key.id);
        if id_taken || self.keys.contains_key(digest) {
            return Err(RepositoryError::Conflict);
        }
        self.keys.insert(*digest, key.clone());
        Ok(())
    }

    /// The owner's key, unless it is revoked.
    fn key_mut(&mut self, owner: &UserId, id: &ApiKeyId) -> Option<&mut ApiKey> {
        let mut keys = self.keys.values_mut();
        keys.find(|key| key.id == *id && key.owner == *owner && key.revoked_at.is_none())
    }

    /// The owner's key, unless it is revoked or expired at `now`.
    fn living_key(&mut self, owner: &UserId, id: &ApiKeyId, now: Timestamp) -> Option<&mut ApiKey> {
        self.key_mut(owner, id).filter(|key| key.is_alive(now))
    }
}

#[async_trait]
impl ApiKeyRepository for InMemoryStore {
    async fn insert(
        &self,
        key: &ApiKey,
        digest: &Digest,
        budgets: &[Budget],
        record: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        state.insert_key(key, digest)?;
        state.books.set_all(budgets);
        state.append_audit(record);
        Ok(())
    }

    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<ApiKey>, RepositoryError> {
        Ok(self.state().keys.get(digest).cloned())
    }

    async fn find(&self, owner: &UserId, id: &ApiKeyId) -> Result<Option<ApiKey>, RepositoryError> {
        let state = self.state();
        let mut keys = state.keys.values();
        Ok(keys
            .find(|key| key.id == *id && key.owner == *owner)
            .cloned())
    }

    async fn list(&self, owner: &UserId, limit: u32) -> Result<Vec<ApiKey>, RepositoryError> {
        let state = self.state();
        let keys = state.keys.values().filter(|key| key.owner == *owner);
        let mut keys: Vec<ApiKey> = keys.cloned().collect();
        keys.sort_by_key(|key| Reverse(key.created_at));
        keys.truncate(count(limit));
        Ok(keys)
    }

    async fn revoke(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        at: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let Some(key) = state.living_key(owner, id, at) else {
            return Ok(false);
        };
        key.revoked_at = Some(at);
        state.append_audit(record);
        Ok(true)
    }

    async fn set_enabled(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        enabled: bool,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let Some(key) = state.key_mut(owner, id) else {
            return Ok(false);
        };
        key.enabled = enabled;
        state.append_audit(record);
        Ok(true)
    }

    async fn rotate(
        &self,
        id: &ApiKeyId,
        successor: &ApiKey,
        digest: &Digest,
        at: Timestamp,
        end: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        if state.living_key(&successor.owner, id, at).is_none() {
            return Ok(false);
        }
        state.insert_key(successor, digest)?;
        state.books.inherit(id, &successor.id);
        if let Some(old) = state.living_key(&successor.owner, id, at) {
            if end <= at {
                old.revoked_at = Some(at);
            } else {
                old.expires_at = Some(old.expires_at.map_or(end, |expiry| expiry.min(end)));
            }
        }
        state.append_audit(record);
        Ok(true)
    }

    async fn touch(&self, id: &ApiKeyId, at: Timestamp) -> Result<(), RepositoryError> {
        let mut state = self.state();
        if let Some(key) = state.keys.values_mut().find(|key| key.id == *id) {
            key.last_used_at = Some(at);
        }
        Ok(())
    }
}
