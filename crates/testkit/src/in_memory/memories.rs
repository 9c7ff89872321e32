//! Memories, their vectors, and messages as memory reads them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use majordomo_application::ports::{
    MemoryFilter, MemoryInsert, MemoryOrder, MemoryRepository, MemoryVectors, NearVector,
    NewVector, RememberedId, RememberedKind, RepositoryError, SessionMark, StoredVector,
    TurnRepository, VectorCounts, VectorSpace,
};
use majordomo_domain::{
    AuditRecord, Memory, MemoryId, MemoryKind, MemoryTurn, Message, MessageId, Role, SessionId,
    Timestamp, UserId,
};

use super::{InMemoryStore, State, count};

/// What is remembered.
#[derive(Default)]
pub(super) struct Remembered {
    memories: BTreeMap<MemoryId, Memory>,
    vectors: BTreeMap<RememberedId, Kept>,
    revisions: BTreeMap<UserId, u64>,
}

/// A vector.
struct Kept {
    owner: UserId,
    space: VectorSpace,
    revision: u64,
    vector: Vec<f32>,
}

impl Remembered {
    fn of<'a>(&'a self, owner: &UserId) -> impl Iterator<Item = &'a Memory> {
        let owner = owner.clone();
        self.memories.values().filter(move |m| m.owner == owner)
    }

    fn owned(&mut self, owner: &UserId, id: &MemoryId) -> Option<&mut Memory> {
        self.memories.get_mut(id).filter(|m| m.owner == *owner)
    }

    fn next_revision(&mut self, owner: &UserId) -> u64 {
        let revision = self.revisions.entry(owner.clone()).or_default();
        *revision += 1;
        *revision
    }
}

#[async_trait]
impl MemoryRepository for InMemoryStore {
    async fn insert(
        &self,
        owner: &UserId,
        memories: &[Memory],
        most: u64,
        record: Option<&AuditRecord>,
    ) -> Result<MemoryInsert, RepositoryError> {
        let mut state = self.state();
        let kept = &mut state.remembered;
        let total = kept.of(owner).count().saturating_add(memories.len());
        if u64::try_from(total).is_ok_and(|total| total > most) {
            return Ok(MemoryInsert::Full);
        }
        let mut ids: Vec<&MemoryId> = memories.iter().map(|memory| &memory.id).collect();
        ids.sort();
        ids.dedup();
        if ids.len() < memories.len() || ids.iter().any(|id| kept.memories.contains_key(*id)) {
            return Err(RepositoryError::Conflict);
        }
        for memory in memories {
            let revision = kept.next_revision(owner);
            let memory = Memory {
                owner: owner.clone(),
                revision,
                ..memory.clone()
            };
            kept.memories.insert(memory.id.clone(), memory);
        }
        if let Some(record) = record {
            state.append_audit(record);
        }
        Ok(MemoryInsert::Stored)
    }

    async fn find(&self, owner: &UserId, ids: &[MemoryId]) -> Result<Vec<Memory>, RepositoryError> {
        let state = self.state();
        let found = state.remembered.of(owner).filter(|m| ids.contains(&m.id));
        Ok(found.cloned().collect())
    }

    async fn list(
        &self,
        owner: &UserId,
        filter: MemoryFilter,
    ) -> Result<(Vec<Memory>, u64), RepositoryError> {
        let state = self.state();
        let of_kind = |memory: &&Memory| filter.kind.is_none_or(|kind| kind == memory.kind);
        let mut found: Vec<&Memory> = state.remembered.of(owner).filter(of_kind).collect();
        match filter.order {
            MemoryOrder::Newest => found.sort_by_key(|m| std::cmp::Reverse(m.created_at)),
            MemoryOrder::Importance => found.sort_by(|a, b| {
                let more = b.importance.get().total_cmp(&a.importance.get());
                more.then_with(|| b.accessed_at.cmp(&a.accessed_at))
            }),
        }
        let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let page = found
            .into_iter()
            .skip(count(filter.offset))
            .take(count(filter.limit));
        Ok((page.cloned().collect(), total))
    }

