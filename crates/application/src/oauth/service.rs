//! Consent, codes and tokens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use majordomo_domain::{
    AuditRecord, AuthorizationCode, ClientId, CodeChallenge, CredentialKind, GrantId, OAuthClient,
    OAuthGrant, OAuthTokenKind, RedirectUri, RequestSource, Scope, Scopes, Timestamp,
};

use super::clients::desktop_client;
use super::connections::Connections;
use super::consent::ConsentTokens;
use super::error::OAuthError;
use super::registration::RegisterClient;
use super::{pkce, scopes};
use crate::access::{AccessTokens, base64_url, sha256};
use crate::caller::Caller;
use crate::hex::hex;
use crate::ports::{Clock, IdGenerator, NewCode, NewTokens, OAuthRepository};

/// What the operator configured.
#[derive(Debug, Clone)]
pub struct OAuthConfig {
    /// How the server calls itself: its public address without a `/` at the end; `None` where it has none.
    pub issuer: Option<String>,
    /// Apps the operator knows, besides the desktop app.
    pub clients: Vec<OAuthClient>,
    /// How long access tokens work.
    pub access_token_ttl: Duration,
    /// How long a refresh token works that is not used; with it ends the grant.
    pub refresh_token_ttl: Duration,
    /// Whether apps may register themselves, and how many.
    pub registered_clients: Option<u32>,
    /// Under which names this server is known at other services.
    pub connections: Connections,
}

/// What OAuth needs.
pub struct OAuthPorts {
    /// Storage of grants.
    pub oauth: Arc<dyn OAuthRepository>,
    /// Where access tokens are looked up when they are shown.
    pub access_tokens: Arc<AccessTokens>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers and secrets.
    pub ids: Arc<dyn IdGenerator>,
}

/// What an app asks for, as it wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthorizeRequest {
    /// Which app it is.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What kind of answer: `code`, also when it does not say.
    pub response_type: Option<String>,
    /// Names of scopes, with blanks between them.
    pub scope: Option<String>,
    /// The proof key's SHA-256, as base64url.
    pub code_challenge: String,
    /// `S256`, also when it does not say.
    pub code_challenge_method: Option<String>,
    /// Sent back as it is.
    pub state: Option<String>,
}

/// An app, and where its answer may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeTarget {
    /// The app.
    pub client: OAuthClient,
    /// Where its answer goes.
    pub redirect_uri: RedirectUri,
}

/// What a user is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentQuestion {
    /// What the app would get.
    pub scopes: Scopes,
    /// Shows that an answer belongs to this question.
    pub token: String,
}

/// A code that is to become tokens.
pub struct ExchangeCode {
    /// The code.
    pub code: String,
    /// The proof key.
    pub code_verifier: String,
    /// Which app it is.
    pub client_id: String,
    /// Where the code was sent; may be left out.
    pub redirect_uri: Option<String>,
}

/// A refresh token that is to become new tokens.
pub struct RefreshTokens {
    /// The refresh token.
    pub refresh_token: String,
    /// Which app it is; may be left out.
    pub client_id: Option<String>,
    /// What the new access token may do, when it is to be less than what was granted.
    pub scope: Option<String>,
}

/// Tokens just made: the only time they are seen.
pub struct IssuedTokens {
    /// `ppat_` and 43 characters.
    pub access_token: String,
    /// `pprt_` and 43 characters.
    pub refresh_token: String,
    /// How long the access token works.
    pub lifetime: Duration,
    /// What the access token may do.
    pub scopes: Scopes,
}

/// How long a code can be exchanged.
const CODE_LIFETIME: Duration = Duration::from_mins(1);
/// Grants kept for each user; the oldest end when there are more.
const MAX_GRANTS: u32 = 100;
/// How long an app that registered itself is kept without any grant.
const UNUSED_CLIENT_LIFETIME: Duration = Duration::from_hours(24);
/// What refresh tokens begin with.
const REFRESH_PREFIX: &str = "pprt_";

/// Lets users give apps access, and apps exchange it for tokens.
pub struct OAuthService {
    oauth: Arc<dyn OAuthRepository>,
    access_tokens: Arc<AccessTokens>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    config: OAuthConfig,
    connections: Mutex<Connections>,
    consent: ConsentTokens,
}

impl OAuthService {
    /// With the desktop app known besides the configured ones.
    pub fn new(ports: OAuthPorts, mut config: OAuthConfig) -> Self {
        config.clients.extend(desktop_client());
        Self {
            consent: ConsentTokens::new(ports.ids.secret()),
            connections: Mutex::new(std::mem::take(&mut config.connections)),
            oauth: ports.oauth,
            access_tokens: ports.access_tokens,
            clock: ports.clock,
            ids: ports.ids,
            config,
        }
    }

