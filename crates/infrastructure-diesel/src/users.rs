//! Users, by id and by name.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{Durability, RepositoryError, UserRepository, UserWithPassword};
use majordomo_domain::{AuditRecord, Timestamp, User, UserId, UserRole, Username};

use super::audit::append;
use super::error::{Outcome, corrupt, micros};
use super::schema::users;
use crate::backend::{Conn, Database};

/// A row of `users`. The folded name is never read back.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct UserRow {
    id: String,
    username: String,
    role: String,
    enabled: bool,
    token_version: i64,
    created_at: i64,
    last_login_at: Option<i64>,
}

impl TryFrom<UserRow> for User {
    type Error = RepositoryError;

    fn try_from(row: UserRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("users", column, &row.id);
        Ok(Self {
            username: Username::parse(&row.username).map_err(|_| bad("username"))?,
            role: UserRole::parse(&row.role).ok_or_else(|| bad("role"))?,
            token_version: u32::try_from(row.token_version).map_err(|_| bad("token_version"))?,
            id: UserId::parse(row.id.as_str()).map_err(|_| bad("id"))?,
            enabled: row.enabled,
            created_at: Timestamp::from_micros(row.created_at),
            last_login_at: row.last_login_at.map(Timestamp::from_micros),
        })
    }
}

async fn insert(conn: &mut Conn, user: &User, password_hash: Option<&str>) -> Outcome<()> {
    diesel::insert_into(users::table)
        .values((
            users::id.eq(user.id.as_str()),
            users::username.eq(user.username.as_str()),
            users::username_folded.eq(user.username.folded()),
            users::role.eq(user.role.as_str()),
            users::enabled.eq(user.enabled),
            users::token_version.eq(i64::from(user.token_version)),
            users::password_hash.eq(password_hash),
            users::created_at.eq(user.created_at.as_micros()),
            users::last_login_at.eq(micros(user.last_login_at)),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// What is changed of a user, besides the count of what ended their tokens.
#[derive(Clone)]
enum Change {
    Role(UserRole),
    Enabled(bool),
    /// The hash, and the `token_version` that must still hold, if any.
    Password(String, Option<u32>),
}

async fn change(conn: &mut Conn, id: &UserId, change: &Change) -> Outcome<bool> {
    let row = users::table.find(id.as_str());
    let ended = users::token_version.eq(users::token_version + 1);
    let changed = match change {
        Change::Role(role) => {
            let set = (users::role.eq(role.as_str()), ended);
            diesel::update(row).set(set).execute(conn).await?
        }
        Change::Enabled(enabled) => {
            let set = (users::enabled.eq(*enabled), ended);
            diesel::update(row).set(set).execute(conn).await?
        }
        Change::Password(hash, None) => {
            let set = (users::password_hash.eq(Some(hash.as_str())), ended);
            diesel::update(row).set(set).execute(conn).await?
        }
        Change::Password(hash, Some(version)) => {
            let set = (users::password_hash.eq(Some(hash.as_str())), ended);
            let row = row.filter(users::token_version.eq(i64::from(*version)));
            diesel::update(row).set(set).execute(conn).await?
        }
    };
    Ok(changed > 0)
}

/// Stores users in a database.
pub struct DieselUserRepository {
    db: Arc<Database>,
}

impl DieselUserRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }

    async fn change(
        &self,
        id: &UserId,
        what: Change,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let input = (id.clone(), what, record.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (id, what, record)| {
                Box::pin(async move {
                    let changed = change(conn, id, what).await?;
                    if changed {
                        append(conn, record).await?;
                    }
                    Ok(changed)
                })
            })
            .await
    }
}

#[async_trait]
impl UserRepository for DieselUserRepository {
    async fn insert(
        &self,
        user: &User,
        password_hash: Option<&str>,
        record: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let input = (
            user.clone(),
            password_hash.map(str::to_owned),
            record.clone(),
        );
        self.db
            .write(Durability::Flushed, input, |conn, (user, hash, record)| {
                Box::pin(async move {
                    insert(conn, user, hash.as_deref()).await?;
                    append(conn, record).await
                })
            })
            .await
    }

    async fn find(&self, id: &UserId) -> Result<Option<User>, RepositoryError> {
        self.db
            .read(id.clone(), |conn, id| {
                Box::pin(async move {
                    let row: Option<UserRow> = users::table
                        .find(id.as_str())
                        .select(UserRow::as_select())
                        .first(conn)
                        .await
                        .optional()?;
                    Ok(row.map(User::try_from).transpose()?)
                })
            })
            .await
    }

    async fn find_by_name(
        &self,
        name: &Username,
    ) -> Result<Option<UserWithPassword>, RepositoryError> {
        self.db
            .read(name.folded(), |conn, folded| {
                Box::pin(async move {
                    let row: Option<(UserRow, Option<String>)> = users::table
                        .filter(users::username_folded.eq(folded.as_str()))
                        .select((UserRow::as_select(), users::password_hash))
                        .first(conn)
                        .await
                        .optional()?;
                    let Some((row, hash)) = row else {
                        return Ok(None);
                    };
                    Ok(Some((User::try_from(row)?, hash)))
                })
            })
            .await
    }

    async fn list(&self, limit: u32) -> Result<Vec<User>, RepositoryError> {
        self.db
            .read(limit, |conn, limit| {
                Box::pin(async move {
                    let rows: Vec<UserRow> = users::table
                        .order((users::created_at.asc(), users::id.asc()))
                        .limit(i64::from(*limit))
                        .select(UserRow::as_select())
                        .load(conn)
                        .await?;
                    let users: Result<_, RepositoryError> =
                        rows.into_iter().map(User::try_from).collect();
                    Ok(users?)
                })
            })
            .await
    }

    async fn set_role(
        &self,
        id: &UserId,
        role: UserRole,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.change(id, Change::Role(role), record).await
    }

    async fn set_enabled(
        &self,
        id: &UserId,
        enabled: bool,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.change(id, Change::Enabled(enabled), record).await
    }

    async fn set_password(
        &self,
        id: &UserId,
        token_version: Option<u32>,
        password_hash: &str,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let what = Change::Password(password_hash.to_owned(), token_version);
        self.change(id, what, record).await
    }

    async fn note_login(
        &self,
        id: &UserId,
        at: Timestamp,
        record: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let input = (id.clone(), at, record.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (id, at, record)| {
                Box::pin(async move {
                    diesel::update(users::table.find(id.as_str()))
                        .set(users::last_login_at.eq(Some(at.as_micros())))
                        .execute(conn)
                        .await?;
                    append(conn, record).await
                })
            })
            .await
    }
}
