//! The port of apps and their grants, with the same failures.

use async_trait::async_trait;
use majordomo_application::ports::api_key_repository::Digest;
use majordomo_application::ports::{NewCode, NewTokens, OAuthRepository, RepositoryError};
use majordomo_domain::{
    AuditRecord, AuthorizationCode, ClientId, GrantId, OAuthClient, OAuthGrant, OAuthToken,
    Timestamp, UserId,
};

use super::FailingStore;

#[async_trait]
impl OAuthRepository for FailingStore {
    async fn insert_grant(
        &self,
        grant: &OAuthGrant,
        code: &NewCode,
        keep: u32,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let inserted = self.oauth.insert_grant(grant, code, keep, audit);
        self.call("oauth.insert_grant", inserted).await
    }

    async fn find_code(
        &self,
        digest: &Digest,
    ) -> Result<Option<AuthorizationCode>, RepositoryError> {
        self.call("oauth.find_code", self.oauth.find_code(digest))
            .await
    }

    async fn find_token(&self, digest: &Digest) -> Result<Option<OAuthToken>, RepositoryError> {
        self.call("oauth.find_token", self.oauth.find_token(digest))
            .await
    }

    async fn redeem_code(
        &self,
        grant: &GrantId,
        code: &Digest,
        tokens: &NewTokens,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let redeemed = self.oauth.redeem_code(grant, code, tokens, audit);
        self.call("oauth.redeem_code", redeemed).await
    }

    async fn rotate(
        &self,
        grant: &GrantId,
        refresh: &Digest,
        tokens: &NewTokens,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let rotated = self.oauth.rotate(grant, refresh, tokens, audit);
        self.call("oauth.rotate", rotated).await
    }

    async fn revoke_grant(
        &self,
        owner: &UserId,
        id: &GrantId,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let revoked = self.oauth.revoke_grant(owner, id, audit);
        self.call("oauth.revoke_grant", revoked).await
    }

    async fn list_grants(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<OAuthGrant>, RepositoryError> {
        self.call("oauth.list_grants", self.oauth.list_grants(owner, limit))
            .await
    }

    async fn insert_client(
        &self,
        client: &OAuthClient,
        limit: u32,
        unused_since: Timestamp,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let inserted = self.oauth.insert_client(client, limit, unused_since, audit);
        self.call("oauth.insert_client", inserted).await
    }

    async fn find_client(&self, id: &ClientId) -> Result<Option<OAuthClient>, RepositoryError> {
        self.call("oauth.find_client", self.oauth.find_client(id))
            .await
    }
}