    /// How the server calls itself, where it has a public address.
    pub fn issuer(&self) -> Option<&str> {
        self.config.issuer.as_deref()
    }

    /// Under which names this server is known at other services, at the moment.
    pub(super) fn connections(&self) -> Connections {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets this server be known at other services under these names from now on.
    pub fn be_known_as(&self, connections: Connections) {
        *self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = connections;
    }

    /// Whether apps may register themselves.
    pub fn accepts_registrations(&self) -> bool {
        self.config.registered_clients.is_some()
    }

    /// The app that asks, when its answer may go where it asks. Before this is known nothing is sent anywhere.
    pub async fn target(&self, asked: &AuthorizeRequest) -> Result<AuthorizeTarget, OAuthError> {
        let client = self.client(&asked.client_id).await?;
        let redirect_uri = RedirectUri::parse(asked.redirect_uri.as_str()).ok();
        match (client, redirect_uri) {
            (Some(client), Some(redirect_uri)) if client.allows_redirect(&redirect_uri) => {
                Ok(AuthorizeTarget {
                    client,
                    redirect_uri,
                })
            }
            _ => Err(OAuthError::UnknownTarget),
        }
    }

    async fn client(&self, id: &str) -> Result<Option<OAuthClient>, OAuthError> {
        let known = self.config.clients.iter();
        if let Some(client) = known.clone().find(|client| client.id.as_str() == id) {
            return Ok(Some(client.clone()));
        }
        match ClientId::parse(id) {
            Ok(id) if self.accepts_registrations() => Ok(self.oauth.find_client(&id).await?),
            _ => Ok(None),
        }
    }

    /// Keys and apps cannot agree for their user: what they gave would outlive them.
    pub fn require_in_person(caller: &Caller) -> Result<(), OAuthError> {
        match caller.credential {
            CredentialKind::MasterToken
            | CredentialKind::SessionToken
            | CredentialKind::Login
            | CredentialKind::Localhost
            | CredentialKind::CommandLine => Ok(()),
            CredentialKind::ApiKey(_)
            | CredentialKind::ConfiguredKey
            | CredentialKind::OAuthToken(_) => Err(OAuthError::NotInPerson),
        }
    }

    /// What the caller is to be asked. Only who is here in person can be asked.
    pub fn question(
        &self,
        caller: &Caller,
        target: &AuthorizeTarget,
        asked: &AuthorizeRequest,
    ) -> Result<ConsentQuestion, OAuthError> {
        Self::require_in_person(caller)?;
        let (scopes, _) = terms(caller, target, asked)?;
        let token = self.consent.issue(&caller.user, asked, self.clock.now());
        Ok(ConsentQuestion { scopes, token })
    }

    /// The caller agrees, with the question's token; the app's code.
    pub async fn allow(
        &self,
        caller: &Caller,
        target: &AuthorizeTarget,
        asked: &AuthorizeRequest,
        token: &str,
    ) -> Result<String, OAuthError> {
        self.check_answer(caller, asked, token)?;
        let (scopes, challenge) = terms(caller, target, asked)?;
        let now = self.clock.now();
        let code = base64_url(&self.ids.secret());
        let expires_at = now.plus(CODE_LIFETIME);
        let grant = OAuthGrant {
            id: self.grant_id()?,
            owner: caller.user.clone(),
            client: target.client.id.clone(),
            client_name: target.client.name.clone(),
            scopes,
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        let new = NewCode {
            digest: sha256(&code),
            redirect_uri: target.redirect_uri.clone(),
            challenge,
            expires_at,
        };
        let audit = caller
            .record("oauth.consent", now)
            .on("grant", &grant.id)
            .with("client", &grant.client)
            .with("scopes", names(scopes));
        self.oauth
            .insert_grant(&grant, &new, MAX_GRANTS, &audit)
            .await?;
        // Older grants may have gone to make room.
        self.access_tokens.forget();
        Ok(code)
    }

    /// The caller refuses, with the question's token. Always an error: what the app is told.
    pub fn deny(&self, caller: &Caller, asked: &AuthorizeRequest, token: &str) -> OAuthError {
        match self.check_answer(caller, asked, token) {
            Ok(()) => OAuthError::AccessDenied,
            Err(error) => error,
        }
    }

    fn check_answer(
        &self,
        caller: &Caller,
        asked: &AuthorizeRequest,
        token: &str,
    ) -> Result<(), OAuthError> {
        Self::require_in_person(caller)?;
        let now = self.clock.now();
        if self.consent.verify(token, &caller.user, asked, now) {
            Ok(())
        } else {
            Err(OAuthError::ConsentToken)
        }
    }

    /// Tokens for a code. A wrong proof does not use the code up; a code that was used before ends its grant.
    pub async fn exchange(
        &self,
        request: ExchangeCode,
        source: RequestSource,
    ) -> Result<IssuedTokens, OAuthError> {
        let digest = sha256(&request.code);
        let found = self.oauth.find_code(&digest).await?;
        let code = found.ok_or(OAuthError::InvalidGrant("invalid_code"))?;
        let now = self.clock.now();
        if code.used_at.is_none() {
            check_exchange(&code, &request, now)?;
        }
        let scopes = code.grant.scopes;
        let (issued, tokens) = self.new_tokens(scopes, now);
        let audit = record("oauth.token", &code.grant, source, now);
        let redeemed = self
            .oauth
            .redeem_code(&code.grant.id, &digest, &tokens, &audit)
            .await?;
        self.access_tokens.forget();
        if redeemed {
            Ok(issued)
        } else {
            Err(OAuthError::InvalidGrant("code_already_used"))
        }
    }

    /// New tokens for a refresh token, which is used up. One that was used before ends its grant.
    pub async fn refresh(
        &self,
        request: RefreshTokens,
        source: RequestSource,
    ) -> Result<IssuedTokens, OAuthError> {
        const INVALID: OAuthError = OAuthError::InvalidGrant("invalid_refresh_token");
        let digest = sha256(&request.refresh_token);
        let found = self.oauth.find_token(&digest).await?;
        let token = found.filter(|token| token.kind == OAuthTokenKind::Refresh);
        let token = token.ok_or(INVALID)?;
        let now = self.clock.now();
        let client = request.client_id.as_deref();
        if client.is_some_and(|client| client != token.grant.client.as_str()) {
            return Err(OAuthError::InvalidGrant("client_mismatch"));
        }
        if token.used_at.is_none() && !token.is_active(now) {
            return Err(INVALID);
        }
        let scopes = match &request.scope {
            Some(scope) => {
                let wanted = scopes::parse(Some(scope))?;
                if !token.grant.scopes.covers(wanted) {
                    return Err(OAuthError::InvalidScope);
                }
                wanted
            }
            None => token.grant.scopes,
        };
        let (issued, tokens) = self.new_tokens(scopes, now);
        let audit = record("oauth.refresh", &token.grant, source, now);
        let rotated = self
            .oauth
            .rotate(&token.grant.id, &digest, &tokens, &audit)
            .await?;
        self.access_tokens.forget();
        if rotated { Ok(issued) } else { Err(INVALID) }
    }

    fn new_tokens(&self, scopes: Scopes, now: Timestamp) -> (IssuedTokens, NewTokens) {
        let secret = |prefix: &str| format!("{prefix}{}", base64_url(&self.ids.secret()));
        let issued = IssuedTokens {
            access_token: secret(AccessTokens::PREFIX),
            refresh_token: secret(REFRESH_PREFIX),
            lifetime: self.config.access_token_ttl,
            scopes,
        };
        let tokens = NewTokens {
            access: sha256(&issued.access_token),
            access_scopes: scopes,
            access_expires_at: now.plus(self.config.access_token_ttl),
            refresh: sha256(&issued.refresh_token),
            refresh_expires_at: now.plus(self.config.refresh_token_ttl),
            issued_at: now,
        };
        (issued, tokens)
    }

    /// Ends what a token, of either kind, belongs to. Who has the token may do so (RFC 7009). `false` when it opened
    /// nothing anyway.
    pub async fn revoke(&self, token: &str, source: RequestSource) -> Result<bool, OAuthError> {
        let found = self.oauth.find_token(&sha256(token)).await?;
        let now = self.clock.now();
        let Some(token) = found.filter(|token| token.is_active(now)) else {
            return Ok(false);
        };
        let grant = token.grant;
        let audit = record("oauth.revoke", &grant, source, now);
        let revoked = self
            .oauth
            .revoke_grant(&grant.owner, &grant.id, &audit)
            .await?;
        self.access_tokens.forget();
        Ok(revoked)
    }

    /// An app introduces itself.
    pub async fn register(
        &self,
        request: RegisterClient,
        source: RequestSource,
    ) -> Result<OAuthClient, OAuthError> {
        let limit = self.config.registered_clients;
        let limit = limit.ok_or(OAuthError::RegistrationClosed)?;
        let now = self.clock.now();
        let id = ClientId::parse(self.short_id()).map_err(|_| OAuthError::InvalidClient)?;
        let client = request.into_client(id, now)?;
        let lifetime = UNUSED_CLIENT_LIFETIME.as_secs();
        let unused_since = Timestamp::from_secs(now.as_secs().saturating_sub_unsigned(lifetime));
        let audit = AuditRecord::of_stranger("oauth.register", source, now)
            .ended(majordomo_domain::AuditOutcome::Success)
            .on("client", &client.id)
            .with("name", &client.name);
        let stored = self
            .oauth
            .insert_client(&client, limit, unused_since, &audit)
            .await?;
        if stored {
            Ok(client)
        } else {
            Err(OAuthError::RegistrationFull)
        }
    }

    /// What the caller lets apps do, newest first; only what still runs.
    pub async fn grants(&self, caller: &Caller) -> Result<Vec<OAuthGrant>, OAuthError> {
        caller.require(Scope::SettingsRead)?;
        let now = self.clock.now();
        let mut grants = self.oauth.list_grants(&caller.user, MAX_GRANTS).await?;
        grants.retain(|grant| grant.is_active(now));
        Ok(grants)
    }

    /// The caller ends what they let an app do.
    pub async fn revoke_grant(&self, caller: &Caller, id: &GrantId) -> Result<(), OAuthError> {
        caller.require_change(Scope::SettingsWrite)?;
        let audit = caller
            .record("oauth.revoke", self.clock.now())
            .on("grant", id);
        let revoked = self.oauth.revoke_grant(&caller.user, id, &audit).await?;
        self.access_tokens.forget();
        if revoked {
            Ok(())
        } else {
            Err(OAuthError::GrantNotFound)
        }
    }

    /// 128 random bits as 32 hexadecimal digits.
    fn short_id(&self) -> String {
        hex(self.ids.secret().last_chunk::<16>().unwrap_or(&[0; 16]))
    }

    fn grant_id(&self) -> Result<GrantId, OAuthError> {
        GrantId::parse(self.short_id()).map_err(|_| OAuthError::InvalidGrant("invalid_code"))
    }
}

/// The audit entry of something that was done with a grant's credentials.
fn record(
    action: &'static str,
    grant: &OAuthGrant,
    source: RequestSource,
    now: Timestamp,
) -> AuditRecord {
    let shown = CredentialKind::OAuthToken(grant.id.clone());
    AuditRecord::of_user(action, &grant.owner, &shown, source, now)
        .on("grant", &grant.id)
        .with("client", &grant.client)
}

/// What the app would get of this caller, and how it will prove that it is the one who asked.
fn terms(
    caller: &Caller,
    target: &AuthorizeTarget,
    asked: &AuthorizeRequest,
) -> Result<(Scopes, CodeChallenge), OAuthError> {
    let code = asked
        .response_type
        .as_deref()
        .is_none_or(|kind| kind == "code");
    if !code {
        return Err(OAuthError::UnsupportedResponseType);
    }
    let method = asked.code_challenge_method.as_deref();
    if method.is_some_and(|method| method != "S256") {
        return Err(OAuthError::InvalidRequest("invalid_code_challenge_method"));
    }
    let challenge = CodeChallenge::parse(&asked.code_challenge)
        .map_err(|_| OAuthError::InvalidRequest("missing_code_challenge"))?;
    let wanted = scopes::parse(asked.scope.as_deref())?;
    if !target.client.scopes.covers(wanted) {
        return Err(OAuthError::InvalidScope);
    }
    Ok((scopes::within(wanted, caller.scopes)?, challenge))
}

fn check_exchange(
    code: &AuthorizationCode,
    request: &ExchangeCode,
    now: Timestamp,
) -> Result<(), OAuthError> {
    let invalid = if now >= code.expires_at {
        "code_expired"
    } else if request.client_id != code.grant.client.as_str() {
        "client_mismatch"
    } else if request
        .redirect_uri
        .as_deref()
        .is_some_and(|uri| uri != code.redirect_uri.as_str())
    {
        "redirect_uri_mismatch"
    } else if !pkce::proves(&request.code_verifier, &code.challenge) {
        "invalid_code_verifier"
    } else {
        return Ok(());
    };
    Err(OAuthError::InvalidGrant(invalid))
}

fn names(scopes: Scopes) -> String {
    let names: Vec<_> = scopes.iter().map(Scope::as_str).collect();
    names.join(" ")
}
