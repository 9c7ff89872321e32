//! API keys, by digest.

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::api_key_repository::Digest;
use majordomo_application::ports::{ApiKeyRepository, Durability, RepositoryError};
use majordomo_domain::{
    ApiKey, ApiKeyId, AuditRecord, Budget, KeyLimits, Scope, Scopes, Timestamp, UserId,
};

use super::audit::append;
use super::budgets;
use super::error::{Outcome, corrupt, micros};
use super::schema::api_keys;
use crate::backend::{self, Conn, Database};

/// A row of `api_keys` without the digest, which nobody reads back.
#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys)]
struct ApiKeyRow {
    id: String,
    owner: String,
    name: String,
    prefix: String,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
    enabled: bool,
    addresses: String,
    models: String,
    requests_per_minute: Option<i64>,
}

impl ApiKeyRow {
    /// The limits, or the column that cannot be read.
    fn limits(&self) -> Result<KeyLimits, &'static str> {
        let addresses: Result<_, _> = self.addresses.split_whitespace().map(str::parse).collect();
        let requests_per_minute = self.requests_per_minute.map(|stored| {
            let limit = u32::try_from(stored).ok().and_then(NonZeroU32::new);
            limit.ok_or("requests_per_minute")
        });
        let models = backend::decode_text(self.models.clone());
        Ok(KeyLimits {
            addresses: addresses.map_err(|_| "addresses")?,
            models: models.lines().map(str::to_owned).collect(),
            requests_per_minute: requests_per_minute.transpose()?,
        })
    }
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = RepositoryError;

    fn try_from(row: ApiKeyRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("api_keys", column, &row.id);
        let scopes: Option<Scopes> = row.scopes.split_whitespace().map(Scope::parse).collect();
        Ok(Self {
            limits: Arc::new(row.limits().map_err(bad)?),
            enabled: row.enabled,
            id: ApiKeyId::parse(row.id.as_str()).map_err(|_| bad("id"))?,
            owner: UserId::parse(row.owner).map_err(|_| bad("owner"))?,
            scopes: scopes.ok_or_else(|| bad("scopes"))?,
            name: backend::decode_text(row.name),
            prefix: backend::decode_text(row.prefix),
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
        })
    }
}

async fn insert(conn: &mut Conn, key: &ApiKey, digest: &Digest) -> Outcome<()> {
    let scopes: Vec<_> = key.scopes.iter().map(Scope::as_str).collect();
    let limits = &key.limits;
    let addresses: Vec<_> = limits.addresses.iter().map(ToString::to_string).collect();
    let requests_per_minute = limits
        .requests_per_minute
        .map(|limit| i64::from(limit.get()));
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::id.eq(key.id.as_str()),
            api_keys::owner.eq(key.owner.as_str()),
            api_keys::digest.eq(digest.as_slice()),
            api_keys::name.eq(backend::encode_text(&key.name)),
            api_keys::prefix.eq(backend::encode_text(&key.prefix)),
            api_keys::scopes.eq(scopes.join(" ")),
            api_keys::created_at.eq(key.created_at.as_micros()),
            api_keys::expires_at.eq(micros(key.expires_at)),
            api_keys::last_used_at.eq(micros(key.last_used_at)),
            api_keys::revoked_at.eq(micros(key.revoked_at)),
            api_keys::enabled.eq(key.enabled),
            api_keys::addresses.eq(addresses.join(" ")),
            api_keys::models.eq(backend::encode_text(&limits.models.join("\n"))),
            api_keys::requests_per_minute.eq(requests_per_minute),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends a key that is neither revoked nor expired at `end`, at once where that is not after `at`.
async fn end(
    conn: &mut Conn,
    owner: &UserId,
    id: &ApiKeyId,
    at: Timestamp,
    end: Timestamp,
) -> Outcome<bool> {
    let alive = api_keys::table
        .filter(api_keys::id.eq(id.as_str()))
        .filter(api_keys::owner.eq(owner.as_str()))
        .filter(api_keys::revoked_at.is_null())
        .filter(
            api_keys::expires_at
                .is_null()
                .or(api_keys::expires_at.assume_not_null().gt(at.as_micros())),
        );
    if end <= at {
        let revoked = diesel::update(alive)
            .set(api_keys::revoked_at.eq(Some(at.as_micros())))
            .execute(conn)
            .await?;
        return Ok(revoked > 0);
    }
    let expiry: Option<Option<i64>> = alive
        .select(api_keys::expires_at)
        .first(conn)
        .await
        .optional()?;
    let Some(expiry) = expiry else {
        return Ok(false);
    };
    let end = expiry.map_or(end.as_micros(), |expiry| expiry.min(end.as_micros()));
    let ended = diesel::update(alive)
        .set(api_keys::expires_at.eq(Some(end)))
        .execute(conn)
        .await?;
    Ok(ended > 0)
}

/// What is changed of a key.
enum Change {
    /// It is over at this time.
    Revoke(Timestamp),
    Enable(bool),
    /// A key that follows it, what finds that, now, and when the former one is over.
    Rotate(Box<(ApiKey, Digest, Timestamp, Timestamp)>),
}

/// `false` where there is no such key of the owner's that could be changed so.
async fn change(conn: &mut Conn, owner: &UserId, id: &ApiKeyId, change: &Change) -> Outcome<bool> {
    match change {
        Change::Revoke(at) => end(conn, owner, id, *at, *at).await,
        Change::Enable(enabled) => {
            let switched = diesel::update(api_keys::table.find(id.as_str()))
                .filter(api_keys::owner.eq(owner.as_str()))
                .filter(api_keys::revoked_at.is_null())
                .set(api_keys::enabled.eq(*enabled))
                .execute(conn)
                .await?;
            Ok(switched > 0)
        }
        Change::Rotate(rotation) => {
            let (successor, digest, at, until) = rotation.as_ref();
            let ended = end(conn, owner, id, *at, *until).await?;
            if ended {
                insert(conn, successor, digest).await?;
                budgets::inherit(conn, id, &successor.id).await?;
            }
            Ok(ended)
        }
    }
}

/// Stores API keys in a database.
pub struct DieselApiKeyRepository {
    db: Arc<Database>,
}

impl DieselApiKeyRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }

    /// Changes a key and appends the record where there was a change.
    async fn change(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        what: Change,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let input = (owner.clone(), id.clone(), what, record.clone());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (owner, id, what, record)| {
                    Box::pin(async move {
                        let changed = change(conn, owner, id, what).await?;
                        if changed {
                            append(conn, record).await?;
                        }
                        Ok(changed)
                    })
                },
            )
            .await
    }
}

