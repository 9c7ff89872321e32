//! Who is asking: credentials and what they are exchanged for.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use majordomo_domain::{
    ApiKey, AuditRecord, CredentialKind, RequestSource, Scope, Timestamp, User, UserId, UserRole,
};
use subtle::ConstantTimeEq as _;

use super::callers::{app_caller, configured_caller, key_caller, login_caller};
use super::configured_keys::{ConfiguredKey, ConfiguredKeys};
use super::digest::{base64_url, sha256};
use super::directory::{Directory, Standing};
use super::error::AccessError;
use super::key_cache::KeyCache;
use super::keys::KeyPrefix;
use super::login_token::LoginTokens;
use super::oauth_tokens::AccessTokens;
use super::pairing::{self, Paired, PairingTokens};
use super::session_token;
use crate::caller::Caller;
use crate::hex::hex;
use crate::ports::api_key_repository::Digest;
use crate::ports::{
    ApiKeyRepository, AuditLog, Clock, IdGenerator, MasterTokenError, MasterTokenStore,
    PasswordHasher, SigningKeyStore, UserRepository,
};
use crate::usage::Budgets;

/// What a request shows of itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Presented {
    /// A secret, wherever it stood: master token, session token, login token, API key.
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
    /// How long the login tokens of users work; they are renewed when they are used past half of it.
    pub login_token_ttl: Duration,
    /// API keys of the configuration file.
    pub configured_keys: Vec<ConfiguredKey>,
}

/// What access needs.
pub struct AccessPorts {
    /// Storage of API keys.
    pub keys: Arc<dyn ApiKeyRepository>,
    /// Storage of users.
    pub users: Arc<dyn UserRepository>,
    /// Where logins and new master tokens are recorded.
    pub audit: Arc<dyn AuditLog>,
    /// Where the master token is kept.
    pub master_token: Arc<dyn MasterTokenStore>,
    /// Where the key is kept that signs login tokens.
    pub signing_key: Arc<dyn SigningKeyStore>,
    /// Verifies configured hashes.
    pub hasher: Arc<dyn PasswordHasher>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers and secrets.
    pub ids: Arc<dyn IdGenerator>,
}

/// How a login is recorded.
const LOGIN: &str = "login.success";

/// A credential for a cookie or a client that should not keep the master token.
pub struct IssuedToken {
    /// The token.
    pub secret: String,
    /// How long it works.
    pub lifetime: Duration,
}

/// What a device gets for a pairing token.
pub enum LoggedIn {
    /// A session token, for the session cookie.
    Session(IssuedToken),
    /// A user's login token, for the login cookie.
    User(IssuedToken),
}

/// How long a looked-up key is trusted before it is looked up again: how late a replica learns of a revocation.
const KEY_CACHE_LIFETIME: Duration = Duration::from_secs(5);
/// Looked-up keys remembered at most.
const KEY_CACHE_CAPACITY: usize = 10_000;
/// `last_used_at` is written at most this often.
const TOUCH_INTERVAL: Duration = Duration::from_mins(1);

struct Master {
    token: String,
    digest: Digest,
}

/// Resolves credentials to callers, and makes and revokes them.
pub struct AccessService {
    pub(super) keys: Arc<dyn ApiKeyRepository>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdGenerator>,
    pub(super) cache: KeyCache<ApiKey>,
    pub(super) directory: Directory,
    pub(super) login_tokens: LoginTokens,
    audit: Arc<dyn AuditLog>,
    master_store: Arc<dyn MasterTokenStore>,
    configured: ConfiguredKeys,
    session_token_ttl: Duration,
    master: Arc<RwLock<Arc<Master>>>,
    /// Held while the master token is replaced.
    rotating: Arc<tokio::sync::Mutex<()>>,
    pairing: PairingTokens,
    app_tokens: Option<Arc<AccessTokens>>,
    pub(super) budgets: Option<Arc<Budgets>>,
}

