//! Apps and what users granted them, in memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;
use majordomo_application::ports::api_key_repository::Digest;
use majordomo_application::ports::{NewCode, NewTokens, OAuthRepository, RepositoryError};
use majordomo_domain::{
    AuditOutcome, AuditRecord, AuthorizationCode, ClientId, GrantId, OAuthClient, OAuthGrant,
    OAuthToken, OAuthTokenKind, Scopes, Timestamp, UserId,
};

use super::{InMemoryStore, State, count};

/// Grants with their codes and tokens, and clients.
#[derive(Default)]
pub(super) struct Grants {
    given: BTreeMap<GrantId, OAuthGrant>,
    codes: BTreeMap<Digest, (GrantId, NewCode, Option<Timestamp>)>,
    tokens: BTreeMap<Digest, Token>,
    clients: BTreeMap<ClientId, OAuthClient>,
}

struct Token {
    grant: GrantId,
    kind: OAuthTokenKind,
    scopes: Scopes,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
}

impl Grants {
    fn remove(&mut self, id: &GrantId) {
        self.given.remove(id);
        self.codes.retain(|_, (grant, ..)| grant != id);
        self.tokens.retain(|_, token| token.grant != *id);
    }

    /// The owner's grants, newest first.
    fn of(&self, owner: &UserId) -> Vec<OAuthGrant> {
        let grants = self.given.values().filter(|grant| grant.owner == *owner);
        let mut grants: Vec<OAuthGrant> = grants.cloned().collect();
        grants.sort_by_key(|grant| Reverse((grant.created_at, grant.id.clone())));
        grants
    }

    /// The grant, unless it was ended.
    fn running(&mut self, id: &GrantId) -> Option<&mut OAuthGrant> {
        let grant = self.given.get_mut(id)?;
        grant.revoked_at.is_none().then_some(grant)
    }

    fn insert_tokens(&mut self, grant: &GrantId, new: &NewTokens) {
        let Some(stored) = self.given.get_mut(grant) else {
            return;
        };
        stored.expires_at = new.refresh_expires_at;
        let scopes = stored.scopes;
        let token = |kind, scopes, expires_at| Token {
            grant: grant.clone(),
            kind,
            scopes,
            expires_at,
            used_at: None,
        };
        let (access, refresh) = (OAuthTokenKind::Access, OAuthTokenKind::Refresh);
        let access = token(access, new.access_scopes, new.access_expires_at);
        let refresh = token(refresh, scopes, new.refresh_expires_at);
        self.tokens.insert(new.access, access);
        self.tokens.insert(new.refresh, refresh);
    }
}

impl State {
    fn end_reused(&mut self, grant: &GrantId, audit: &AuditRecord) {
        if let Some(grant) = self.oauth.running(grant) {
            grant.revoked_at = Some(audit.at);
        }
        let record = audit.clone().ended(AuditOutcome::Denied);
        self.append_audit(&record.with("reason", "used before"));
    }
}

#[async_trait]
impl OAuthRepository for InMemoryStore {
    async fn insert_grant(
        &self,
        grant: &OAuthGrant,
        code: &NewCode,
        keep: u32,
        audit: &AuditRecord,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let oauth = &mut state.oauth;
        if oauth.given.contains_key(&grant.id) || oauth.codes.contains_key(&code.digest) {
            return Err(RepositoryError::Conflict);
        }
        let ended = oauth.given.values();
        let ended = ended.filter(|stored| stored.expires_at <= grant.created_at);
        let ended: Vec<GrantId> = ended.map(|stored| stored.id.clone()).collect();
        let surplus = oauth.of(&grant.owner).into_iter();
        let surplus = surplus.skip(count(keep).saturating_sub(1));
        let surplus: Vec<GrantId> = surplus.map(|stored| stored.id).collect();
        for id in ended.iter().chain(&surplus) {
            oauth.remove(id);
        }
        oauth.given.insert(grant.id.clone(), grant.clone());
        let stored = (grant.id.clone(), code.clone(), None);
        oauth.codes.insert(code.digest, stored);
        state.append_audit(audit);
        Ok(())
    }

