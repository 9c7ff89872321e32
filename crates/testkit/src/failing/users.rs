//! Users of a failing store.

use async_trait::async_trait;
use majordomo_application::ports::{RepositoryError, UserRepository, UserWithPassword};
use majordomo_domain::{AuditRecord, Timestamp, User, UserId, UserRole, Username};

use super::FailingStore;

#[async_trait]
impl UserRepository for FailingStore {
    async fn insert(
        &self,
        user: &User,
        password_hash: Option<&str>,
        record: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        self.call(
            "users.insert",
            self.users.insert(user, password_hash, record),
        )
        .await
    }

    async fn find(&self, id: &UserId) -> Result<Option<User>, RepositoryError> {
        self.call("users.find", self.users.find(id)).await
    }

    async fn find_by_name(
        &self,
        name: &Username,
    ) -> Result<Option<UserWithPassword>, RepositoryError> {
        self.call("users.find_by_name", self.users.find_by_name(name))
            .await
    }

    async fn list(&self, limit: u32) -> Result<Vec<User>, RepositoryError> {
        self.call("users.list", self.users.list(limit)).await
    }

    async fn set_role(
        &self,
        id: &UserId,
        role: UserRole,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call("users.set_role", self.users.set_role(id, role, record))
            .await
    }

    async fn set_enabled(
        &self,
        id: &UserId,
        enabled: bool,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call(
            "users.set_enabled",
            self.users.set_enabled(id, enabled, record),
        )
        .await
    }

    async fn set_password(
        &self,
        id: &UserId,
        token_version: Option<u32>,
        password_hash: &str,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.call(
            "users.set_password",
            self.users
                .set_password(id, token_version, password_hash, record),
        )
        .await
    }

    async fn note_login(
        &self,
        id: &UserId,
        at: Timestamp,
        record: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        self.call("users.note_login", self.users.note_login(id, at, record))
            .await
    }
}
