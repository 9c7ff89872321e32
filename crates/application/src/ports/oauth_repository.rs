//! Storage of apps, of what users granted them, and of the codes and tokens made of it, by digest.

use async_trait::async_trait;
use majordomo_domain::{
    AuditRecord, AuthorizationCode, ClientId, CodeChallenge, GrantId, OAuthClient, OAuthGrant,
    OAuthToken, RedirectUri, Scopes, Timestamp, UserId,
};

use super::RepositoryError;
use super::api_key_repository::Digest;

/// A code to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCode {
    /// SHA-256 of the code.
    pub digest: Digest,
    /// Where it is sent.
    pub redirect_uri: RedirectUri,
    /// Who may exchange it.
    pub challenge: CodeChallenge,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// An access token and a refresh token to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTokens {
    /// SHA-256 of the access token.
    pub access: Digest,
    /// What the access token may do.
    pub access_scopes: Scopes,
    /// When the access token stops working.
    pub access_expires_at: Timestamp,
    /// SHA-256 of the refresh token.
    pub refresh: Digest,
    /// When the refresh token, and the grant with it, ends.
    pub refresh_expires_at: Timestamp,
    /// When they are made.
    pub issued_at: Timestamp,
}

/// Stores grants with their codes and tokens, and the apps that registered themselves. No code and no token ever gets
/// here. Methods that take an [`AuditRecord`] append it in the transaction of the act.
#[async_trait]
pub trait OAuthRepository: Send + Sync {
    /// Stores a grant with its code, and removes with all that belongs to them: every grant that has ended before this
    /// one begins, and the owner's oldest, so that at most `keep` of the owner are left.
    async fn insert_grant(
        &self,
        grant: &OAuthGrant,
        code: &NewCode,
        keep: u32,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError>;

    /// The code with this digest, used and expired ones included.
    async fn find_code(
        &self,
        digest: &Digest,
    ) -> Result<Option<AuthorizationCode>, RepositoryError>;

    /// The token with this digest, used and expired ones and those of ended grants included. MUST use an index.
    async fn find_token(&self, digest: &Digest) -> Result<Option<OAuthToken>, RepositoryError>;

    /// Marks a code of `grant` as used and stores tokens, in one transaction. Of any number of attempts exactly one
    /// succeeds. `false` when the code was used before: then the grant MUST be ended, and the record appended as
    /// denied; also `false`, and nothing done, when the grant was ended before.
    async fn redeem_code(
        &self,
        grant: &GrantId,
        code: &Digest,
        tokens: &NewTokens,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError>;

    /// As [`redeem_code`](Self::redeem_code) for a refresh token. The grant's earlier access tokens MUST stop working.
    async fn rotate(
        &self,
        grant: &GrantId,
        refresh: &Digest,
        tokens: &NewTokens,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError>;

    /// Ends a grant at the time of the record; `false`, and nothing done, when the owner has no such grant or it was
    /// ended before.
    async fn revoke_grant(
        &self,
        owner: &UserId,
        id: &GrantId,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError>;

    /// The owner's grants, newest first, ended ones included, at most `limit`.
    async fn list_grants(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<OAuthGrant>, RepositoryError>;

    /// Stores an app that registered itself, after removing those that registered before `unused_since` and have no
    /// grant. `false`, and nothing stored, when `limit` are stored already. MUST return `Conflict` when the id is taken.
    async fn insert_client(
        &self,
        client: &OAuthClient,
        limit: u32,
        unused_since: Timestamp,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError>;

    /// An app that registered itself.
    async fn find_client(&self, id: &ClientId) -> Result<Option<OAuthClient>, RepositoryError>;
}
