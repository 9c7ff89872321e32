//! API keys: made, listed, switched off and on, revoked, rotated.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{
    AddressRange, ApiKey, ApiKeyId, CredentialKind, KeyLimits, Scope, Scopes, Timestamp,
};

use super::digest::{base64_url, sha256};
use super::error::AccessError;
use super::service::AccessService;
use crate::caller::Caller;
use crate::error::FieldError;

/// What keys of this server begin with. All work the same; each dialect's clients know theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyPrefix {
    /// `pp_`, `PocketPaw`'s.
    #[default]
    PocketPaw,
    /// `px_`, Pixcode's.
    Pixcode,
    /// `ck_`, of older Pixcode clients.
    OldPixcode,
}

impl KeyPrefix {
    const ALL: [Self; 3] = [Self::PocketPaw, Self::Pixcode, Self::OldPixcode];

    /// The prefix with its underscore.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PocketPaw => "pp_",
            Self::Pixcode => "px_",
            Self::OldPixcode => "ck_",
        }
    }

    /// The prefix a text begins with.
    pub fn of(token: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|prefix| token.starts_with(prefix.as_str()))
    }
}

/// A key to make.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateApiKey {
    /// 1..=100 characters.
    pub name: String,
    /// Scope names.
    pub scopes: Vec<String>,
    /// When it stops working; in the future.
    pub expires_at: Option<Timestamp>,
    /// What it begins with.
    pub prefix: KeyPrefix,
    /// Where its requests must come from, as CIDR; anywhere when empty. At most 32.
    pub allowed_addresses: Vec<String>,
    /// The models it may ask, as `provider/model`, `provider/*` or `model`; all when empty. At most 64.
    pub allowed_models: Vec<String>,
    /// How many requests it may send a minute; the server's default when missing.
    pub requests_per_minute: Option<NonZeroU32>,
}

/// A key just made: the only time its secret is seen.
pub struct IssuedApiKey {
    /// The key itself, its prefix and 43 characters.
    pub secret: String,
    /// Its record.
    pub key: ApiKey,
}

/// Keys listed at most.
const MAX_KEYS: u32 = 1000;
/// Keys of one user that work at the same time at most.
const MAX_LIVING_KEYS: usize = 500;
/// Longest name, in characters.
const MAX_NAME: usize = 100;
/// Ranges of addresses of a key at most.
const MAX_ADDRESSES: usize = 32;
/// Models of a key at most.
const MAX_MODELS: usize = 64;
/// Longest name of a model, in characters.
const MAX_MODEL: usize = 200;
/// The longest a rotated key goes on working.
const MAX_OVERLAP: Duration = Duration::from_hours(24 * 7);
/// Characters of a key that are stored to recognise it by.
const SHOWN_PREFIX: usize = 12;

impl AccessService {
    /// Makes an API key for the caller.
    pub async fn create_key(
        &self,
        caller: &Caller,
        request: CreateApiKey,
    ) -> Result<IssuedApiKey, AccessError> {
        require_own_keys(caller)?;
        let now = self.clock.now();
        let name = parse_name(&request.name)?;
        if request.expires_at.is_some_and(|at| at <= now) {
            return Err(invalid("expires_at", "must be in the future"));
        }
        let scopes = parse_scopes(&request.scopes)?;
        if let Some(scope) = scopes.iter().find(|scope| !caller.scopes.allows(*scope)) {
            return Err(AccessError::BeyondOwn(scope));
        }
        let limits = parse_limits(caller, &request)?;
        let keys = self.keys.list(&caller.user, MAX_KEYS).await?;
        if keys.iter().filter(|key| key.is_alive(now)).count() >= MAX_LIVING_KEYS {
            return Err(AccessError::TooManyKeys);
        }
        let issued = self.issue_key(request.prefix, |id, prefix| ApiKey {
            id,
            owner: caller.user.clone(),
            name,
            prefix,
            scopes,
            created_at: now,
            expires_at: request.expires_at,
            last_used_at: None,
            revoked_at: None,
            enabled: true,
            limits: Arc::new(limits),
        });
        let names: Vec<_> = issued.key.scopes.iter().map(Scope::as_str).collect();
        let record = caller
            .record("api_key.create", now)
            .on("api_key", &issued.key.id)
            .with("name", &issued.key.name)
            .with("scopes", names.join(" "));
        self.keys
            .insert(&issued.key, &sha256(&issued.secret), &record)
            .await?;
        Ok(issued)
    }

    fn issue_key(
        &self,
        prefix: KeyPrefix,
        record: impl FnOnce(ApiKeyId, String) -> ApiKey,
    ) -> IssuedApiKey {
        let secret = format!("{}{}", prefix.as_str(), base64_url(&self.ids.secret()));
        let shown = secret.chars().take(SHOWN_PREFIX).collect();
        IssuedApiKey {
            key: record(self.ids.api_key_id(), shown),
            secret,
        }
    }

    /// The caller's keys, newest first, revoked ones included.
    pub async fn list_keys(&self, caller: &Caller) -> Result<Vec<ApiKey>, AccessError> {
        if !is_signed_in(caller) {
            caller.require(Scope::Admin)?;
        }
        Ok(self.keys.list(&caller.user, MAX_KEYS).await?)
    }

