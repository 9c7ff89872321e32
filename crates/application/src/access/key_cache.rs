//! A bounded memory of credentials and users that were looked up or verified a moment ago.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomo_domain::Timestamp;

use crate::ports::api_key_repository::Digest;

type Entries<K, T> = HashMap<K, (Timestamp, T)>;

/// Remembers a value per key, which is the digest of a secret unless said otherwise, for a while.
pub(super) struct KeyCache<T, K = Digest> {
    entries: Mutex<Entries<K, T>>,
    /// How often everything was forgotten.
    epoch: AtomicU64,
    capacity: usize,
    lifetime: Duration,
}

impl<T: Clone, K: Hash + Eq> KeyCache<T, K> {
    pub(super) fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            entries: Mutex::new(HashMap::new()),
            epoch: AtomicU64::new(0),
            capacity,
            lifetime,
        }
    }

    pub(super) fn get<Q>(&self, key: &Q, now: Timestamp) -> Option<T>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entries = self.lock();
        let (stored_at, value) = entries.get(key)?;
        (now.since(*stored_at) < self.lifetime).then(|| value.clone())
    }

    /// To be read before a value is looked up that will be [`put_in`](Self::put_in).
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Remembers a value that was looked up in `epoch`, unless everything was forgotten since: it may be out of date.
    pub(super) fn put_in(&self, epoch: u64, key: K, value: T, now: Timestamp) {
        let entries = self.lock();
        if self.epoch() == epoch {
            self.insert(entries, key, value, now);
        }
    }

    pub(super) fn put(&self, key: K, value: T, now: Timestamp) {
        self.insert(self.lock(), key, value, now);
    }

    fn insert(&self, mut entries: MutexGuard<'_, Entries<K, T>>, key: K, value: T, now: Timestamp) {
        if entries.len() >= self.capacity && !entries.contains_key(&key) {
            entries.retain(|_, (stored_at, _)| now.since(*stored_at) < self.lifetime);
            if entries.len() >= self.capacity {
                entries.clear();
            }
        }
        entries.insert(key, (now, value));
    }

    /// Forgets everything: after a key was revoked nothing of it may linger.
    pub(super) fn clear(&self) {
        let mut entries = self.lock();
        self.epoch.fetch_add(1, Ordering::AcqRel);
        entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Entries<K, T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_expire_and_never_exceed_the_capacity() {
        let cache = KeyCache::new(2, Duration::from_secs(5));
        for n in 0..10u8 {
            cache.put([n; 32], n, Timestamp::from_secs(0));
        }
        assert!(cache.entries.lock().unwrap().len() <= 2);
        assert_eq!(cache.get(&[9; 32], Timestamp::from_secs(4)), Some(9));
        assert_eq!(cache.get(&[9; 32], Timestamp::from_secs(5)), None);
    }

    #[test]
    fn what_was_looked_up_before_everything_was_forgotten_is_not_remembered() {
        let cache = KeyCache::new(2, Duration::from_secs(5));
        let now = Timestamp::from_secs(0);
        let epoch = cache.epoch();
        cache.clear();
        cache.put_in(epoch, [1; 32], 1, now);
        assert_eq!(cache.get(&[1; 32], now), None);
        cache.put_in(cache.epoch(), [1; 32], 1, now);
        assert_eq!(cache.get(&[1; 32], now), Some(1));
    }
}