impl AccessService {
    /// Reads the master token and the signing key, making them on the first start.
    pub async fn open(ports: AccessPorts, config: AccessConfig) -> Result<Self, AccessError> {
        let token = if let Some(token) = ports.master_token.load().await? {
            token
        } else {
            let token = base64_url(&ports.ids.secret());
            ports.master_token.store(&token).await?;
            token
        };
        let fresh = ports.ids.secret();
        let signing_key = ports.signing_key.load_or_store(fresh).await?;
        Ok(Self {
            keys: ports.keys,
            audit: ports.audit,
            master_store: ports.master_token,
            clock: ports.clock,
            ids: ports.ids,
            configured: ConfiguredKeys::new(config.configured_keys, ports.hasher),
            session_token_ttl: config.session_token_ttl,
            login_tokens: LoginTokens::new(signing_key, config.login_token_ttl),
            directory: Directory::new(ports.users),
            master: Arc::new(RwLock::new(Arc::new(Master {
                digest: sha256(&token),
                token,
            }))),
            rotating: Arc::default(),
            cache: KeyCache::new(KEY_CACHE_CAPACITY, KEY_CACHE_LIFETIME),
            pairing: PairingTokens::default(),
            app_tokens: None,
            budgets: None,
        })
    }

    /// Makes and replaces keys together with their budgets.
    #[must_use]
    pub fn with_budgets(mut self, budgets: Arc<Budgets>) -> Self {
        self.budgets = Some(budgets);
        self
    }

    /// Lets in apps too, by their access tokens.
    #[must_use]
    pub fn with_app_tokens(mut self, tokens: Arc<AccessTokens>) -> Self {
        self.app_tokens = Some(tokens);
        self
    }

    /// Resolves what a request from `source` shows. A wrong credential is never rescued by where it comes from.
    pub async fn authenticate(
        &self,
        presented: Presented,
        source: RequestSource,
    ) -> Result<Caller, AccessError> {
        let caller = match presented {
            Presented::Nothing => return Err(AccessError::Missing),
            Presented::Localhost => Caller::operator(CredentialKind::Localhost),
            Presented::Token(token) => self.authenticate_token(&token).await?,
        };
        let_in(caller, source)
    }

    /// As [`authenticate`](Self::authenticate) when the answer needs no waiting: a token this process has just seen.
    pub fn authenticate_now(&self, presented: &Presented, source: RequestSource) -> Option<Caller> {
        let caller = match presented {
            Presented::Nothing => None,
            Presented::Localhost => Some(Caller::operator(CredentialKind::Localhost)),
            Presented::Token(token) => self.known_token(token),
        };
        let_in(caller?, source).ok()
    }

    fn known_token(&self, token: &str) -> Option<Caller> {
        let now = self.clock.now();
        let digest = sha256(token);
        if let Some(caller) = self.operator_token(token, &digest, now) {
            return Some(caller);
        }
        if let Some(digest) = self.key_of_session(token, now) {
            return self.known_key(&digest, now);
        }
        if let Some(claims) = self.login_tokens.verify(token, now) {
            let standing = self.directory.known(&claims.user, now)?;
            return login_caller(claims.user, standing?, claims.version);
        }
        if let Some(rights) = self.configured.find_plain(&digest) {
            return configured_caller(&rights, self.directory.known(&rights.user, now)?, now);
        }
        if let Some(tokens) = self.app_tokens(token) {
            let token = tokens.known(&digest, now)?;
            let standing = self.directory.known(&token.grant.owner, now)?;
            return app_caller(token, standing);
        }
        self.known_key(&digest, now)
    }

    fn known_key(&self, digest: &Digest, now: Timestamp) -> Option<Caller> {
        let key = self.cache.get(digest, now)?;
        let fresh = key
            .last_used_at
            .is_some_and(|at| now.since(at) < TOUCH_INTERVAL);
        let standing = self.directory.known(&key.owner, now)?;
        (fresh && key.is_active(now)).then(|| key_caller(key, standing))?
    }