    /// Revokes one of the caller's keys.
    pub async fn revoke_key(&self, caller: &Caller, id: &ApiKeyId) -> Result<(), AccessError> {
        require_own_keys(caller)?;
        let now = self.clock.now();
        let record = caller.record("api_key.revoke", now).on("api_key", id);
        let revoked = self.keys.revoke(&caller.user, id, now, &record).await?;
        self.changed(revoked)
    }

    /// Switches one of the caller's keys off or on again.
    pub async fn set_key_enabled(
        &self,
        caller: &Caller,
        id: &ApiKeyId,
        enabled: bool,
    ) -> Result<(), AccessError> {
        require_own_keys(caller)?;
        let action = if enabled {
            "api_key.enable"
        } else {
            "api_key.disable"
        };
        let record = caller.record(action, self.clock.now()).on("api_key", id);
        let switched = self
            .keys
            .set_enabled(&caller.user, id, enabled, &record)
            .await?;
        self.changed(switched)
    }

    /// Replaces one of the caller's keys by one with the same name, scopes, expiry and limits. The old one goes on
    /// working for `overlap`, a week at most, so that whoever uses it can change over; without one it dies at once.
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        id: &ApiKeyId,
        overlap: Duration,
    ) -> Result<IssuedApiKey, AccessError> {
        require_own_keys(caller)?;
        if overlap > MAX_OVERLAP {
            return Err(invalid("overlap_seconds", "must not be more than a week"));
        }
        let now = self.clock.now();
        let old = self.keys.find(&caller.user, id).await?;
        let old = old
            .filter(|key| key.is_active(now))
            .ok_or(AccessError::KeyNotFound)?;
        // A key that can make a mightier one of itself would be no limit.
        if let Some(scope) = old
            .scopes
            .iter()
            .find(|scope| !caller.scopes.allows(*scope))
        {
            return Err(AccessError::BeyondOwn(scope));
        }
        let prefix = KeyPrefix::of(&old.prefix).unwrap_or_default();
        let issued = self.issue_key(prefix, |id, prefix| ApiKey {
            id,
            prefix,
            created_at: now,
            last_used_at: None,
            ..old
        });
        let record = caller
            .record("api_key.rotate", now)
            .on("api_key", id)
            .with("successor", &issued.key.id)
            .with("overlap_seconds", overlap.as_secs());
        let (digest, end) = (sha256(&issued.secret), now.plus(overlap));
        let rotated = self
            .keys
            .rotate(id, &issued.key, &digest, now, end, &record)
            .await?;
        self.changed(rotated)?;
        Ok(issued)
    }

    /// After a change nothing of a key may linger.
    fn changed(&self, changed: bool) -> Result<(), AccessError> {
        self.cache.clear();
        if changed {
            Ok(())
        } else {
            Err(AccessError::KeyNotFound)
        }
    }
}

/// Whether a person has signed in, who looks after their own keys.
fn is_signed_in(caller: &Caller) -> bool {
    caller.credential == CredentialKind::Login
}

/// Fails unless the caller may make and change keys of their own: a person who signed in, or an administrator.
fn require_own_keys(caller: &Caller) -> Result<(), AccessError> {
    if is_signed_in(caller) {
        caller.require_change(Scope::Chat)?;
    } else {
        caller.require_change(Scope::Admin)?;
    }
    Ok(())
}

fn invalid(field: &str, error: impl Into<String>) -> AccessError {
    AccessError::Invalid(FieldError::new(field, error))
}

fn parse_name(name: &str) -> Result<String, AccessError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(invalid("name", "must have 1 to 100 characters"));
    }
    Ok(name.to_owned())
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
        return Err(invalid("scopes", "must name at least one scope"));
    }
    Ok(names.iter().filter_map(|name| Scope::parse(name)).collect())
}

/// The limits of a key to make. A limited key makes no key without its limits.
fn parse_limits(caller: &Caller, request: &CreateApiKey) -> Result<KeyLimits, AccessError> {
    if request.allowed_addresses.len() > MAX_ADDRESSES {
        return Err(invalid("allowed_addresses", "must not have more than 32"));
    }
    let addresses: Result<Vec<AddressRange>, _> = request
        .allowed_addresses
        .iter()
        .map(|text| text.trim().parse())
        .collect();
    let addresses = addresses.map_err(|error| invalid("allowed_addresses", error.to_string()))?;
    if request.allowed_models.len() > MAX_MODELS {
        return Err(invalid("allowed_models", "must not have more than 64"));
    }
    let is_model = |name: &String| {
        !name.trim().is_empty()
            && name.chars().count() <= MAX_MODEL
            && !name.chars().any(char::is_control)
    };
    if !request.allowed_models.iter().all(is_model) {
        return Err(invalid(
            "allowed_models",
            "must be names of 1 to 200 characters",
        ));
    }
    let own = &caller.limits;
    let within_own = own.models.is_empty()
        || (!request.allowed_models.is_empty()
            && request
                .allowed_models
                .iter()
                .all(|model| own.models.contains(model)));
    if !within_own {
        return Err(invalid(
            "allowed_models",
            "must be among those of the key that asks",
        ));
    }
    Ok(KeyLimits {
        addresses: if addresses.is_empty() {
            own.addresses.clone()
        } else {
            addresses
        },
        models: request
            .allowed_models
            .iter()
            .map(|model| model.trim().to_owned())
            .collect(),
        requests_per_minute: request.requests_per_minute.or(own.requests_per_minute),
    })
}
