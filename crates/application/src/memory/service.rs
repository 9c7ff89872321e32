//! The caller's memories: stored, listed, changed, forgotten, searched.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use majordomo_domain::memory::{ADDITION, MERGED_FROM};
use majordomo_domain::{AuditRecord, Memory, MemoryId, MemoryKind, Scope, Timestamp, UserId};

use super::drafts::{MemoryChange, NewMemory, Problems, distinct};
use super::embedding::{Embedding, EmbeddingProgress};
use super::error::MemoryError;
use super::index::{Meaning, RankingQuery};
use super::indexes::{MemoryIndexes, OwnerIndex};
use super::limits::MemoryLimits;
use super::search::find;
use super::touches::Touches;
use super::words;
use crate::caller::Caller;
use crate::ports::{
    AuditLog, Clock, IdGenerator, MemoryFilter, MemoryInsert, MemoryOrder, MemoryRepository,
    RememberedId, TurnRepository,
};

/// Memories or hits given at once.
pub(super) const MAX_LIMIT: u32 = 500;
/// Alike memories looked at before one is stored.
const ALIKE: usize = 8;
/// How often something is tried that changes of others come before.
pub(super) const ATTEMPTS: u32 = 8;
/// Memories worked on at once when all of them are.
pub(super) const PAGE: u32 = 500;

/// What the service needs.
pub struct MemoryPorts {
    /// The memories.
    pub memories: Arc<dyn MemoryRepository>,
    /// Stored messages.
    pub turns: Arc<dyn TurnRepository>,
    /// Where exports are recorded.
    pub audit_log: Arc<dyn AuditLog>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdGenerator>,
}

/// A memory that was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMemory {
    /// As it is now.
    pub memory: Memory,
    /// Whether it was there before and what is new was merged into it.
    pub merged: bool,
}

/// A page of memories.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryPage {
    /// In the order asked for.
    pub memories: Vec<Memory>,
    /// How many there are in all.
    pub total: u64,
}

/// How much is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryOverview {
    /// How many memories of each kind there are: every kind, in the order of [`MemoryKind::ALL`].
    pub by_kind: Vec<(MemoryKind, u64)>,
    /// How far embedding has come; `None` without an embedding model.
    pub embedding: Option<EmbeddingProgress>,
}

/// Stores, lists, changes, forgets and searches memories.
pub struct MemoryService {
    pub(super) memories: Arc<dyn MemoryRepository>,
    pub(super) turns: Arc<dyn TurnRepository>,
    pub(super) audit_log: Arc<dyn AuditLog>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdGenerator>,
    pub(super) indexes: MemoryIndexes,
    pub(super) touches: Touches,
    pub(super) embedding: Option<Arc<Embedding>>,
    /// Held by the one audit that is under way: it takes a processor and much memory.
    pub(super) auditing: tokio::sync::Mutex<()>,
    pub(super) limits: MemoryLimits,
}

impl MemoryService {
    /// A service over stored memories and messages.
    pub fn new(ports: MemoryPorts) -> Self {
        let MemoryPorts {
            memories,
            turns,
            audit_log,
            clock,
            ids,
        } = ports;
        let limits = MemoryLimits::default();
        Self {
            touches: Touches::new(memories.clone(), clock.clone()),
            indexes: MemoryIndexes::new(
                memories.clone(),
                turns.clone(),
                clock.clone(),
                limits.vector_bytes,
            ),
            embedding: None,
            limits,
            memories,
            turns,
            audit_log,
            clock,
            ids,
            auditing: tokio::sync::Mutex::default(),
        }
    }

    /// The same within other limits.
    #[must_use]
    pub const fn within(mut self, limits: MemoryLimits) -> Self {
        self.indexes.hold_vectors(limits.vector_bytes);
        self.limits = limits;
        self
    }

    /// The same with an embedding model: what is remembered is found by what it means, too.
    #[must_use]
    pub fn with_embedding(mut self, embedding: Arc<Embedding>) -> Self {
        self.indexes.compare_with(embedding.clone());
        self.embedding = Some(embedding);
        self
    }

    /// Ends the work in the background: what was found is noted, and nothing is embedded any more before the next start.
    pub async fn close(&self) {
        if let Some(embedding) = &self.embedding {
            embedding.stop().await;
        }
        self.touches.store().await;
    }

    /// The embedding model's work, where there is one.
    pub const fn embedding(&self) -> Option<&Arc<Embedding>> {
        self.embedding.as_ref()
    }

    /// Says that these were stored or rewritten.
    pub(super) fn tell(&self, owner: &UserId, ids: impl IntoIterator<Item = MemoryId>) {
        if let Some(embedding) = &self.embedding {
            embedding.tell(owner, ids.into_iter().map(RememberedId::Memory));
        }
    }

    /// Remembers something; what is much like a memory of the same kind is merged into it.
    pub async fn create(
        &self,
        caller: &Caller,
        new: NewMemory,
    ) -> Result<StoredMemory, MemoryError> {
        self.store(caller, new, None).await
    }

