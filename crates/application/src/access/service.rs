//! Who is asking, and the keys they may make.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use majordomo_domain::{ApiKey, ApiKeyId, CredentialKind, Scope, Scopes, Timestamp, UserId};
use subtle::ConstantTimeEq as _;

use super::configured_keys::{ConfiguredKey, ConfiguredKeys};
use super::digest::{base64_url, sha256};
use super::error::AccessError;
use super::key_cache::KeyCache;
use super::session_token;
use crate::caller::{Caller, ScopeDenied};
use crate::error::FieldError;
use crate::ports::api_key_repository::Digest;
use crate::ports::{
    ApiKeyRepository, Clock, IdGenerator, MasterTokenError, MasterTokenStore, PasswordHasher,
};

/// What a request shows of itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Presented {
    /// A secret, wherever it stood: master token, session token, API key.
    Token(String),
    /// No secret, but all rules of the localhost bypass hold. Only the web kernel may say so.
    Localhost,
    /// Nothing.
    Nothing,
}

/// What the operator configured.
pub struct AccessConfig {
    /// How long session tokens and cookies work.
    pub session_token_ttl: Duration,
    /// API keys of the configuration file.
    pub configured_keys: Vec<ConfiguredKey>,
}

/// What access needs.
pub struct AccessPorts {
    /// Storage of API keys.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// Where the master token is kept.
    pub master_token: Arc<dyn MasterTokenStore>,
    /// Verifies configured hashes.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers and secrets.
    pub ids: Arc<dyn IdGenerator>,
}

/// A key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateApiKey {
    /// 1..=100 characters.
    pub name: String,
    /// Scope names.
    pub scopes: Vec<String>,
    /// When it stops working; in the future.
    pub expires_at: Option<Timestamp>,
}

/// A key just made: the only time its secret is seen.
pub struct IssuedApiKey {
    /// The key itself, `pp_` and 43 characters.
    pub secret: String,
    /// Its record.
    pub key: ApiKey,
}

/// A credential for a cookie or a client that should not keep the master token.
pub struct IssuedToken {
    /// The token.
    pub secret: String,
    /// How long it works.
    pub lifetime: Duration,
}

/// Keys listed at most.
const MAX_KEYS: u32 = 1000;
/// How long a looked-up key is trusted before it is looked up again: how late a replica learns of a revocation.
const KEY_CACHE_LIFETIME: Duration = Duration::from_secs(5);
/// Looked-up keys remembered at most.
const KEY_CACHE_CAPACITY: usize = 10_000;
/// `last_used_at` is written at most this often.
const TOUCH_INTERVAL: Duration = Duration::from_mins(1);
/// What API keys of this server begin with.
const KEY_PREFIX: &str = "pp_";
/// Characters of a key that are stored to recognise it by.
const SHOWN_PREFIX: usize = 12;

struct Master {
    token: String,
    digest: Digest,
}

/// Resolves credentials to callers, and makes and revokes them.
pub struct AccessService {
    keys: Arc<dyn ApiKeyRepository>,
    master_store: Arc<dyn MasterTokenStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    configured: ConfiguredKeys,
    session_token_ttl: Duration,
    master: Arc<RwLock<Arc<Master>>>,
    /// Held while the master token is replaced.
    rotating: Arc<tokio::sync::Mutex<()>>,
    cache: KeyCache<ApiKey>,
}

impl AccessService {
    /// Reads the master token, making it on the first start.
    pub async fn open(ports: AccessPorts, config: AccessConfig) -> Result<Self, AccessError> {
        let token = if let Some(token) = ports.master_token.load().await? {
            token
        } else {
            let token = base64_url(&ports.ids.secret());
            ports.master_token.store(&token).await?;
            token
        };
        Ok(Self {
            keys: ports.keys,
            master_store: ports.master_token,
            clock: ports.clock,
            ids: ports.ids,
            configured: ConfiguredKeys::new(config.configured_keys, ports.hasher),
            session_token_ttl: config.session_token_ttl,
            master: Arc::new(RwLock::new(Arc::new(Master {
                digest: sha256(&token),
                token,
            }))),
            rotating: Arc::default(),
            cache: KeyCache::new(KEY_CACHE_CAPACITY, KEY_CACHE_LIFETIME),
        })
    }

    /// Resolves what a request shows. A wrong credential is never rescued by where it comes from.
    pub async fn authenticate(&self, presented: Presented) -> Result<Caller, AccessError> {
        match presented {
            Presented::Nothing => Err(AccessError::Missing),
            Presented::Localhost => Ok(Caller::operator(CredentialKind::Localhost)),
            Presented::Token(token) => self.authenticate_token(&token).await,
        }
    }

