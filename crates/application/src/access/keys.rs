//! API keys: made, listed, switched off and on, revoked, rotated.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{
    ApiKey, ApiKeyId, Budget, BudgetLimit, BudgetPeriod, CredentialKind, KeyLimits, Scope, Scopes,
    Timestamp,
};

use super::digest::{base64_url, sha256};
use super::error::AccessError;
use super::key_request::{invalid, parse_limits, parse_name, parse_scopes};
use super::service::AccessService;
use crate::caller::Caller;
use crate::usage::Budgets;

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
    /// How much it may spend in each period; the server's default where nothing is said. Whoever does not administer
    /// the server sets no more than that default.
    pub budgets: Vec<(BudgetPeriod, BudgetLimit)>,
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
        self.require_unlimited(caller).await?;
        let now = self.clock.now();
        let name = parse_name(&request.name)?;
        if request.expires_at.is_some_and(|at| at <= now) {
            return Err(invalid("expires_at", "must be in the future"));
        }
        let scopes = parse_scopes(&request.scopes)?;
        require_own_scopes(caller, scopes)?;
        let limits = parse_limits(&request)?;
        self.require_room(!request.budgets.is_empty())?;
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
        let budgets = self.budgets_for(caller, &issued.key.id, &request);
        let names: Vec<_> = issued.key.scopes.iter().map(Scope::as_str).collect();
        let record = caller
            .record("api_key.create", now)
            .on("api_key", &issued.key.id)
            .with("name", &issued.key.name)
            .with("scopes", names.join(" "));
        self.keys
            .insert(&issued.key, &sha256(&issued.secret), &budgets, &record)
            .await?;
        // Before anyone knows the key.
        if let Some(known) = &self.budgets {
            known.adopt(&budgets);
        }
        Ok(issued)
    }

    /// Fails where a key asks that is limited beyond its scopes: it would make one that is not.
    async fn require_unlimited(&self, caller: &Caller) -> Result<(), AccessError> {
        let CredentialKind::ApiKey(id) = &caller.credential else {
            return Ok(());
        };
        let key = self.keys.find(&caller.user, id).await?;
        let key = key.ok_or(AccessError::Wrong)?;
        let has_budget = self
            .budgets
            .as_ref()
            .is_some_and(|budgets| budgets.limits_key(id));
        if has_budget || key.expires_at.is_some() || *key.limits != KeyLimits::default() {
            return Err(AccessError::LimitedMaker);
        }
        Ok(())
    }

    /// Fails where budgets are wanted and cannot be held to.
    fn require_room(&self, wanted: bool) -> Result<(), AccessError> {
        let have_room = |budgets: &Arc<Budgets>| budgets.have_room();
        if !wanted || self.budgets.as_ref().is_some_and(have_room) {
            return Ok(());
        }
        Err(invalid("budgets", "cannot be set: there are too many"))
    }

    fn budgets_for(&self, caller: &Caller, id: &ApiKeyId, request: &CreateApiKey) -> Vec<Budget> {
        let budgets = self.budgets.as_ref();
        budgets
            .map(|budgets| budgets.for_key(id, caller, &request.budgets))
            .unwrap_or_default()
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

    /// Replaces one of the caller's keys by one with the same name, scopes, expiry, limits and budgets; what was spent
    /// counts on. The old one goes on working for `overlap`, a week at most, so that whoever uses it can change over;
    /// without one it dies at once.
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        id: &ApiKeyId,
        overlap: Duration,
    ) -> Result<IssuedApiKey, AccessError> {
        require_own_keys(caller)?;
        self.require_unlimited(caller).await?;
        if overlap > MAX_OVERLAP {
            return Err(invalid("overlap_seconds", "must not be more than a week"));
        }
        let now = self.clock.now();
        let old = self.keys.find(&caller.user, id).await?;
        let old = old
            .filter(|key| key.is_active(now))
            .ok_or(AccessError::KeyNotFound)?;
        // A key that can make a mightier one of itself would be no limit.
        require_own_scopes(caller, old.scopes)?;
        let budgets = self.budgets.as_ref();
        self.require_room(budgets.is_some_and(|budgets| budgets.limits_key(id)))?;
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
        if let Some(budgets) = budgets {
            budgets.inherit(id, &issued.key.id);
        }
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

/// Nobody gives a key what they lack.
fn require_own_scopes(caller: &Caller, scopes: Scopes) -> Result<(), AccessError> {
    match scopes.iter().find(|scope| !caller.scopes.allows(*scope)) {
        Some(scope) => Err(AccessError::BeyondOwn(scope)),
        None => Ok(()),
    }
}
