//! Storage of users.

use async_trait::async_trait;
use majordomo_domain::{AuditRecord, Timestamp, User, UserId, UserRole, Username};

use super::RepositoryError;

/// A user with the hash of their password; `None` for those who have none.
pub type UserWithPassword = (User, Option<String>);

/// Stores users. Every change is stored in one transaction with its audit record, and the record is stored only where
/// there was a change.
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Stores a user. MUST return `Conflict` when the id is taken, or the name, whatever its case.
    async fn insert(
        &self,
        user: &User,
        password_hash: Option<&str>,
        record: &AuditRecord,
    ) -> Result<(), RepositoryError>;
    /// The user with this id.
    async fn find(&self, id: &UserId) -> Result<Option<User>, RepositoryError>;
    /// The user with this name, whatever its case, with the hash of their password. MUST use an index.
    async fn find_by_name(
        &self,
        name: &Username,
    ) -> Result<Option<UserWithPassword>, RepositoryError>;
    /// The users, oldest first, at most `limit`.
    async fn list(&self, limit: u32) -> Result<Vec<User>, RepositoryError>;
    /// Gives a user another role and ends their tokens (a higher `token_version`); `false` when there is no such user.
    async fn set_role(
        &self,
        id: &UserId,
        role: UserRole,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
    /// Lets a user's credentials work or not, and ends their tokens; `false` when there is no such user.
    async fn set_enabled(
        &self,
        id: &UserId,
        enabled: bool,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
    /// Gives a user another password and ends their tokens; `false` when there is no such user, or, where a
    /// `token_version` is given, when the user's is another one: something has ended their tokens since it was read.
    async fn set_password(
        &self,
        id: &UserId,
        token_version: Option<u32>,
        password_hash: &str,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
    /// Notes that a user signed in.
    async fn note_login(
        &self,
        id: &UserId,
        at: Timestamp,
        record: &AuditRecord,
    ) -> Result<(), RepositoryError>;
}