    /// As [`authenticate`](Self::authenticate) when the answer needs no waiting: a token this process has just seen.
    pub fn authenticate_now(&self, presented: &Presented) -> Option<Caller> {
        match presented {
            Presented::Nothing => None,
            Presented::Localhost => Some(Caller::operator(CredentialKind::Localhost)),
            Presented::Token(token) => {
                let now = self.clock.now();
                let digest = sha256(token);
                self.operator_token(token, &digest, now).or_else(|| {
                    let key = self.cache.get(&digest, now)?;
                    let fresh = key
                        .last_used_at
                        .is_some_and(|at| now.since(at) < TOUCH_INTERVAL);
                    (fresh && key.is_active(now)).then(|| caller_of(key))
                })
            }
        }
    }

    async fn authenticate_token(&self, token: &str) -> Result<Caller, AccessError> {
        let now = self.clock.now();
        let digest = sha256(token);
        if let Some(caller) = self.operator_token(token, &digest, now) {
            return Ok(caller);
        }
        if let Some(user) = self.configured.find_plain(&digest) {
            return Ok(configured_caller(user));
        }
        // Before the configured hashes: looking a key up is far cheaper than comparing it with them.
        if token.starts_with(KEY_PREFIX)
            && let Some(key) = self.find_key(&digest, now).await?
        {
            return if key.is_active(now) {
                Ok(caller_of(key))
            } else {
                Err(AccessError::Wrong)
            };
        }
        let user = self.configured.find_hashed(token, &digest, now).await;
        user.map(configured_caller).ok_or(AccessError::Wrong)
    }

    /// The key with this digest, whether or not it still opens anything; notes that an active one was used.
    async fn find_key(
        &self,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<Option<ApiKey>, AccessError> {
        let epoch = self.cache.epoch();
        let known = self.cache.get(digest, now);
        let looked_up = known.is_none();
        let found = match known {
            Some(key) => Some(key),
            None => self.keys.find_by_digest(digest).await?,
        };
        let Some(mut key) = found else {
            return Ok(None);
        };
        if !key.is_active(now) {
            return Ok(Some(key));
        }
        let used = key.last_used_at;
        let unnoted = used.is_none_or(|at| now.since(at) >= TOUCH_INTERVAL);
        if unnoted {
            key.last_used_at = Some(now);
            if let Err(error) = self.keys.touch(&key.id, now).await {
                // A full disk must not lock out those who only read.
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, key = %key.id, "the use of an API key cannot be noted");
            }
        }
        // A known key keeps its age unless it is read anew: how late a replica learns of a revocation.
        if looked_up {
            self.cache.put_in(epoch, *digest, key.clone(), now);
        }
        Ok(Some(key))
    }

    fn operator_token(&self, token: &str, digest: &Digest, now: Timestamp) -> Option<Caller> {
        let master = self.master();
        if bool::from(master.digest.ct_eq(digest)) {
            return Some(Caller::operator(CredentialKind::MasterToken));
        }
        session_token::verify(&master.token, token, now)
            .then(|| Caller::operator(CredentialKind::SessionToken))
    }

    /// Exchanges the master token for a session token. Nothing else is exchanged.
    pub fn open_session(&self, token: &str) -> Result<IssuedToken, AccessError> {
        let master = self.master();
        if !bool::from(master.digest.ct_eq(&sha256(token))) {
            return Err(AccessError::Wrong);
        }
        self.issue_session_token(&master)
    }

    /// What a login cookie holds: a session token for the master token; for an API key the key itself, so that the
    /// cookie has the key's scopes, expiry and revocation. Session tokens log nobody in.
    pub async fn login(&self, token: &str) -> Result<IssuedToken, AccessError> {
        let caller = self.authenticate_token(token).await?;
        match caller.credential {
            CredentialKind::MasterToken => self.issue_session_token(&self.master()),
            CredentialKind::ApiKey(_) | CredentialKind::ConfiguredKey => Ok(IssuedToken {
                secret: token.to_owned(),
                lifetime: self.session_token_ttl,
            }),
            CredentialKind::SessionToken
            | CredentialKind::Localhost
            | CredentialKind::CommandLine => Err(AccessError::Wrong),
        }
    }

    fn issue_session_token(&self, master: &Master) -> Result<IssuedToken, AccessError> {
        let expires_at = self.clock.now().plus(self.session_token_ttl);
        let secret = session_token::issue(&master.token, expires_at).ok_or(AccessError::Hashing)?;
        Ok(IssuedToken {
            secret,
            lifetime: self.session_token_ttl,
        })
    }

    /// The master token, for an operator at the machine.
    pub fn show_master_token(&self, caller: &Caller) -> Result<String, AccessError> {
        require_full_access(caller)?;
        Ok(self.master().token.clone())
    }

    /// Replaces the master token; every session token dies with the old one.
    pub async fn rotate_master_token(&self, caller: &Caller) -> Result<String, AccessError> {
        require_full_access(caller)?;
        let token = base64_url(&self.ids.secret());
        let new = Arc::new(Master {
            digest: sha256(&token),
            token: token.clone(),
        });
        let (store, master) = (self.master_store.clone(), self.master.clone());
        let turn = self.rotating.clone().lock_owned().await;
        // A task of its own: what is stored must also be what counts here, even when the caller leaves now.
        let replaced = tokio::spawn(async move {
            let _turn = turn;
            store.store(&new.token).await?;
            *master.write().unwrap_or_else(PoisonError::into_inner) = new;
            Ok::<_, MasterTokenError>(())
        });
        replaced.await.map_err(|error| MasterTokenError {
            act: "written",
            source: error.into(),
        })??;
        Ok(token)
    }

