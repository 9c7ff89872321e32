//! Users in memory.

use async_trait::async_trait;
use majordomo_application::ports::{RepositoryError, UserRepository, UserWithPassword};
use majordomo_domain::{AuditRecord, Timestamp, User, UserId, UserRole, Username};

use super::{InMemoryStore, count};

impl InMemoryStore {
    /// Changes a user, ends their tokens and appends `record`; `false` when there is none.
    fn change_user(
        &self,
        id: &UserId,
        record: &AuditRecord,
        change: impl FnOnce(&mut UserWithPassword),
    ) -> bool {
        let mut state = self.state();
        let Some(stored) = state.users.get_mut(id) else {
            return false;
        };
        stored.0.token_version += 1;
        change(stored);
        state.append_audit(record);
        true
    }
}

#[async_trait]
impl UserRepository for InMemoryStore {
    async fn insert(
        &self,
        user: &User,
        password_hash: Option<&str>,
        record: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let mut stored = state.users.values();
        if stored.any(|(other, _)| other.id == user.id || other.username == user.username) {
            return Err(RepositoryError::Conflict);
        }
        let row = (user.clone(), password_hash.map(str::to_owned));
        state.users.insert(user.id.clone(), row);
        state.append_audit(record);
        Ok(())
    }

    async fn find(&self, id: &UserId) -> Result<Option<User>, RepositoryError> {
        Ok(self.state().users.get(id).map(|(user, _)| user.clone()))
    }

    async fn find_by_name(
        &self,
        name: &Username,
    ) -> Result<Option<UserWithPassword>, RepositoryError> {
        let state = self.state();
        let mut users = state.users.values();
        Ok(users.find(|(user, _)| user.username == *name).cloned())
    }

    async fn list(&self, limit: u32) -> Result<Vec<User>, RepositoryError> {
        let state = self.state();
        let mut users: Vec<User> = state.users.values().map(|(user, _)| user.clone()).collect();
        users.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        users.truncate(count(limit));
        Ok(users)
    }

    async fn set_role(
        &self,
        id: &UserId,
        role: UserRole,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        Ok(self.change_user(id, record, |(user, _)| user.role = role))
    }

    async fn set_enabled(
        &self,
        id: &UserId,
        enabled: bool,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        Ok(self.change_user(id, record, |(user, _)| user.enabled = enabled))
    }

    async fn set_password(
        &self,
        id: &UserId,
        token_version: Option<u32>,
        password_hash: &str,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let found = self.find(id).await?;
        if found
            .is_none_or(|user| token_version.is_some_and(|version| version != user.token_version))
        {
            return Ok(false);
        }
        let hash = Some(password_hash.to_owned());
        Ok(self.change_user(id, record, |(_, stored)| *stored = hash))
    }

    async fn note_login(
        &self,
        id: &UserId,
        at: Timestamp,
        record: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        if let Some((user, _)) = state.users.get_mut(id) {
            user.last_login_at = Some(at);
        }
        state.append_audit(record);
        Ok(())
    }
}
