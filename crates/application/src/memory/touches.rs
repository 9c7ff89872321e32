//! Which memories were found: noted in storage together, a little later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use majordomo_domain::{MemoryId, UserId};

use crate::ports::{Clock, MemoryRepository};

/// How long what was found waits. What is found again meanwhile counts once. Noting one memory alone costs as much as
/// storing a message; of many that are noted together most lie in the same pages.
const LINGER: Duration = Duration::from_secs(10);
/// Memories noted in one write: others wait for it.
const TOGETHER: usize = 200;
/// Memories that wait at most; further ones are not noted.
const WAITING: usize = 16_384;

/// Notes what was found without anybody waiting for it.
#[derive(Clone)]
pub(super) struct Touches {
    memories: Arc<dyn MemoryRepository>,
    clock: Arc<dyn Clock>,
    waiting: Arc<Mutex<BTreeMap<UserId, BTreeSet<MemoryId>>>>,
}

impl Touches {
    pub(super) fn new(memories: Arc<dyn MemoryRepository>, clock: Arc<dyn Clock>) -> Self {
        Self {
            memories,
            clock,
            waiting: Arc::default(),
        }
    }

    /// Notes these of one owner's. Must be called on a runtime.
    pub(super) fn note(&self, owner: &UserId, ids: impl IntoIterator<Item = MemoryId>) {
        let mut ids = ids.into_iter().peekable();
        if ids.peek().is_none() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = waiting.is_empty();
        let room = WAITING.saturating_sub(waiting.values().map(BTreeSet::len).sum());
        let of_owner = waiting.entry(owner.clone()).or_default();
        of_owner.extend(ids.take(room));
        if is_first {
            let touches = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(LINGER).await;
                touches.store().await;
            });
        }
    }

    /// Stores what waits.
    pub(super) async fn store(&self) {
        let found = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        let now = self.clock.now();
        for (owner, ids) in found {
            let ids: Vec<MemoryId> = ids.into_iter().collect();
            for ids in ids.chunks(TOGETHER) {
                if let Err(error) = self.memories.touch(&owner, ids, now).await {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "what was found cannot be noted");
                }
            }
        }
    }
}
