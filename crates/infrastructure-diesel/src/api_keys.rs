//! API keys, by digest.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::api_key_repository::Digest;
use majordomo_application::ports::{ApiKeyRepository, Durability, RepositoryError};
use majordomo_domain::{ApiKey, ApiKeyId, Scope, Scopes, Timestamp, UserId};

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
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = RepositoryError;

    fn try_from(row: ApiKeyRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("api_keys", column, &row.id);
        let scopes: Option<Scopes> = row.scopes.split_whitespace().map(Scope::parse).collect();
        Ok(Self {
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
        ))
        .execute(conn)
        .await?;
    Ok(())
}

async fn revoke(conn: &mut Conn, owner: &UserId, id: &ApiKeyId, at: Timestamp) -> Outcome<bool> {
    let at = at.as_micros();
    let revoked = diesel::update(api_keys::table.find(id.as_str()))
        .filter(api_keys::owner.eq(owner.as_str()))
        .filter(api_keys::revoked_at.is_null())
        .filter(
            api_keys::expires_at
                .is_null()
                .or(api_keys::expires_at.assume_not_null().gt(at)),
        )
        .set(api_keys::revoked_at.eq(Some(at)))
        .execute(conn)
        .await?;
    Ok(revoked > 0)
}

/// Stores API keys in a database.
pub struct DieselApiKeyRepository {
    db: Arc<Database>,
}

impl DieselApiKeyRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl ApiKeyRepository for DieselApiKeyRepository {
    async fn insert(&self, key: &ApiKey, digest: &Digest) -> Result<(), RepositoryError> {
        self.db
            .write(
                Durability::Flushed,
                (key.clone(), *digest),
                |conn, (key, digest)| Box::pin(insert(conn, key, digest)),
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
    ) -> Result<bool, RepositoryError> {
        let input = (owner.clone(), id.clone(), at);
        self.db
            .write(Durability::Flushed, input, |conn, (owner, id, at)| {
                Box::pin(revoke(conn, owner, id, *at))
            })
            .await
    }

    async fn rotate(
        &self,
        id: &ApiKeyId,
        successor: &ApiKey,
        digest: &Digest,
        at: Timestamp,
    ) -> Result<bool, RepositoryError> {
        let input = (id.clone(), successor.clone(), *digest, at);
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (id, successor, digest, at)| {
                    Box::pin(async move {
                        let revoked = revoke(conn, &successor.owner, id, *at).await?;
                        if revoked {
                            insert(conn, successor, digest).await?;
                        }
                        Ok(revoked)
                    })
                },
            )
            .await
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
