//! Argon2 on blocking threads, a few at a time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use majordomo_application::ports::PasswordHasher;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Memory of one hash in KiB. With [`TIME_COST`] and [`PARALLELISM`] the second set OWASP recommends for Argon2id
/// (Password Storage Cheat Sheet) and what `PiSovereign` writes.
const MEMORY_COST: u32 = 19_456;
/// Passes over the memory.
const TIME_COST: u32 = 2;
/// Lanes.
const PARALLELISM: u32 = 1;

/// Costliest hash that is verified, in KiB: 1 GiB.
const MAX_MEMORY_COST: u32 = 1 << 20;
/// Most work one verification may take, in KiB times passes: 4 GiB written, a few seconds.
const MAX_WORK: u64 = 4 << 20;

/// Hashes with Argon2id (19 MiB, 2 passes, 1 lane); verifies hashes of every Argon2 variant by their own parameters.
///
/// Works on tokio's blocking threads. Those who wait for their turn hold nothing but their arguments. Work once begun
/// keeps its place until it is done even when nobody waits for it any more, so that clients who hang up cannot have
/// more than the bound at work.
#[derive(Debug, Clone)]
pub struct Argon2PasswordHasher {
    places: Arc<Semaphore>,
}

impl Argon2PasswordHasher {
    /// At most `concurrency` hashes or verifications at once; each takes a core and its hash's memory.
    pub fn new(concurrency: NonZeroUsize) -> Self {
        let places = concurrency.get().min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// As many at once as there are cores.
    pub fn per_core() -> Self {
        Self::new(available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// `None` when the work panicked or the runtime is shutting down.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let done = spawn_blocking(move || {
            let _place = place;
            work()
        });
        match done.await {
            Ok(result) => Some(result),
            Err(error) => {
                tracing::error!(%error, "a password hash broke off");
                None
            }
        }
    }
}

#[async_trait]
impl PasswordHasher for Argon2PasswordHasher {
    async fn hash(&self, secret: String) -> Option<String> {
        self.run(move || hash(&secret)).await.flatten()
    }

    async fn verify(&self, hash: String, secret: String) -> bool {
        self.run(move || verify(&hash, &secret))
            .await
            .unwrap_or(false)
    }
}

fn hash(secret: &str) -> Option<String> {
    let params = Params::new(MEMORY_COST, TIME_COST, PARALLELISM, None).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    // Takes a salt of 16 bytes from the system's random source, and fails when there is none.
    match argon2.hash_password(secret.as_bytes()) {
        Ok(hash) => Some(hash.to_string()),
        Err(error) => {
            tracing::error!(%error, "a secret could not be hashed");
            None
        }
    }
}

fn verify(hash: &str, secret: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        tracing::warn!("a configured hash is no PHC string");
        return false;
    };
    if !is_affordable(&hash) {
        tracing::warn!("a configured hash has wrong or excessive parameters");
        return false;
    }
    Argon2::default()
        .verify_password(secret.as_bytes(), &hash)
        .is_ok()
}

fn is_affordable(hash: &PasswordHash) -> bool {
    Params::try_from(hash).is_ok_and(|params| {
        let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
        params.m_cost() <= MAX_MEMORY_COST && work <= MAX_WORK
    })
}