    /// As [`create`](Self::create); appends `record`, if any, with the memory's id to the audit log.
    pub(super) async fn store(
        &self,
        caller: &Caller,
        new: NewMemory,
        record: Option<AuditRecord>,
    ) -> Result<StoredMemory, MemoryError> {
        caller.require_change(Scope::Memory)?;
        new.validate()?;
        let (owner, now) = (&caller.user, self.clock.now());
        let memory = new.into_memory(self.ids.memory_id(), owner.clone(), now);
        let index = self.indexes.of(owner);
        // What is stored meanwhile by others of this owner waits: two alike memories must not miss each other.
        let mut progress = index.progress.lock().await;
        self.indexes
            .catch_up_with_memories(owner, &index, &mut progress)
            .await?;
        if let Some(memory) = self.merge(&memory, &index, record.as_ref()).await? {
            return Ok(StoredMemory {
                memory,
                merged: true,
            });
        }
        let one = std::slice::from_ref(&memory);
        let record = record.map(|record| record.with("memory", &memory.id));
        let most = self.limits.memories;
        let inserted = self.memories.insert(owner, one, most, record.as_ref());
        match inserted.await? {
            MemoryInsert::Full => return Err(MemoryError::Full),
            MemoryInsert::Stored => self.tell(owner, [memory.id.clone()]),
        }
        self.indexes
            .catch_up_with_memories(owner, &index, &mut progress)
            .await?;
        Ok(StoredMemory {
            memory,
            merged: false,
        })
    }

    /// Merges something into the stored memory that says the same, where there is one.
    async fn merge(
        &self,
        new: &Memory,
        index: &Arc<OwnerIndex>,
        record: Option<&AuditRecord>,
    ) -> Result<Option<Memory>, MemoryError> {
        for _ in 0..ATTEMPTS {
            let Some(alike) = self.alike(new, index).await? else {
                return Ok(None);
            };
            let Some(merged) = alike.merged_with(new, new.updated_at) else {
                return Ok(None);
            };
            let rewritten = merged.content != alike.content;
            let one = std::slice::from_ref(&merged);
            let record = record.map(|record| record.clone().with("merged_into", &merged.id));
            let replaced = self
                .memories
                .replace(&new.owner, one, rewritten, record.as_ref());
            if replaced.await? > 0 {
                if rewritten {
                    self.tell(&new.owner, [merged.id.clone()]);
                }
                return Ok(Some(merged));
            }
        }
        Err(MemoryError::Changed)
    }

    /// The stored memory that says the same, where there is one.
    async fn alike(
        &self,
        new: &Memory,
        index: &Arc<OwnerIndex>,
    ) -> Result<Option<Memory>, MemoryError> {
        let query = RankingQuery {
            text: &new.content,
            now: new.created_at,
            dates: None,
            limit: ALIKE,
            turns: false,
            postings: usize::MAX,
            feedback: false,
        };
        let ids: Vec<MemoryId> = find(index, &query, &Meaning::Unknown)
            .await
            .into_iter()
            .filter_map(|entry| memory_id(entry.id))
            .collect();
        let likeness = |memory: &Memory| {
            let parts = memory.content.split(ADDITION);
            parts
                .map(|part| words::likeness(part, &new.content))
                .fold(0.0, f64::max)
        };
        let candidates = self.memories.find(&new.owner, &ids).await?;
        let alike = candidates
            .into_iter()
            .filter(|memory| memory.kind == new.kind)
            .map(|memory| (likeness(&memory), memory))
            .filter(|(likeness, _)| *likeness >= MERGED_FROM)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        Ok(alike.map(|(_, memory)| memory))
    }

    /// One memory.
    pub async fn get(&self, caller: &Caller, id: &MemoryId) -> Result<Memory, MemoryError> {
        caller.require(Scope::Memory)?;
        let found = self
            .memories
            .find(&caller.user, std::slice::from_ref(id))
            .await?;
        found.into_iter().next().ok_or(MemoryError::NotFound)
    }