    async fn authenticate_token(&self, token: &str) -> Result<Caller, AccessError> {
        let now = self.clock.now();
        let digest = sha256(token);
        if let Some(caller) = self.operator_token(token, &digest, now) {
            return Ok(caller);
        }
        if let Some(digest) = self.key_of_session(token, now) {
            let caller = self.stored_key(&digest, now).await?;
            return caller.ok_or(AccessError::Wrong);
        }
        if LoginTokens::is_one(token) {
            return self.login_token(token, now).await;
        }
        if let Some(rights) = self.configured.find_plain(&digest) {
            let standing = self.directory.standing(&rights.user, now).await?;
            return configured_caller(&rights, standing, now).ok_or(AccessError::Wrong);
        }
        if let Some(tokens) = self.app_tokens(token) {
            let found = tokens.find(&digest, now).await?;
            let token = found.ok_or(AccessError::Wrong)?;
            let standing = self.directory.standing(&token.grant.owner, now).await?;
            return app_caller(token, standing).ok_or(AccessError::Wrong);
        }
        // Before the configured hashes: looking a key up is far cheaper than comparing it with them.
        if KeyPrefix::of(token).is_some()
            && let Some(caller) = self.stored_key(&digest, now).await?
        {
            return Ok(caller);
        }
        let rights = self.configured.find_hashed(token, &digest, now).await;
        let rights = rights.ok_or(AccessError::Wrong)?;
        let standing = self.directory.standing(&rights.user, now).await?;
        configured_caller(&rights, standing, now).ok_or(AccessError::Wrong)
    }

    async fn login_token(&self, token: &str, now: Timestamp) -> Result<Caller, AccessError> {
        let claims = self
            .login_tokens
            .verify(token, now)
            .ok_or(AccessError::Wrong)?;
        let standing = self.directory.standing(&claims.user, now).await?;
        standing
            .and_then(|standing| login_caller(claims.user, standing, claims.version))
            .ok_or(AccessError::Wrong)
    }

    /// Whoever the key with this digest opens for; `None` when there is no such key.
    async fn stored_key(
        &self,
        digest: &Digest,
        now: Timestamp,
    ) -> Result<Option<Caller>, AccessError> {
        let Some(key) = self.find_key(digest, now).await? else {
            return Ok(None);
        };
        if !key.is_active(now) {
            return Err(AccessError::Wrong);
        }
        let standing = self.directory.standing(&key.owner, now).await?;
        key_caller(key, standing)
            .map(Some)
            .ok_or(AccessError::Wrong)
    }

    /// The digest of the key that a session token was made of.
    fn key_of_session(&self, token: &str, now: Timestamp) -> Option<Digest> {
        session_token::key_digest(&self.master().token, token, now)
    }