    /// Makes an API key for the caller.
    pub async fn create_key(
        &self,
        caller: &Caller,
        request: CreateApiKey,
    ) -> Result<IssuedApiKey, AccessError> {
        caller.require(Scope::Admin)?;
        let now = self.clock.now();
        let name = request.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 100 {
            return Err(AccessError::Invalid(FieldError::new(
                "name",
                "must have 1 to 100 characters",
            )));
        }
        if request.expires_at.is_some_and(|at| at <= now) {
            return Err(AccessError::Invalid(FieldError::new(
                "expires_at",
                "must be in the future",
            )));
        }
        let scopes = parse_scopes(&request.scopes)?;
        if let Some(scope) = scopes.iter().find(|scope| !caller.scopes.allows(*scope)) {
            return Err(AccessError::BeyondOwn(scope));
        }
        let issued = self.issue_key(caller.user.clone(), name, scopes, request.expires_at, now);
        self.keys
            .insert(&issued.key, &sha256(&issued.secret))
            .await?;
        Ok(issued)
    }

    fn issue_key(
        &self,
        owner: UserId,
        name: String,
        scopes: Scopes,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> IssuedApiKey {
        let secret = format!("{KEY_PREFIX}{}", base64_url(&self.ids.secret()));
        let key = ApiKey {
            id: self.ids.api_key_id(),
            owner,
            name,
            prefix: secret.chars().take(SHOWN_PREFIX).collect(),
            scopes,
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        IssuedApiKey { secret, key }
    }

    /// The caller's keys, newest first, revoked ones included.
    pub async fn list_keys(&self, caller: &Caller) -> Result<Vec<ApiKey>, AccessError> {
        caller.require(Scope::Admin)?;
        Ok(self.keys.list(&caller.user, MAX_KEYS).await?)
    }

    /// Revokes one of the caller's keys.
    pub async fn revoke_key(&self, caller: &Caller, id: &ApiKeyId) -> Result<(), AccessError> {
        caller.require(Scope::Admin)?;
        let revoked = self.keys.revoke(&caller.user, id, self.clock.now()).await?;
        self.cache.clear();
        if revoked {
            Ok(())
        } else {
            Err(AccessError::KeyNotFound)
        }
    }

    /// Replaces one of the caller's keys by one with the same name, scopes and expiry; the old one dies at once.
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        id: &ApiKeyId,
    ) -> Result<IssuedApiKey, AccessError> {
        let now = self.clock.now();
        let keys = self.list_keys(caller).await?;
        let old = keys
            .into_iter()
            .find(|key| key.id == *id && key.is_active(now))
            .ok_or(AccessError::KeyNotFound)?;
        let issued = self.issue_key(old.owner, old.name, old.scopes, old.expires_at, now);
        let rotated = self
            .keys
            .rotate(id, &issued.key, &sha256(&issued.secret), now)
            .await?;
        self.cache.clear();
        if rotated {
            Ok(issued)
        } else {
            Err(AccessError::KeyNotFound)
        }
    }

    fn master(&self) -> Arc<Master> {
        self.master
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A key, whatever its scopes, never learns the master token: that would outlive the key's revocation.
fn require_full_access(caller: &Caller) -> Result<(), AccessError> {
    caller.require(Scope::Admin)?;
    match caller.credential {
        CredentialKind::ApiKey(_) | CredentialKind::ConfiguredKey => {
            let credential = caller.credential.clone();
            Err(ScopeDenied {
                scope: Scope::Admin,
                credential,
            }
            .into())
        }
        CredentialKind::MasterToken
        | CredentialKind::SessionToken
        | CredentialKind::Localhost
        | CredentialKind::CommandLine => Ok(()),
    }
}

/// What keys of the configuration file may do: everything but administer.
fn configured_caller(user: UserId) -> Caller {
    let scopes = Scope::ALL.into_iter();
    Caller {
        user,
        scopes: scopes.filter(|scope| *scope != Scope::Admin).collect(),
        credential: CredentialKind::ConfiguredKey,
    }
}

fn caller_of(key: ApiKey) -> Caller {
    Caller {
        user: key.owner,
        scopes: key.scopes,
        credential: CredentialKind::ApiKey(key.id),
    }
}

fn parse_scopes(names: &[String]) -> Result<Scopes, AccessError> {
    let unknown: Vec<String> = names
        .iter()
        .filter(|name| Scope::parse(name).is_none())
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(AccessError::UnknownScopes(unknown));
    }
    if names.is_empty() {
        return Err(AccessError::Invalid(FieldError::new(
            "scopes",
            "must name at least one scope",
        )));
    }
    Ok(names.iter().filter_map(|name| Scope::parse(name)).collect())
}
