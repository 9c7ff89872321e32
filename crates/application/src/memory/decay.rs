//! How the caller's memories fade.

use majordomo_domain::{Memory, MemoryId, Scope, UserId};

use super::error::MemoryError;
use super::service::{MemoryService, PAGE};
use crate::caller::Caller;

/// What running decay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decayed {
    /// Memories looked at.
    pub processed: u64,
    /// Of which faded.
    pub decayed: u64,
    /// Of which forgotten.
    pub removed: u64,
}

impl MemoryService {
    /// Lets all of the caller's memories fade, and forgets what fell below the least importance. Running it twice in a
    /// day changes nothing the second time.
    pub async fn decay(&self, caller: &Caller) -> Result<Decayed, MemoryError> {
        caller.require_change(Scope::Memory)?;
        let now = self.clock.now();
        let mut result = Decayed::default();
        let (mut after, mut end) = (0, None);
        loop {
            let page = self.memories.changes(&caller.user, after, PAGE).await?;
            // What fades gets a new revision behind the last one there was: nothing is read twice.
            let newest = match end {
                Some(newest) => newest,
                None => *end.insert(self.newest_revision(&caller.user, after).await?),
            };
            let page: Vec<Memory> = page.into_iter().filter(|m| m.revision <= newest).collect();
            let Some(last) = page.last() else {
                return Ok(result);
            };
            after = last.revision;
            result.processed += u64::try_from(page.len()).unwrap_or_default();
            let faded = page.iter().filter_map(|memory| memory.faded(now));
            let (gone, kept): (Vec<_>, Vec<_>) = faded.partition(Memory::is_forgotten);
            let faded = self.memories.replace(&caller.user, &kept, false, None);
            result.decayed += faded.await?;
            let gone: Vec<MemoryId> = gone.into_iter().map(|memory| memory.id).collect();
            if !gone.is_empty() {
                result.removed += self.forget_unchanged(caller, &gone, after).await?;
            }
        }
    }

    /// Forgets those of the memories that nobody has changed since they were read, when `until` was their last revision.
    async fn forget_unchanged(
        &self,
        caller: &Caller,
        ids: &[MemoryId],
        until: u64,
    ) -> Result<u64, MemoryError> {
        let (owner, record) = (&caller.user, self.erasure(caller, ids));
        let removed = self.memories.delete(owner, ids, Some(until), &record);
        let removed = removed.await?;
        let kept = self.memories.find(owner, ids).await?;
        let is_kept = |id: &MemoryId| kept.iter().any(|memory| memory.id == *id);
        self.take_from_index(owner, ids.iter().filter(|id| !is_kept(id)));
        Ok(removed)
    }

    async fn newest_revision(&self, owner: &UserId, after: u64) -> Result<u64, MemoryError> {
        let mut newest = after;
        loop {
            let page = self.memories.changes(owner, newest, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(newest);
            };
            newest = last.revision;
        }
    }
}