    async fn changes(
        &self,
        owner: &UserId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Memory>, RepositoryError> {
        let state = self.state();
        let mut changed: Vec<&Memory> = state
            .remembered
            .of(owner)
            .filter(|memory| memory.revision > after)
            .collect();
        changed.sort_by_key(|memory| memory.revision);
        Ok(changed.into_iter().take(count(limit)).cloned().collect())
    }

    async fn replace(
        &self,
        owner: &UserId,
        memories: &[Memory],
        rewritten: bool,
        record: Option<&AuditRecord>,
    ) -> Result<u64, RepositoryError> {
        let mut state = self.state();
        let kept = &mut state.remembered;
        let mut replaced = 0;
        for memory in memories {
            let revision = kept.next_revision(owner);
            let Some(stored) = kept
                .owned(owner, &memory.id)
                .filter(|stored| stored.revision == memory.revision)
            else {
                continue;
            };
            *stored = Memory {
                owner: owner.clone(),
                created_at: stored.created_at,
                accessed_at: stored.accessed_at,
                access_count: stored.access_count,
                revision,
                ..memory.clone()
            };
            replaced += 1;
            if rewritten {
                kept.vectors
                    .remove(&RememberedId::Memory(memory.id.clone()));
            }
        }
        if let Some(record) = record.filter(|_| replaced > 0) {
            state.append_audit(record);
        }
        Ok(replaced)
    }

    async fn touch(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        at: Timestamp,
    ) -> Result<(), RepositoryError> {
        let kept = &mut self.state().remembered;
        for id in ids {
            if let Some(memory) = kept.owned(owner, id) {
                memory.accessed_at = at;
                memory.access_count += 1;
            }
        }
        Ok(())
    }

    async fn delete(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        until: Option<u64>,
        record: &AuditRecord,
    ) -> Result<u64, RepositoryError> {
        let mut state = self.state();
        let mut deleted = 0;
        for id in ids {
            let own = state.remembered.owned(owner, id);
            if own.is_some_and(|own| until.is_none_or(|until| own.revision <= until)) {
                state.remembered.memories.remove(id);
                let id = RememberedId::Memory(id.clone());
                state.remembered.vectors.remove(&id);
                deleted += 1;
            }
        }
        if deleted > 0 {
            state.append_audit(record);
        }
        Ok(deleted)
    }

    async fn counts(&self, owner: &UserId) -> Result<Vec<(MemoryKind, u64)>, RepositoryError> {
        let state = self.state();
        let mut counts: BTreeMap<MemoryKind, u64> = BTreeMap::new();
        for memory in state.remembered.of(owner) {
            *counts.entry(memory.kind).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }
}

impl State {
    /// Whether the owner has this, at this revision where it is a memory.
    fn has(&self, owner: &UserId, of: &RememberedId, revision: Option<u64>) -> bool {
        match of {
            RememberedId::Memory(id) => {
                let memory = self.remembered.memories.get(id);
                let own = memory.filter(|memory| memory.owner == *owner);
                own.is_some_and(|own| revision.is_none_or(|revision| revision == own.revision))
            }
            RememberedId::Turn(id) => self.messages_of(owner).any(|message| message.id == *id),
        }
    }

    /// The owner's vectors of a space, in any order. One whose message was deleted is none.
    fn vectors_of<'a>(
        &'a self,
        owner: &'a UserId,
        space: &'a VectorSpace,
    ) -> impl Iterator<Item = (&'a RememberedId, &'a Kept)> {
        let of = self.remembered.vectors.iter();
        of.filter(|(_, kept)| kept.owner == *owner && kept.space == *space)
            .filter(|(id, _)| self.has(owner, id, None))
    }
}

/// The cosine of the angle between two vectors.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

#[async_trait]
impl MemoryVectors for InMemoryStore {
    async fn store(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        vectors: &[NewVector],
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        for vector in vectors {
            let revision = state.remembered.next_revision(owner);
            if state.has(owner, &vector.of, Some(vector.revision)) {
                let kept = Kept {
                    owner: owner.clone(),
                    space: space.clone(),
                    revision,
                    vector: vector.vector.clone(),
                };
                state.remembered.vectors.insert(vector.of.clone(), kept);
            }
        }
        Ok(())
    }