    /// Where an app's access token is looked up.
    fn app_tokens(&self, token: &str) -> Option<&AccessTokens> {
        let tokens = self.app_tokens.as_deref()?;
        token.starts_with(AccessTokens::PREFIX).then_some(tokens)
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

    /// What a user may do at most, as it was at most five seconds ago; `None` for one who does not exist.
    pub async fn standing(&self, user: &UserId) -> Result<Option<Standing>, AccessError> {
        Ok(self.directory.standing(user, self.clock.now()).await?)
    }

    /// As [`standing`](Self::standing), where this process has just looked the user up.
    pub fn standing_now(&self, user: &UserId) -> Option<Option<Standing>> {
        self.directory.known(user, self.clock.now())
    }

    /// Exchanges the master token for a session token. Nothing else is exchanged.
    pub async fn open_session(
        &self,
        token: &str,
        source: RequestSource,
    ) -> Result<IssuedToken, AccessError> {
        let master = self.master();
        if !bool::from(master.digest.ct_eq(&sha256(token))) {
            return Err(AccessError::Wrong);
        }
        let caller = Caller::operator(CredentialKind::MasterToken).asking_from(source);
        self.record(&caller, LOGIN).await?;
        self.issue_session_token(&master)
    }

    /// What a login cookie holds: a session token for the master token; for an API key a session token that stands for
    /// the key; for a configured key or an app's token that token itself. Each has the scopes, expiry and revocation of
    /// what it was made of. Session and login tokens log nobody in.
    pub async fn login(
        &self,
        token: &str,
        source: RequestSource,
    ) -> Result<IssuedToken, AccessError> {
        if self.key_of_session(token, self.clock.now()).is_some() {
            return Err(AccessError::Wrong);
        }
        let caller = let_in(self.authenticate_token(token).await?, source)?;
        let issued = match caller.credential {
            CredentialKind::ApiKey(_) => self.issue_key_session(token)?,
            CredentialKind::MasterToken => self.issue_session_token(&self.master())?,
            CredentialKind::SessionToken
            | CredentialKind::Login
            | CredentialKind::Localhost
            | CredentialKind::CommandLine => return Err(AccessError::Wrong),
            CredentialKind::ConfiguredKey | CredentialKind::OAuthToken(_) => IssuedToken {
                secret: token.to_owned(),
                lifetime: self.session_token_ttl,
            },
        };
        self.record(&caller, LOGIN).await?;
        Ok(issued)
    }

    /// Records an act which stores nothing else, before it counts: without a record there is no act.
    async fn record(&self, caller: &Caller, action: &'static str) -> Result<(), AccessError> {
        let record = caller.record(action, self.clock.now());
        Ok(self.audit.append(&record).await?)
    }

    fn issue_session_token(&self, master: &Master) -> Result<IssuedToken, AccessError> {
        let expires_at = self.clock.now().plus(self.session_token_ttl);
        let secret = session_token::issue(&master.token, expires_at).ok_or(AccessError::Hashing)?;
        Ok(IssuedToken {
            secret,
            lifetime: self.session_token_ttl,
        })
    }

    /// A session token that stands for `key`: what ends the key ends it.
    fn issue_key_session(&self, key: &str) -> Result<IssuedToken, AccessError> {
        let expires_at = self.clock.now().plus(self.session_token_ttl);
        let master = self.master();
        let secret = session_token::issue_for_key(&master.token, expires_at, &sha256(key));
        Ok(IssuedToken {
            secret: secret.ok_or(AccessError::Hashing)?,
            lifetime: self.session_token_ttl,
        })
    }

    /// A login token of a user whose password was right.
    pub(super) fn issue_login_token(&self, user: &User) -> Result<IssuedToken, AccessError> {
        let now = self.clock.now();
        let name = user.username.as_str();
        let secret = self
            .login_tokens
            .issue(&user.id, name, user.token_version, now)
            .ok_or(AccessError::Hashing)?;
        Ok(IssuedToken {
            secret,
            lifetime: self.login_tokens.lifetime(),
        })
    }

    /// A fresh login token for a caller who shows one past half of its life.
    pub fn renew_login(&self, presented: &Presented, caller: &Caller) -> Option<IssuedToken> {
        let (CredentialKind::Login, Presented::Token(token)) = (&caller.credential, presented)
        else {
            return None;
        };
        Some(IssuedToken {
            secret: self.login_tokens.renew(token, self.clock.now())?,
            lifetime: self.login_tokens.lifetime(),
        })
    }

    /// A token that logs one device in as the caller, once, within a minute, unless what ends the caller's own tokens
    /// comes before. Keys have none to give: the device's cookie would outlive their scopes.
    pub async fn pair(&self, caller: &Caller) -> Result<IssuedToken, AccessError> {
        let paired = match caller.credential {
            CredentialKind::MasterToken
            | CredentialKind::SessionToken
            | CredentialKind::Localhost => Paired::Operator,
            CredentialKind::Login => {
                let standing = self.standing(&caller.user).await?;
                let version = standing.ok_or(AccessError::Wrong)?.token_version;
                Paired::User(caller.user.clone(), version)
            }
            CredentialKind::ApiKey(_)
            | CredentialKind::ConfiguredKey
            | CredentialKind::OAuthToken(_)
            | CredentialKind::CommandLine => return Err(caller.denied(Scope::Admin).into()),
        };
        self.record(caller, "pairing.create").await?;
        let secret = hex(&self.ids.secret());
        Ok(IssuedToken {
            secret: self.pairing.issue(&secret, paired, self.clock.now()),
            lifetime: pairing::LIFETIME,
        })
    }

    /// Notes that the caller signs out. What they showed works until it ends by itself: clients forget it.
    pub async fn log_out(&self, caller: &Caller) -> Result<(), AccessError> {
        self.record(caller, "login.end").await
    }

    /// Whether a token is a pairing token that was not used yet. Costs no waiting.
    pub fn is_pairing(&self, token: &str) -> bool {
        session_token::has_form(token) && self.pairing.is_waiting(&sha256(token))
    }

    /// Uses a pairing token up.
    pub async fn redeem(
        &self,
        token: &str,
        source: RequestSource,
    ) -> Result<LoggedIn, AccessError> {
        let now = self.clock.now();
        let paired = self.pairing.take(&sha256(token), now);
        match paired.ok_or(AccessError::Wrong)? {
            Paired::Operator => {
                let caller = Caller::operator(CredentialKind::SessionToken).asking_from(source);
                self.record(&caller, LOGIN).await?;
                Ok(LoggedIn::Session(self.issue_session_token(&self.master())?))
            }
            Paired::User(id, version) => {
                let user = self.directory.find(&id).await?;
                let user = user
                    .filter(|user| user.enabled && user.token_version == version)
                    .ok_or(AccessError::Wrong)?;
                let login = CredentialKind::Login;
                let record = AuditRecord::of_user(LOGIN, &user.id, &login, source, now);
                self.audit.append(&record).await?;
                Ok(LoggedIn::User(self.issue_login_token(&user)?))
            }
        }
    }

    /// The master token, for an operator at the machine.
    pub fn show_master_token(&self, caller: &Caller) -> Result<String, AccessError> {
        require_full_access(caller)?;
        Ok(self.master().token.clone())
    }

    /// Replaces the master token; every session token dies with the old one, and so does every pairing token.
    pub async fn rotate_master_token(&self, caller: &Caller) -> Result<String, AccessError> {
        require_full_access(caller)?;
        self.record(caller, "token.regenerate").await?;
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
        self.pairing.clear();
        Ok(token)
    }

    fn master(&self) -> Arc<Master> {
        self.master
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The caller with the place the request comes from, unless the key shown is not let in from there.
fn let_in(caller: Caller, source: RequestSource) -> Result<Caller, AccessError> {
    if caller.limits.allows_address(source.address) {
        Ok(caller.asking_from(source))
    } else {
        Err(AccessError::AddressRefused)
    }
}

/// A key, whatever its scopes, never learns the master token nor makes users: that would outlive the key's revocation.
/// The same holds for an app's token. The owner alone has full access.
pub(super) fn require_full_access(caller: &Caller) -> Result<(), AccessError> {
    require_person(caller)?;
    if caller.role == UserRole::Owner {
        Ok(())
    } else {
        Err(caller.denied(Scope::Admin).into())
    }
}

/// Fails unless an administrator asks in person: not by a key or an app.
pub(super) fn require_person(caller: &Caller) -> Result<(), AccessError> {
    caller.require_change(Scope::Admin)?;
    require_in_person(caller)
}

/// Fails for keys and apps.
pub(super) fn require_in_person(caller: &Caller) -> Result<(), AccessError> {
    match caller.credential {
        CredentialKind::MasterToken
        | CredentialKind::SessionToken
        | CredentialKind::Login
        | CredentialKind::Localhost
        | CredentialKind::CommandLine => Ok(()),
        CredentialKind::ApiKey(_)
        | CredentialKind::ConfiguredKey
        | CredentialKind::OAuthToken(_) => Err(caller.denied(Scope::Admin).into()),
    }
}