    /// A page of memories; limits above 500 count as 500.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: MemoryFilter,
    ) -> Result<MemoryPage, MemoryError> {
        caller.require(Scope::Memory)?;
        let filter = MemoryFilter {
            limit: filter.limit.clamp(1, MAX_LIMIT),
            ..filter
        };
        let (memories, total) = self.memories.list(&caller.user, filter).await?;
        Ok(MemoryPage { memories, total })
    }

    /// Changes what a memory says or is tagged with.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &MemoryId,
        change: MemoryChange,
    ) -> Result<Memory, MemoryError> {
        caller.require_change(Scope::Memory)?;
        let mut problems = Problems::default();
        if let Some(content) = &change.content {
            problems.content(content);
        }
        if let Some(tags) = &change.tags {
            problems.tags(tags);
        }
        problems.check()?;
        for _ in 0..ATTEMPTS {
            if let Some(changed) = self.change(caller, id, &change).await? {
                return Ok(changed);
            }
        }
        Err(MemoryError::Changed)
    }

    /// Changes a memory as it is now; `None` where it is another one by the time that this is to be stored.
    async fn change(
        &self,
        caller: &Caller,
        id: &MemoryId,
        change: &MemoryChange,
    ) -> Result<Option<Memory>, MemoryError> {
        let mut memory = self.get(caller, id).await?;
        let content = change.content.as_ref();
        let rewritten = content.is_some_and(|content| *content != memory.content);
        if let Some(content) = content {
            memory.summary = Memory::summarize(content);
            memory.content.clone_from(content);
        }
        if let Some(tags) = &change.tags {
            memory.tags = distinct(tags.clone());
        }
        memory.updated_at = self.clock.now();
        let one = std::slice::from_ref(&memory);
        let replaced = self.memories.replace(&caller.user, one, rewritten, None);
        if replaced.await? == 0 {
            return Ok(None);
        }
        if rewritten {
            self.tell(&caller.user, [memory.id.clone()]);
        }
        Ok(Some(memory))
    }

    /// Forgets a memory.
    pub async fn delete(&self, caller: &Caller, id: &MemoryId) -> Result<(), MemoryError> {
        caller.require_change(Scope::Memory)?;
        match self.forget(caller, std::slice::from_ref(id)).await? {
            0 => Err(MemoryError::NotFound),
            _ => Ok(()),
        }
    }

    async fn forget(&self, caller: &Caller, ids: &[MemoryId]) -> Result<u64, MemoryError> {
        self.remove(caller, ids, self.erasure(caller, ids)).await
    }

    /// The record of forgetting memories.
    pub(super) fn erasure(&self, caller: &Caller, ids: &[MemoryId]) -> AuditRecord {
        let record = caller.record("memory.delete", self.clock.now());
        match ids {
            [one] => record.on("memory", one),
            many => record.with("memories", many.len()),
        }
    }

    /// Forgets memories, and appends `record` to the audit log where there were any.
    pub(super) async fn remove(
        &self,
        caller: &Caller,
        ids: &[MemoryId],
        record: AuditRecord,
    ) -> Result<u64, MemoryError> {
        let owner = &caller.user;
        let deleted = self.memories.delete(owner, ids, None, &record).await?;
        self.take_from_index(owner, ids);
        Ok(deleted)
    }

    /// Takes what is forgotten out of the index.
    pub(super) fn take_from_index<'a>(
        &self,
        owner: &UserId,
        gone: impl IntoIterator<Item = &'a MemoryId>,
    ) {
        let index = self.indexes.of(owner);
        let mut index = index.write();
        for id in gone {
            index.remove(&RememberedId::Memory(id.clone()));
        }
    }

    /// Forgets what was said in passing ([`MemoryKind::Context`]) and neither changed nor found for `age`, and counts it.
    /// Facts, preferences and the like stay however old they are.
    pub async fn prune(&self, caller: &Caller, age: Duration) -> Result<u64, MemoryError> {
        caller.require_change(Scope::Memory)?;
        let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let before = self.clock.now().as_micros().saturating_sub(micros);
        let before = Timestamp::from_micros(before);
        let old = self
            .select(&caller.user, |memory| {
                memory.kind == MemoryKind::Context && memory.used_at() < before
            })
            .await?;
        let mut pruned = 0;
        for ids in old.chunks(usize::try_from(PAGE).unwrap_or(1)) {
            pruned += self.forget(caller, ids).await?;
        }
        Ok(pruned)
    }

    /// The ids of the memories that `wanted` wants.
    async fn select(
        &self,
        owner: &UserId,
        wanted: impl Fn(&Memory) -> bool,
    ) -> Result<Vec<MemoryId>, MemoryError> {
        let (mut selected, mut after) = (Vec::new(), 0);
        loop {
            let page = self.memories.changes(owner, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(selected);
            };
            after = last.revision;
            selected.extend(page.into_iter().filter(&wanted).map(|memory| memory.id));
        }
    }

    /// How many memories of each kind there are: every kind, in the order of [`MemoryKind::ALL`].
    pub async fn stats(&self, caller: &Caller) -> Result<Vec<(MemoryKind, u64)>, MemoryError> {
        caller.require(Scope::Memory)?;
        let counts: HashMap<_, _> = self
            .memories
            .counts(&caller.user)
            .await?
            .into_iter()
            .collect();
        let count = |kind| (kind, counts.get(&kind).copied().unwrap_or_default());
        Ok(MemoryKind::ALL.into_iter().map(count).collect())
    }

    /// How much there is, and how much of it has a vector.
    pub async fn overview(&self, caller: &Caller) -> Result<MemoryOverview, MemoryError> {
        let by_kind = self.stats(caller).await?;
        let embedding = match &self.embedding {
            Some(embedding) => Some(embedding.progress(&caller.user).await?),
            None => None,
        };
        Ok(MemoryOverview { by_kind, embedding })
    }
}

fn memory_id(id: RememberedId) -> Option<MemoryId> {
    match id {
        RememberedId::Memory(id) => Some(id),
        RememberedId::Turn(_) => None,
    }
}

/// Everything, the most important first.
impl Default for MemoryFilter {
    fn default() -> Self {
        Self {
            kind: None,
            order: MemoryOrder::Importance,
            limit: 100,
            offset: 0,
        }
    }
}