    async fn find_code(
        &self,
        digest: &Digest,
    ) -> Result<Option<AuthorizationCode>, RepositoryError> {
        let state = self.state();
        let found = state.oauth.codes.get(digest);
        Ok(found.and_then(|(grant, code, used_at)| {
            Some(AuthorizationCode {
                grant: state.oauth.given.get(grant)?.clone(),
                redirect_uri: code.redirect_uri.clone(),
                challenge: code.challenge.clone(),
                expires_at: code.expires_at,
                used_at: *used_at,
            })
        }))
    }

    async fn find_token(&self, digest: &Digest) -> Result<Option<OAuthToken>, RepositoryError> {
        let state = self.state();
        Ok(state.oauth.tokens.get(digest).and_then(|token| {
            Some(OAuthToken {
                grant: state.oauth.given.get(&token.grant)?.clone(),
                kind: token.kind,
                scopes: token.scopes,
                expires_at: token.expires_at,
                used_at: token.used_at,
            })
        }))
    }

    async fn redeem_code(
        &self,
        grant: &GrantId,
        code: &Digest,
        tokens: &NewTokens,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        if state.oauth.running(grant).is_none() {
            return Ok(false);
        }
        let stored = state.oauth.codes.get_mut(code);
        let unused = stored.filter(|(of, _, used_at)| of == grant && used_at.is_none());
        let Some((_, _, used_at)) = unused else {
            state.end_reused(grant, audit);
            return Ok(false);
        };
        *used_at = Some(tokens.issued_at);
        state.oauth.insert_tokens(grant, tokens);
        state.append_audit(audit);
        Ok(true)
    }

    async fn rotate(
        &self,
        grant: &GrantId,
        refresh: &Digest,
        tokens: &NewTokens,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        if state.oauth.running(grant).is_none() {
            return Ok(false);
        }
        let unused = state.oauth.tokens.get_mut(refresh).filter(|token| {
            token.grant == *grant
                && token.kind == OAuthTokenKind::Refresh
                && token.used_at.is_none()
        });
        let Some(used) = unused else {
            state.end_reused(grant, audit);
            return Ok(false);
        };
        used.used_at = Some(tokens.issued_at);
        state.oauth.tokens.retain(|_, token| {
            token.grant != *grant
                || (token.kind == OAuthTokenKind::Refresh && token.expires_at > tokens.issued_at)
        });
        state.oauth.insert_tokens(grant, tokens);
        state.append_audit(audit);
        Ok(true)
    }

    async fn revoke_grant(
        &self,
        owner: &UserId,
        id: &GrantId,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let grant = state.oauth.running(id);
        let Some(grant) = grant.filter(|grant| grant.owner == *owner) else {
            return Ok(false);
        };
        grant.revoked_at = Some(audit.at);
        state.append_audit(audit);
        Ok(true)
    }

    async fn list_grants(
        &self,
        owner: &UserId,
        limit: u32,
    ) -> Result<Vec<OAuthGrant>, RepositoryError> {
        let mut grants = self.state().oauth.of(owner);
        grants.truncate(count(limit));
        Ok(grants)
    }

    async fn insert_client(
        &self,
        client: &OAuthClient,
        limit: u32,
        unused_since: Timestamp,
        audit: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let Grants { given, clients, .. } = &mut state.oauth;
        clients.retain(|id, client| {
            client.registered_at.is_none_or(|at| at >= unused_since)
                || given.values().any(|grant| grant.client == *id)
        });
        if clients.len() >= count(limit) {
            return Ok(false);
        }
        if clients.contains_key(&client.id) {
            return Err(RepositoryError::Conflict);
        }
        let stored = OAuthClient {
            registered_at: client.registered_at.or(Some(audit.at)),
            ..client.clone()
        };
        clients.insert(client.id.clone(), stored);
        state.append_audit(audit);
        Ok(true)
    }

    async fn find_client(&self, id: &ClientId) -> Result<Option<OAuthClient>, RepositoryError> {
        Ok(self.state().oauth.clients.get(id).cloned())
    }
}
