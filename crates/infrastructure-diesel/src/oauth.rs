//! Apps, what users granted them, and the codes and tokens made of it, by digest.

mod rows;

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::api_key_repository::Digest;
use majordomo_application::ports::{
    Durability, NewCode, NewTokens, OAuthRepository, RepositoryError,
};
use majordomo_domain::{
    AuditOutcome, AuditRecord, AuthorizationCode, ClientId, GrantId, OAuthClient, OAuthGrant,
    OAuthToken, OAuthTokenKind, RedirectUri, Scopes, Timestamp, UserId,
};

use self::rows::{ClientRow, CodeRow, GrantRow, TokenRow, scope_names};
use super::audit;
use super::error::Outcome;
use super::schema::{oauth_clients, oauth_codes, oauth_grants, oauth_tokens};
use crate::backend::{self, Conn, Database};

async fn insert_grant(
    conn: &mut Conn,
    grant: &OAuthGrant,
    code: &NewCode,
    keep: u32,
    record: &AuditRecord,
) -> Outcome<()> {
    let begin = grant.created_at.as_micros();
    diesel::delete(oauth_grants::table.filter(oauth_grants::expires_at.le(begin)))
        .execute(conn)
        .await?;
    let surplus: Vec<String> = oauth_grants::table
        .filter(oauth_grants::owner.eq(grant.owner.as_str()))
        .order((oauth_grants::created_at.desc(), oauth_grants::id.desc()))
        .offset(i64::from(keep.saturating_sub(1)))
        .limit(i64::from(keep))
        .select(oauth_grants::id)
        .load(conn)
        .await?;
    if !surplus.is_empty() {
        diesel::delete(oauth_grants::table.filter(oauth_grants::id.eq_any(surplus)))
            .execute(conn)
            .await?;
    }
    diesel::insert_into(oauth_grants::table)
        .values(GrantRow::from(grant))
        .execute(conn)
        .await?;
    diesel::insert_into(oauth_codes::table)
        .values((
            oauth_codes::digest.eq(code.digest.as_slice()),
            oauth_codes::grant_id.eq(grant.id.as_str()),
            oauth_codes::redirect_uri.eq(code.redirect_uri.as_str()),
            oauth_codes::challenge.eq(code.challenge.as_str()),
            oauth_codes::expires_at.eq(code.expires_at.as_micros()),
        ))
        .execute(conn)
        .await?;
    audit::append(conn, record).await
}

async fn find_code(conn: &mut Conn, digest: &Digest) -> Outcome<Option<AuthorizationCode>> {
    let found: Option<(CodeRow, GrantRow)> = oauth_codes::table
        .inner_join(oauth_grants::table)
        .filter(oauth_codes::digest.eq(digest.as_slice()))
        .select((CodeRow::as_select(), GrantRow::as_select()))
        .first(conn)
        .await
        .optional()?;
    Ok(found.map(rows::code).transpose()?)
}

async fn find_token(conn: &mut Conn, digest: &Digest) -> Outcome<Option<OAuthToken>> {
    let found: Option<(TokenRow, GrantRow)> = oauth_tokens::table
        .inner_join(oauth_grants::table)
        .filter(oauth_tokens::digest.eq(digest.as_slice()))
        .select((TokenRow::as_select(), GrantRow::as_select()))
        .first(conn)
        .await
        .optional()?;
    Ok(found.map(rows::token).transpose()?)
}

/// Prolongs a grant that has not been ended; `false` when there is none. Every exchange begins with it: the row's lock
/// puts the exchanges of one grant into a row.
async fn prolong(conn: &mut Conn, grant: &GrantId, until: Timestamp) -> Outcome<bool> {
    let prolonged = diesel::update(oauth_grants::table.find(grant.as_str()))
        .filter(oauth_grants::revoked_at.is_null())
        .set(oauth_grants::expires_at.eq(until.as_micros()))
        .execute(conn)
        .await?;
    Ok(prolonged > 0)
}