    async fn changes(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        kind: RememberedKind,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredVector>, RepositoryError> {
        let state = self.state();
        let changed = state.vectors_of(owner, space);
        let mut changed: Vec<StoredVector> = changed
            .filter(|(of, kept)| kept.revision > after && of.kind() == kind)
            .map(|(of, kept)| StoredVector {
                of: of.clone(),
                stored: kept.revision,
                vector: kept.vector.clone(),
            })
            .collect();
        changed.sort_by_key(|vector| vector.stored);
        changed.truncate(count(limit));
        Ok(changed)
    }

    async fn missing(
        &self,
        space: &VectorSpace,
        after: Option<&RememberedId>,
        limit: u32,
    ) -> Result<Vec<(UserId, RememberedId)>, RepositoryError> {
        let state = self.state();
        let memories = state.remembered.memories.values();
        let memories = memories.map(|memory| {
            let id = RememberedId::Memory(memory.id.clone());
            (memory.owner.clone(), id)
        });
        let turns = state.conversations.values().flat_map(|conversation| {
            let said = conversation.messages.iter().filter(|m| is_turn(m));
            said.map(|message| {
                let id = RememberedId::Turn(message.id.clone());
                (conversation.session.owner.clone(), id)
            })
        });
        let mut missing: Vec<(UserId, RememberedId)> = memories
            .chain(turns)
            .filter(|(_, id)| after.is_none_or(|after| id > after))
            .filter(|(_, id)| {
                let kept = state.remembered.vectors.get(id);
                kept.is_none_or(|kept| kept.space != *space)
            })
            .collect();
        missing.sort_by(|a, b| a.1.cmp(&b.1));
        missing.truncate(count(limit));
        Ok(missing)
    }

    async fn nearest(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        question: &[f32],
        turns: bool,
        limit: u32,
    ) -> Result<Option<Vec<NearVector>>, RepositoryError> {
        let state = self.state();
        if !self.compares_vectors {
            return Ok(None);
        }
        let wanted = state.vectors_of(owner, space);
        let wanted = wanted.filter(|(id, _)| turns || id.kind() == RememberedKind::Memory);
        let mut near: Vec<NearVector> = wanted
            .map(|(id, kept)| NearVector {
                of: id.clone(),
                similarity: cosine(question, &kept.vector),
            })
            .collect();
        near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        near.truncate(count(limit));
        Ok(Some(near))
    }

    async fn count(
        &self,
        owner: &UserId,
        space: &VectorSpace,
    ) -> Result<VectorCounts, RepositoryError> {
        let state = self.state();
        let mut counts = VectorCounts::default();
        for (id, _) in state.vectors_of(owner, space) {
            match id {
                RememberedId::Memory(_) => counts.memories += 1,
                RememberedId::Turn(_) => counts.turns += 1,
            }
        }
        Ok(counts)
    }

    async fn embeddable(&self, owner: &UserId) -> Result<VectorCounts, RepositoryError> {
        let state = self.state();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(VectorCounts {
            memories: number(state.remembered.of(owner).count()),
            turns: number(state.messages_of(owner).filter(|m| is_turn(m)).count()),
        })
    }
}

fn is_turn(message: &Message) -> bool {
    message.role != Role::System && !message.text.is_empty()
}

fn turn(message: &Message) -> MemoryTurn {
    MemoryTurn {
        message: message.id.clone(),
        session: message.session.clone(),
        seq: message.seq,
        role: message.role,
        text: message.text.clone(),
        created_at: message.created_at,
        run: message.run.clone(),
    }
}

impl State {
    fn messages_of<'a>(&'a self, owner: &UserId) -> impl Iterator<Item = &'a Message> {
        let owner = owner.clone();
        self.conversations
            .values()
            .filter(move |conversation| conversation.session.owner == owner)
            .flat_map(|conversation| &conversation.messages)
    }
}

#[async_trait]
impl TurnRepository for InMemoryStore {
    async fn sessions(
        &self,
        owner: &UserId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionMark>, RepositoryError> {
        let state = self.state();
        let mut marks: Vec<SessionMark> = state
            .conversations
            .values()
            .filter(|conversation| conversation.session.owner == *owner)
            .map(|conversation| SessionMark {
                session: conversation.session.id.clone(),
                begun_at: conversation.session.created_at,
                last_seq: conversation.last_seq,
                changed_at: conversation
                    .imported_at
                    .map_or(conversation.session.updated_at, |imported| {
                        imported.max(conversation.session.updated_at)
                    }),
                imported_at: conversation.imported_at,
            })
            .filter(|mark| mark.changed_at >= since)
            .collect();
        marks.sort_by_key(|mark| mark.changed_at);
        marks.truncate(count(limit));
        Ok(marks)
    }

    async fn turns(
        &self,
        owner: &UserId,
        session: &SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<MemoryTurn>, RepositoryError> {
        let state = self.state();
        let turns = state
            .messages_of(owner)
            .filter(|message| message.session == *session && message.seq > after)
            .filter(|message| is_turn(message))
            .take(count(limit));
        Ok(turns.map(turn).collect())
    }

    async fn existing(
        &self,
        owner: &UserId,
        sessions: &[SessionId],
    ) -> Result<Vec<SessionId>, RepositoryError> {
        let state = self.state();
        let existing = sessions
            .iter()
            .filter(|id| state.conversation(owner, id).is_some());
        Ok(existing.cloned().collect())
    }

    async fn find(
        &self,
        owner: &UserId,
        ids: &[MessageId],
    ) -> Result<Vec<MemoryTurn>, RepositoryError> {
        let state = self.state();
        let found = state.messages_of(owner).filter(|m| ids.contains(&m.id));
        Ok(found.map(turn).collect())
    }
}
