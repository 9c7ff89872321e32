//! API keys of the configuration file: plain ones by digest, hashed ones verified once per key and process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{KeyLimits, Scopes, Timestamp, UserId, UserRole};

use super::digest::sha256;
use super::key_cache::KeyCache;
use crate::ports::PasswordHasher;
use crate::ports::api_key_repository::Digest;

/// How the configuration file spells a key.
#[derive(Clone)]
pub enum ConfiguredSecret {
    /// The key itself.
    Plain(String),
    /// Its Argon2 hash, a PHC string.
    Hash(String),
}

/// A key of the configuration file.
#[derive(Clone)]
pub struct ConfiguredKey {
    /// The key or its hash.
    pub secret: ConfiguredSecret,
    /// What it opens.
    pub rights: ConfiguredRights,
}

/// What a key of the configuration file opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredRights {
    /// Whose rows the key opens.
    pub user: UserId,
    /// What it may do; never administer.
    pub scopes: Scopes,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// What limits it beyond its scopes.
    pub limits: Arc<KeyLimits>,
}

impl ConfiguredRights {
    /// Everything but administering, without limits.
    pub fn of(user: UserId) -> Self {
        Self {
            user,
            scopes: UserRole::Service.scopes(),
            expires_at: None,
            limits: Arc::default(),
        }
    }
}

/// Verified secrets remembered at most.
const CACHE_CAPACITY: usize = 4096;
/// How long a refused secret is remembered, so that guessing costs one Argon2 verification per guess and minute.
const REFUSAL_LIFETIME: Duration = Duration::from_mins(1);

/// Secrets that are compared at the same time at most.
const LANES: usize = 16;

pub(super) struct ConfiguredKeys {
    plain: HashMap<Digest, Arc<ConfiguredRights>>,
    hashed: Vec<(String, Arc<ConfiguredRights>)>,
    hasher: Arc<dyn PasswordHasher>,
    verified: KeyCache<Arc<ConfiguredRights>>,
    refused: KeyCache<()>,
    /// Held while a secret is compared; equal secrets have the same lane.
    lanes: [tokio::sync::Mutex<()>; LANES],
}

impl ConfiguredKeys {
    pub(super) fn new(keys: Vec<ConfiguredKey>, hasher: Arc<dyn PasswordHasher>) -> Self {
        let mut plain = HashMap::new();
        let mut hashed = Vec::new();
        for key in keys {
            let rights = Arc::new(key.rights);
            match key.secret {
                ConfiguredSecret::Plain(secret) => {
                    plain.insert(sha256(&secret), rights);
                }
                ConfiguredSecret::Hash(hash) => hashed.push((hash, rights)),
            }
        }
        Self {
            plain,
            hashed,
            hasher,
            verified: KeyCache::new(CACHE_CAPACITY, Duration::MAX),
            refused: KeyCache::new(CACHE_CAPACITY, REFUSAL_LIFETIME),
            lanes: std::array::from_fn(|_| tokio::sync::Mutex::default()),
        }
    }

    /// What the plain key with this digest opens.
    pub(super) fn find_plain(&self, digest: &Digest) -> Option<Arc<ConfiguredRights>> {
        self.plain.get(digest).cloned()
    }

    /// What the hashed key opens that `secret` is. However many ask at the same time, a secret is compared once.
    pub(super) async fn find_hashed(
        &self,
        secret: &str,
        digest: &Digest,
        now: Timestamp,
    ) -> Option<Arc<ConfiguredRights>> {
        if self.hashed.is_empty() {
            return None;
        }
        match self.known(digest, now) {
            Known::Verified(rights) => return Some(rights),
            Known::Refused => return None,
            Known::Nothing => {}
        }
        let [first, ..] = digest;
        let lane = self.lanes.get(usize::from(*first) % LANES)?.lock().await;
        match self.known(digest, now) {
            Known::Verified(rights) => return Some(rights),
            Known::Refused => return None,
            Known::Nothing => {}
        }
        let mut found = None;
        for (hash, rights) in &self.hashed {
            if self.hasher.verify(hash.clone(), secret.to_owned()).await {
                found = Some(Arc::clone(rights));
                break;
            }
        }
        match &found {
            Some(rights) => self.verified.put(*digest, Arc::clone(rights), now),
            None => self.refused.put(*digest, (), now),
        }
        drop(lane);
        found
    }

    fn known(&self, digest: &Digest, now: Timestamp) -> Known {
        if let Some(rights) = self.verified.get(digest, now) {
            return Known::Verified(rights);
        }
        match self.refused.get(digest, now) {
            Some(()) => Known::Refused,
            None => Known::Nothing,
        }
    }
}

/// What is remembered of a secret.
enum Known {
    Verified(Arc<ConfiguredRights>),
    Refused,
    Nothing,
}
