//! Rows of the OAuth tables, and what they read back as.

use diesel::prelude::*;
use majordomo_application::ports::RepositoryError;
use majordomo_domain::{
    AuthorizationCode, ClientId, CodeChallenge, GrantId, OAuthClient, OAuthGrant, OAuthToken,
    OAuthTokenKind, RedirectUri, Scope, Scopes, Timestamp, UserId,
};

use crate::backend;
use crate::repositories::error::{corrupt, micros};
use crate::repositories::schema::{oauth_clients, oauth_codes, oauth_grants, oauth_tokens};

/// Scopes as they are stored.
pub(super) fn scope_names(scopes: Scopes) -> String {
    let names: Vec<_> = scopes.iter().map(Scope::as_str).collect();
    names.join(" ")
}

/// The inverse of [`scope_names`].
pub(super) fn scopes(
    stored: &str,
    table: &'static str,
    id: &str,
) -> Result<Scopes, RepositoryError> {
    let scopes: Option<Scopes> = stored.split_whitespace().map(Scope::parse).collect();
    scopes.ok_or_else(|| corrupt(table, "scopes", id))
}

/// A row of `oauth_grants`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = oauth_grants, treat_none_as_default_value = false)]
pub(super) struct GrantRow {
    id: String,
    owner: String,
    client_id: String,
    client_name: String,
    scopes: String,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
}

impl From<&OAuthGrant> for GrantRow {
    fn from(grant: &OAuthGrant) -> Self {
        Self {
            id: grant.id.as_str().to_owned(),
            owner: grant.owner.as_str().to_owned(),
            client_id: grant.client.as_str().to_owned(),
            client_name: backend::encode_text(&grant.client_name).into_owned(),
            scopes: scope_names(grant.scopes),
            created_at: grant.created_at.as_micros(),
            expires_at: grant.expires_at.as_micros(),
            revoked_at: micros(grant.revoked_at),
        }
    }
}

impl TryFrom<GrantRow> for OAuthGrant {
    type Error = RepositoryError;

    fn try_from(row: GrantRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("oauth_grants", column, &row.id);
        Ok(Self {
            id: GrantId::parse(row.id.as_str()).map_err(|_| bad("id"))?,
            owner: UserId::parse(row.owner).map_err(|_| bad("owner"))?,
            client: ClientId::parse(row.client_id).map_err(|_| bad("client_id"))?,
            client_name: backend::decode_text(row.client_name),
            scopes: scopes(&row.scopes, "oauth_grants", &row.id)?,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
        })
    }
}

/// A row of `oauth_codes` without its keys.
#[derive(Queryable, Selectable)]
#[diesel(table_name = oauth_codes)]
pub(super) struct CodeRow {
    redirect_uri: String,
    challenge: String,
    expires_at: i64,
    used_at: Option<i64>,
}

/// A code with its grant.
pub(super) fn code(
    (row, grant): (CodeRow, GrantRow),
) -> Result<AuthorizationCode, RepositoryError> {
    let grant = OAuthGrant::try_from(grant)?;
    let bad = |column| corrupt("oauth_codes", column, &grant.id);
    Ok(AuthorizationCode {
        redirect_uri: RedirectUri::parse(row.redirect_uri).map_err(|_| bad("redirect_uri"))?,
        challenge: CodeChallenge::parse(&row.challenge).map_err(|_| bad("challenge"))?,
        expires_at: Timestamp::from_micros(row.expires_at),
        used_at: row.used_at.map(Timestamp::from_micros),
        grant,
    })
}

/// A row of `oauth_tokens` without its keys.
#[derive(Queryable, Selectable)]
#[diesel(table_name = oauth_tokens)]
pub(super) struct TokenRow {
    kind: String,
    scopes: String,
    expires_at: i64,
    used_at: Option<i64>,
}

/// A token with its grant.
pub(super) fn token((row, grant): (TokenRow, GrantRow)) -> Result<OAuthToken, RepositoryError> {
    let grant = OAuthGrant::try_from(grant)?;
    let kind = OAuthTokenKind::parse(&row.kind);
    Ok(OAuthToken {
        kind: kind.ok_or_else(|| corrupt("oauth_tokens", "kind", &grant.id))?,
        scopes: scopes(&row.scopes, "oauth_tokens", grant.id.as_str())?,
        expires_at: Timestamp::from_micros(row.expires_at),
        used_at: row.used_at.map(Timestamp::from_micros),
        grant,
    })
}

/// A row of `oauth_clients`.
#[derive(Queryable, Selectable)]
#[diesel(table_name = oauth_clients)]
pub(super) struct ClientRow {
    id: String,
    name: String,
    redirect_uris: String,
    scopes: String,
    registered_at: i64,
}

impl TryFrom<ClientRow> for OAuthClient {
    type Error = RepositoryError;

    fn try_from(row: ClientRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("oauth_clients", column, &row.id);
        let uris: Result<Vec<_>, _> = row.redirect_uris.lines().map(RedirectUri::parse).collect();
        Ok(Self {
            id: ClientId::parse(row.id.as_str()).map_err(|_| bad("id"))?,
            name: backend::decode_text(row.name),
            redirect_uris: uris.map_err(|_| bad("redirect_uris"))?,
            scopes: scopes(&row.scopes, "oauth_clients", &row.id)?,
            registered_at: Some(Timestamp::from_micros(row.registered_at)),
        })
    }
}