async fn end(conn: &mut Conn, grant: &GrantId, at: Timestamp) -> Outcome<()> {
    diesel::update(oauth_grants::table.find(grant.as_str()))
        .set(oauth_grants::revoked_at.eq(Some(at.as_micros())))
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends the grant of a code or token that is used a second time: somebody else may have it.
async fn end_reused(conn: &mut Conn, grant: &GrantId, record: &AuditRecord) -> Outcome<()> {
    end(conn, grant, record.at).await?;
    let record = record.clone().ended(AuditOutcome::Denied);
    audit::append(conn, &record.with("reason", "used before")).await
}

async fn insert_token(
    conn: &mut Conn,
    grant: &GrantId,
    digest: &Digest,
    kind: OAuthTokenKind,
    scopes: Scopes,
    expires_at: Timestamp,
) -> Outcome<()> {
    diesel::insert_into(oauth_tokens::table)
        .values((
            oauth_tokens::digest.eq(digest.as_slice()),
            oauth_tokens::grant_id.eq(grant.as_str()),
            oauth_tokens::kind.eq(kind.as_str()),
            oauth_tokens::scopes.eq(scope_names(scopes)),
            oauth_tokens::expires_at.eq(expires_at.as_micros()),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_tokens(conn: &mut Conn, grant: &GrantId, new: &NewTokens) -> Outcome<()> {
    let scopes: String = oauth_grants::table
        .find(grant.as_str())
        .select(oauth_grants::scopes)
        .first(conn)
        .await?;
    let all = rows::scopes(&scopes, "oauth_grants", grant.as_str())?;
    let (access, until) = (OAuthTokenKind::Access, new.access_expires_at);
    insert_token(conn, grant, &new.access, access, new.access_scopes, until).await?;
    let (refresh, until) = (OAuthTokenKind::Refresh, new.refresh_expires_at);
    insert_token(conn, grant, &new.refresh, refresh, all, until).await
}

async fn redeem_code(
    conn: &mut Conn,
    grant: &GrantId,
    code: &Digest,
    tokens: &NewTokens,
    record: &AuditRecord,
) -> Outcome<bool> {
    if !prolong(conn, grant, tokens.refresh_expires_at).await? {
        return Ok(false);
    }
    let used = diesel::update(oauth_codes::table.find(code.as_slice()))
        .filter(oauth_codes::grant_id.eq(grant.as_str()))
        .filter(oauth_codes::used_at.is_null())
        .set(oauth_codes::used_at.eq(Some(tokens.issued_at.as_micros())))
        .execute(conn)
        .await?;
    if used == 0 {
        end_reused(conn, grant, record).await?;
        return Ok(false);
    }
    insert_tokens(conn, grant, tokens).await?;
    audit::append(conn, record).await?;
    Ok(true)
}

async fn rotate(
    conn: &mut Conn,
    grant: &GrantId,
    refresh: &Digest,
    tokens: &NewTokens,
    record: &AuditRecord,
) -> Outcome<bool> {
    if !prolong(conn, grant, tokens.refresh_expires_at).await? {
        return Ok(false);
    }
    let now = tokens.issued_at.as_micros();
    let used = diesel::update(oauth_tokens::table.find(refresh.as_slice()))
        .filter(oauth_tokens::grant_id.eq(grant.as_str()))
        .filter(oauth_tokens::kind.eq(OAuthTokenKind::Refresh.as_str()))
        .filter(oauth_tokens::used_at.is_null())
        .set(oauth_tokens::used_at.eq(Some(now)))
        .execute(conn)
        .await?;
    if used == 0 {
        end_reused(conn, grant, record).await?;
        return Ok(false);
    }
    let outdated = oauth_tokens::kind
        .eq(OAuthTokenKind::Access.as_str())
        .or(oauth_tokens::expires_at.le(now));
    diesel::delete(oauth_tokens::table)
        .filter(oauth_tokens::grant_id.eq(grant.as_str()))
        .filter(outdated)
        .execute(conn)
        .await?;
    insert_tokens(conn, grant, tokens).await?;
    audit::append(conn, record).await?;
    Ok(true)
}

async fn revoke_grant(
    conn: &mut Conn,
    owner: &UserId,
    id: &GrantId,
    record: &AuditRecord,
) -> Outcome<bool> {
    let revoked = diesel::update(oauth_grants::table.find(id.as_str()))
        .filter(oauth_grants::owner.eq(owner.as_str()))
        .filter(oauth_grants::revoked_at.is_null())
        .set(oauth_grants::revoked_at.eq(Some(record.at.as_micros())))
        .execute(conn)
        .await?;
    if revoked == 0 {
        return Ok(false);
    }
    audit::append(conn, record).await?;
    Ok(true)
}

async fn list_grants(conn: &mut Conn, owner: &UserId, limit: u32) -> Outcome<Vec<OAuthGrant>> {
    let rows: Vec<GrantRow> = oauth_grants::table
        .filter(oauth_grants::owner.eq(owner.as_str()))
        .order((oauth_grants::created_at.desc(), oauth_grants::id.desc()))
        .limit(i64::from(limit))
        .select(GrantRow::as_select())
        .load(conn)
        .await?;
    let grants: Result<_, RepositoryError> = rows.into_iter().map(OAuthGrant::try_from).collect();
    Ok(grants?)
}

async fn insert_client(
    conn: &mut Conn,
    client: &OAuthClient,
    limit: u32,
    unused_since: Timestamp,
    record: &AuditRecord,
) -> Outcome<bool> {
    let granted = oauth_grants::table.select(oauth_grants::client_id);
    diesel::delete(oauth_clients::table)
        .filter(oauth_clients::registered_at.lt(unused_since.as_micros()))
        .filter(oauth_clients::id.ne_all(granted))
        .execute(conn)
        .await?;
    let stored: i64 = oauth_clients::table.count().get_result(conn).await?;
    if stored >= i64::from(limit) {
        return Ok(false);
    }
    let uris: Vec<_> = client
        .redirect_uris
        .iter()
        .map(RedirectUri::as_str)
        .collect();
    let registered_at = client.registered_at.unwrap_or(record.at);
    diesel::insert_into(oauth_clients::table)
        .values((
            oauth_clients::id.eq(client.id.as_str()),
            oauth_clients::name.eq(backend::encode_text(&client.name)),
            oauth_clients::redirect_uris.eq(uris.join("\n")),
            oauth_clients::scopes.eq(scope_names(client.scopes)),
            oauth_clients::registered_at.eq(registered_at.as_micros()),
        ))
        .execute(conn)
        .await?;
    audit::append(conn, record).await?;
    Ok(true)
}

async fn find_client(conn: &mut Conn, id: &ClientId) -> Outcome<Option<OAuthClient>> {
    let row: Option<ClientRow> = oauth_clients::table
        .find(id.as_str())
        .select(ClientRow::as_select())
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(OAuthClient::try_from).transpose()?)
}

/// Stores grants, codes, tokens and clients in a database.
pub struct DieselOAuthRepository {
    db: Arc<Database>,
}

impl DieselOAuthRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl OAuthRepository for DieselOAuthRepository {
    async fn insert_grant(
        &self,
        grant: &OAuthGrant,
        code: &NewCode,
        keep: u32,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let input = (grant.clone(), code.clone(), keep, audit.clone());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (grant, code, keep, audit)| {
                    Box::pin(insert_grant(conn, grant, code, *keep, audit))
                },
            )
            .await
    }

    async fn find_code(
        &self,
        digest: &Digest,
    ) -> Result<Option<AuthorizationCode>, RepositoryError> {
        self.db
            .read(*digest, |conn, digest| Box::pin(find_code(conn, digest)))
            .await
    }

    async fn find_token(&self, digest: &Digest) -> Result<Option<OAuthToken>, RepositoryError> {
        self.db
            .read(*digest, |conn, digest| Box::pin(find_token(conn, digest)))
            .await
    }

    async fn redeem_code(
        &self,
        grant: &GrantId,
        code: &Digest,
        tokens: &NewTokens,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let input = (grant.clone(), *code, *tokens, audit.clone());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (grant, code, tokens, audit)| {
                    Box::pin(redeem_code(conn, grant, code, tokens, audit))
                },
            )
            .await
    }

    async fn rotate(
        &self,
        grant: &GrantId,
        refresh: &Digest,
        tokens: &NewTokens,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let input = (grant.clone(), *refresh, *tokens, audit.clone());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (grant, refresh, tokens, audit)| {
                    Box::pin(rotate(conn, grant, refresh, tokens, audit))
                },
            )
            .await
    }

    async fn revoke_grant(
        &self,
        owner: &UserId,
        id: &GrantId,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let input = (owner.clone(), id.clone(), audit.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (owner, id, audit)| {
                Box::pin(revoke_grant(conn, owner, id, audit))
            })
            .await
    }

    async fn list_grants(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<OAuthGrant>, RepositoryError> {
        self.db
            .read((owner.clone(), limit), |conn, (owner, limit)| {
                Box::pin(list_grants(conn, owner, *limit))
            })
            .await
    }

    async fn insert_client(
        &self,
        client: &OAuthClient,
        limit: u32,
        unused_since: Timestamp,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let input = (client.clone(), limit, unused_since, audit.clone());
        self.db
            .write(
                Durability::Flushed,
                input,
                |conn, (client, limit, since, audit)| {
                    Box::pin(insert_client(conn, client, *limit, *since, audit))
                },
            )
            .await
    }

    async fn find_client(&self, id: &ClientId) -> Result<Option<OAuthClient>, RepositoryError> {
        self.db
            .read(id.clone(), |conn, id| Box::pin(find_client(conn, id)))
            .await
    }
}
