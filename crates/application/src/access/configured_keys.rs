//! API keys of the configuration file: plain ones by digest, hashed ones verified once per key and process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::{Timestamp, UserId};

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
    /// Whose rows the key opens.
    pub user: UserId,
    /// The key or its hash.
    pub secret: ConfiguredSecret,
}

/// Verified secrets remembered at most.
const CACHE_CAPACITY: usize = 4096;
/// How long a refused secret is remembered, so that guessing costs one Argon2 verification per guess and minute.
const REFUSAL_LIFETIME: Duration = Duration::from_mins(1);

pub(super) struct ConfiguredKeys {
    plain: HashMap<Digest, UserId>,
    hashed: Vec<(String, UserId)>,
    hasher: Arc<dyn PasswordHasher>,
    verified: KeyCache<UserId>,
    refused: KeyCache<()>,
}

impl ConfiguredKeys {
    pub(super) fn new(keys: Vec<ConfiguredKey>, hasher: Arc<dyn PasswordHasher>) -> Self {
        let mut plain = HashMap::new();
        let mut hashed = Vec::new();
        for key in keys {
            match key.secret {
                ConfiguredSecret::Plain(secret) => {
                    plain.insert(sha256(&secret), key.user);
                }
                ConfiguredSecret::Hash(hash) => hashed.push((hash, key.user)),
            }
        }
        Self {
            plain,
            hashed,
            hasher,
            verified: KeyCache::new(CACHE_CAPACITY, Duration::MAX),
            refused: KeyCache::new(CACHE_CAPACITY, REFUSAL_LIFETIME),
        }
    }

    /// The user `secret` belongs to.
    pub(super) async fn find(
        &self,
        secret: &str,
        digest: &Digest,
        now: Timestamp,
    ) -> Option<UserId> {
        if let Some(user) = self.plain.get(digest) {
            return Some(user.clone());
        }
        if self.hashed.is_empty() || self.refused.get(digest, now).is_some() {
            return None;
        }
        if let Some(user) = self.verified.get(digest, now) {
            return Some(user);
        }
        for (hash, user) in &self.hashed {
            if self.hasher.verify(hash.clone(), secret.to_owned()).await {
                self.verified.put(*digest, user.clone(), now);
                return Some(user.clone());
            }
        }
        self.refused.put(*digest, (), now);
        None
    }
}
