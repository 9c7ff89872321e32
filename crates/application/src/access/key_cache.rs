//! A bounded memory of credentials that were looked up or verified a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use majordomo_domain::Timestamp;

use crate::ports::api_key_repository::Digest;

/// Remembers a value per secret's digest, for a while.
pub(super) struct KeyCache<T> {
    entries: Mutex<HashMap<Digest, (Timestamp, T)>>,
    capacity: usize,
    lifetime: Duration,
}

impl<T: Clone> KeyCache<T> {
    pub(super) fn new(capacity: usize, lifetime: Duration) -> Self {
        Self {
            entries: Mutex::new(HashMap::new()),
            capacity,
            lifetime,
        }
    }

    pub(super) fn get(&self, digest: &Digest, now: Timestamp) -> Option<T> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (stored_at, value) = entries.get(digest)?;
        (now.since(*stored_at) < self.lifetime).then(|| value.clone())
    }

    pub(super) fn put(&self, digest: Digest, value: T, now: Timestamp) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.capacity && !entries.contains_key(&digest) {
            entries.retain(|_, (stored_at, _)| now.since(*stored_at) < self.lifetime);
            if entries.len() >= self.capacity {
                entries.clear();
            }
        }
        entries.insert(digest, (now, value));
    }

    /// Forgets everything: after a key was revoked nothing of it may linger.
    pub(super) fn clear(&self) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
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
}