#[async_trait]
impl ApiKeyRepository for DieselApiKeyRepository {
    async fn insert(
        &self,
        key: &ApiKey,
        digest: &Digest,
        budgets: &[Budget],
        record: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let input = (key.clone(), *digest, budgets.to_vec(), record.clone());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (key, digest, limits, record)| {
                    Box::pin(async move {
                        insert(conn, key, digest).await?;
                        for limit in limits {
                            budgets::insert(conn, limit).await?;
                        }
                        append(conn, record).await
                    })
                },
            )
            .await
    }

    async fn find_by_digest(&self, digest: &Digest) -> Result<Option<ApiKey>, RepositoryError> {
        self.db
            .read(*digest, |conn, digest| {
                Box::pin(async move {
                    let row: Option<ApiKeyRow> = api_keys::table
                        .filter(api_keys::digest.eq(digest.as_slice()))
                        .select(ApiKeyRow::as_select())
                        .first(conn)
                        .await
                        .optional()?;
                    Ok(row.map(ApiKey::try_from).transpose()?)
                })
            })
            .await
    }

    async fn find(&self, owner: &UserId, id: &ApiKeyId) -> Result<Option<ApiKey>, RepositoryError> {
        let input = (owner.clone(), id.clone());
        self.db
            .read(input, |conn, (owner, id)| {
                Box::pin(async move {
                    let row: Option<ApiKeyRow> = api_keys::table
                        .find(id.as_str())
                        .filter(api_keys::owner.eq(owner.as_str()))
                        .select(ApiKeyRow::as_select())
                        .first(conn)
                        .await
                        .optional()?;
                    Ok(row.map(ApiKey::try_from).transpose()?)
                })
            })
            .await
    }

    async fn list(&self, owner: &UserId, limit: u32) -> Result<Vec<ApiKey>, RepositoryError> {
        self.db
            .read((owner.clone(), limit), |conn, (owner, limit)| {
                Box::pin(async move {
                    let rows: Vec<ApiKeyRow> = api_keys::table
                        .filter(api_keys::owner.eq(owner.as_str()))
                        .order((api_keys::created_at.desc(), api_keys::id.desc()))
                        .limit(i64::from(*limit))
                        .select(ApiKeyRow::as_select())
                        .load(conn)
                        .await?;
                    let keys: Result<_, RepositoryError> =
                        rows.into_iter().map(ApiKey::try_from).collect();
                    Ok(keys?)
                })
            })
            .await
    }

    async fn revoke(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        at: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.change(owner, id, Change::Revoke(at), record).await
    }

    async fn set_enabled(
        &self,
        owner: &UserId,
        id: &ApiKeyId,
        enabled: bool,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        self.change(owner, id, Change::Enable(enabled), record)
            .await
    }

    async fn rotate(
        &self,
        id: &ApiKeyId,
        successor: &ApiKey,
        digest: &Digest,
        at: Timestamp,
        until: Timestamp,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let rotation = Change::Rotate(Box::new((successor.clone(), *digest, at, until)));
        self.change(&successor.owner, id, rotation, record).await
    }

    async fn touch(&self, id: &ApiKeyId, at: Timestamp) -> Result<(), RepositoryError> {
        self.db
            .write(Durability::Written, (id.clone(), at), |conn, (id, at)| {
                Box::pin(async move {
                    diesel::update(api_keys::table.find(id.as_str()))
                        .set(api_keys::last_used_at.eq(Some(at.as_micros())))
                        .execute(conn)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}
