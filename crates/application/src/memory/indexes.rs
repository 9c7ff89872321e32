//! The indexes of the owners who are asking, kept in memory and caught up with storage.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError,
};
use std::time::Duration;

use majordomo_domain::{Memory, MemoryTurn, SessionId, Timestamp, UserId};

use super::embedding::Embedding;
use super::index::{ENTRY_BYTES, MemoryIndex, NewEntry};
use crate::ports::{
    Clock, MemoryRepository, RememberedId, RememberedKind, RepositoryError, SessionMark,
    StoredVector, TurnRepository, VectorSpace,
};

/// Memories or messages read at once.
const BATCH: u32 = 1_000;
/// Sessions looked at at once.
const SESSIONS: u32 = 500;
/// Entries of one owner: what is beyond cannot be found by words. About 400 bytes each.
const MAX_ENTRIES: usize = 1_500_000;
/// Bytes of all indexes that are kept at hand, about; more where one owner may have more.
const MAX_KEPT: usize = 2_000_000_000;
/// A session's time may be set some time before it can be read.
const OVERLAP: Duration = Duration::from_mins(1);
/// Bytes of text that are put into an index before others may read it or have the thread.
const SLICE: usize = 64 * 1024;
/// What a turn is worth beside memories.
const TURN_IMPORTANCE: f64 = 0.5;

/// How far an index has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    revision: u64,
    active_until: Option<Timestamp>,
    /// When sessions were last looked at.
    looked_at: Option<Timestamp>,
    /// The space of the vectors, and up to where those of memories and those of turns were read.
    space: Option<VectorSpace>,
    memory_vectors: u64,
    turn_vectors: u64,
    /// What was read of each session.
    sessions: HashMap<SessionId, ReadTo>,
}

/// How far a session was read.
#[derive(Debug, Clone, Copy)]
struct ReadTo {
    /// Position of the newest message.
    seq: u64,
    /// When it was begun, and the last import it had then. Where one is another now, the session was deleted in between or may
    /// have been, and is read anew.
    begun_at: Timestamp,
    imported_at: Option<Timestamp>,
}

impl Progress {
    const fn vectors(&mut self, kind: RememberedKind) -> &mut u64 {
        match kind {
            RememberedKind::Memory => &mut self.memory_vectors,
            RememberedKind::Turn => &mut self.turn_vectors,
        }
    }
}

/// One owner's index.
#[derive(Debug, Default)]
pub(super) struct OwnerIndex {
    index: RwLock<MemoryIndex>,
    /// Held while the index catches up, and while memories are compared before one is stored.
    pub(super) progress: tokio::sync::Mutex<Progress>,
    /// When it was last asked for.
    used: AtomicU64,
    /// When it was last caught up for a turn, in microseconds since the epoch.
    refreshed: AtomicI64,
    /// Whether it was said that it is full.
    told_full: AtomicBool,
    /// Whether it could not hold all vectors.
    lacks_vectors: AtomicBool,
    /// Whether storage took too long for a turn when it compared vectors the last time.
    is_slow: AtomicBool,
}

impl OwnerIndex {
    /// Whether catching up is due at `now`; who is told so has to do it. Both are in microseconds.
    pub(super) fn is_due(&self, now: i64, pause: i64) -> bool {
        let last = self.refreshed.load(Ordering::Relaxed);
        let due = last == 0 || now.saturating_sub(last) >= pause;
        due && self
            .refreshed
            .compare_exchange(last, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Whether it could not hold all vectors of its owner.
    pub(super) fn lacks_vectors(&self) -> bool {
        self.lacks_vectors.load(Ordering::Relaxed)
    }

    /// Notes whether vectors were left out: for lack of room, or with what is more than all entries that it may hold.
    fn note_room(&self, lacks_vectors: bool, entries: usize) {
        let lacks_vectors = lacks_vectors || entries >= MAX_ENTRIES;
        self.lacks_vectors.store(lacks_vectors, Ordering::Relaxed);
    }

    /// Whether storage took too long for a turn when it compared the owner's vectors the last time.
    pub(super) fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed)
    }

    /// Notes whether it did.
    pub(super) fn note_slowness(&self, is_slow: bool) {
        self.is_slow.store(is_slow, Ordering::Relaxed);
    }

    /// `None` while something is put into it.
    pub(super) fn try_read(&self) -> Option<RwLockReadGuard<'_, MemoryIndex>> {
        match self.index.try_read() {
            Ok(index) => Some(index),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether so many entries are all that it may hold. `true` once only: who is told so says it.
    fn has_become_full(&self, entries: usize) -> bool {
        entries >= MAX_ENTRIES && !self.told_full.swap(true, Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, MemoryIndex> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, MemoryIndex> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The indexes at hand.
pub(super) struct MemoryIndexes {
    memories: Arc<dyn MemoryRepository>,
    turns: Arc<dyn TurnRepository>,
    clock: Arc<dyn Clock>,
    embedding: Option<Arc<Embedding>>,
    /// Bytes of vectors in one index.
    vector_bytes: usize,
    owners: Mutex<HashMap<UserId, Arc<OwnerIndex>>>,
    uses: AtomicU64,
}

impl MemoryIndexes {
    pub(super) fn new(
        memories: Arc<dyn MemoryRepository>,
        turns: Arc<dyn TurnRepository>,
        clock: Arc<dyn Clock>,
        vector_bytes: usize,
    ) -> Self {
        Self {
            memories,
            turns,
            clock,
            embedding: None,
            vector_bytes,
            owners: Mutex::default(),
            uses: AtomicU64::default(),
        }
    }

    /// From now on vectors are read too.
    pub(super) fn compare_with(&mut self, embedding: Arc<Embedding>) {
        self.embedding = Some(embedding);
    }

    /// From now on so many bytes of vectors are held in one index.
    pub(super) const fn hold_vectors(&mut self, bytes: usize) {
        self.vector_bytes = bytes;
    }

    /// The owner's index as it is; empty where nobody has asked before.
    pub(super) fn of(&self, owner: &UserId) -> Arc<OwnerIndex> {
        let mut owners = self.owners();
        let index = owners.entry(owner.clone()).or_default().clone();
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        index.used.store(used, Ordering::Relaxed);
        index
    }

    /// The owner's index, caught up with storage.
    pub(super) async fn caught_up(
        &self,
        owner: &UserId,
    ) -> Result<Arc<OwnerIndex>, RepositoryError> {
        let index = self.of(owner);
        let mut progress = index.progress.lock().await;
        self.catch_up_with_memories(owner, &index, &mut progress)
            .await?;
        self.read_kind(RememberedKind::Turn, owner, &index, &mut progress)
            .await?;
        drop(progress);
        let entries = index.read().len();
        if index.has_become_full(entries) {
            tracing::warn!(%owner, entries, "the index of what is remembered is full: the rest is not found");
        }
        self.make_room(owner);
        Ok(index)
    }

    /// Reads new memories into the owner's index, and no messages.
    pub(super) async fn catch_up_memories(&self, owner: &UserId) -> Result<(), RepositoryError> {
        let index = self.of(owner);
        let mut progress = index.progress.lock().await;
        self.catch_up_with_memories(owner, &index, &mut progress)
            .await?;
        drop(progress);
        self.make_room(owner);
        Ok(())
    }

    /// Reads new memories into the index; into one made anew where most of what it held is gone.
    pub(super) async fn catch_up_with_memories(
        &self,
        owner: &UserId,
        index: &OwnerIndex,
        progress: &mut Progress,
    ) -> Result<(), RepositoryError> {
        if index.read().is_worn() {
            *index.write() = MemoryIndex::default();
            *progress = Progress::default();
        }
        self.read_kind(RememberedKind::Memory, owner, index, progress)
            .await
    }

    /// Reads what is new of one kind, with its vectors. A page of vectors is read before what they belong to: whatever
    /// has a vector then is in the index when the page is put in.
    async fn read_kind(
        &self,
        kind: RememberedKind,
        owner: &UserId,
        index: &OwnerIndex,
        progress: &mut Progress,
    ) -> Result<(), RepositoryError> {
        loop {
            let vectors = self.new_vectors(kind, owner, index, progress).await?;
            match kind {
                RememberedKind::Memory => self.read_memories(owner, index, progress).await?,
                RememberedKind::Turn => self.read_sessions(owner, index, progress).await?,
            }
            let Some(last) = vectors.last() else {
                return Ok(());
            };
            *progress.vectors(kind) = last.stored;
            let mut writing = index.write();
            for vector in &vectors {
                writing.put_vector(&vector.of, &vector.vector);
            }
            index.note_room(writing.lacks_vectors(), writing.len());
            drop(writing);
            if !is_full(vectors.len(), BATCH) {
                return Ok(());
            }
        }
    }

    /// A page of vectors that were stored since the last one. When the embedder has become another one, those of the
    /// other space are taken out.
    async fn new_vectors(
        &self,
        kind: RememberedKind,
        owner: &UserId,
        index: &OwnerIndex,
        progress: &mut Progress,
    ) -> Result<Vec<StoredVector>, RepositoryError> {
        let Some(embedding) = &self.embedding else {
            return Ok(Vec::new());
        };
        let Some(space) = embedding.space() else {
            return Ok(Vec::new());
        };
        if progress.space.as_ref() != Some(&space) {
            index.write().clear_vectors(self.vector_bytes);
            index.note_room(self.vector_bytes == 0, 0);
            progress.space = Some(space.clone());
            (progress.memory_vectors, progress.turn_vectors) = (0, 0);
        }
        if self.vector_bytes == 0 {
            return Ok(Vec::new());
        }
        let after = *progress.vectors(kind);
        let vectors = embedding.vectors();
        vectors.changes(owner, &space, kind, after, BATCH).await
    }

    async fn read_memories(
        &self,
        owner: &UserId,
        index: &OwnerIndex,
        progress: &mut Progress,
    ) -> Result<(), RepositoryError> {
        loop {
            let changed = self
                .memories
                .changes(owner, progress.revision, BATCH)
                .await?;
            let Some(last) = changed.last() else {
                return Ok(());
            };
            let (revision, read) = (last.revision, changed.len());
            for slice in slices(&changed, |memory| &memory.content) {
                put_memories(&mut index.write(), slice);
                tokio::task::yield_now().await;
            }
            progress.revision = revision;
            if !is_full(read, BATCH) {
                return Ok(());
            }
        }
    }

    async fn read_sessions(
        &self,
        owner: &UserId,
        index: &OwnerIndex,
        progress: &mut Progress,
    ) -> Result<(), RepositoryError> {
        let now = self.clock.now();
        if progress.looked_at.is_some_and(|before| before > now) {
            // The clock was set back: what happened since then is not behind what was seen before.
            progress.active_until = None;
        }
        progress.looked_at = Some(now);
        let mut since = progress.active_until.map_or(Timestamp::EPOCH, |until| {
            let overlap = i64::try_from(OVERLAP.as_micros()).unwrap_or_default();
            Timestamp::from_micros(until.as_micros().saturating_sub(overlap))
        });
        let mut limit = SESSIONS;
        loop {
            let marks = self.turns.sessions(owner, since, limit).await?;
            for mark in &marks {
                self.read_turns(owner, index, progress, mark).await?;
            }
            let Some(last) = marks.last() else {
                return Ok(());
            };
            // What claims to be of the future must not hide what is said until then.
            let until = last.changed_at.min(now);
            progress.active_until = progress.active_until.max(Some(until));
            if !is_full(marks.len(), limit) {
                return Ok(());
            }
            if last.changed_at == since {
                // More were changed at one moment than were asked for.
                limit = limit.saturating_mul(2);
            }
            since = last.changed_at;
        }
    }

    async fn read_turns(
        &self,
        owner: &UserId,
        index: &OwnerIndex,
        progress: &mut Progress,
        mark: &SessionMark,
    ) -> Result<(), RepositoryError> {
        let known = progress.sessions.get(&mark.session);
        let mut read_to = known
            .filter(|known| {
                known.begun_at == mark.begun_at && known.imported_at == mark.imported_at
            })
            .map_or(0, |known| known.seq);
        while read_to < mark.last_seq {
            let turns = self
                .turns
                .turns(owner, &mark.session, read_to, BATCH)
                .await?;
            let Some(last) = turns.last() else {
                break;
            };
            read_to = last.seq;
            for slice in slices(&turns, |turn| &turn.text) {
                put_turns(&mut index.write(), slice);
                tokio::task::yield_now().await;
            }
        }
        // What is left out of turns is not asked for again.
        let seen = ReadTo {
            seq: read_to.max(mark.last_seq),
            begun_at: mark.begun_at,
            imported_at: mark.imported_at,
        };
        progress.sessions.insert(mark.session.clone(), seen);
        Ok(())
    }

    /// Lets go of the indexes that were not asked for the longest, while there is too much in all of them. The one of
    /// `asking` stays.
    fn make_room(&self, asking: &UserId) {
        let mut owners = self.owners();
        let mut total: usize = owners.values().map(|index| index.read().bytes()).sum();
        let most = MAX_KEPT.max(MAX_ENTRIES * ENTRY_BYTES + self.vector_bytes);
        while total > most && owners.len() > 1 {
            let others = owners.iter().filter(|(owner, _)| *owner != asking);
            let Some((owner, size)) = others
                .min_by_key(|(_, index)| index.used.load(Ordering::Relaxed))
                .map(|(owner, index)| (owner.clone(), index.read().bytes()))
            else {
                return;
            };
            owners.remove(&owner);
            total = total.saturating_sub(size);
        }
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<UserId, Arc<OwnerIndex>>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_full(read: usize, limit: u32) -> bool {
    u32::try_from(read).is_ok_and(|read| read >= limit)
}

/// The list in slices of about [`SLICE`] bytes of text.
fn slices<T>(list: &[T], text: impl Fn(&T) -> &String) -> impl Iterator<Item = &[T]> {
    let mut size = 0;
    list.chunk_by(move |one, _| {
        size += text(one).len();
        let fits = size < SLICE;
        if !fits {
            size = 0;
        }
        fits
    })
}

fn put_memories(index: &mut MemoryIndex, memories: &[Memory]) {
    for memory in memories {
        let id = RememberedId::Memory(memory.id.clone());
        if index.len() >= MAX_ENTRIES && !index.contains(&id) {
            continue;
        }
        index.put(NewEntry {
            id,
            text: &memory.content,
            session: memory.source().and_then(|source| source.session.as_ref()),
            created_at: memory.created_at,
            importance: memory.importance.get(),
        });
    }
}

fn put_turns(index: &mut MemoryIndex, turns: &[MemoryTurn]) {
    for turn in turns {
        if index.len() >= MAX_ENTRIES {
            return;
        }
        index.put(NewEntry {
            id: RememberedId::Turn(turn.message.clone()),
            text: &turn.text,
            session: Some(&turn.session),
            created_at: turn.created_at,
            importance: TURN_IMPORTANCE,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_lacks_the_vectors_of_what_it_cannot_hold() {
        let index = OwnerIndex::default();
        let lacks = |lacks_vectors, entries| {
            index.note_room(lacks_vectors, entries);
            index.lacks_vectors()
        };
        let noted = [
            lacks(false, MAX_ENTRIES - 1),
            lacks(true, 0),
            lacks(false, 0),
            lacks(false, MAX_ENTRIES),
        ];
        assert_eq!(noted, [false, true, false, true]);
    }

    #[test]
    fn a_full_index_is_told_once() {
        let index = OwnerIndex::default();
        let told = [
            0,
            MAX_ENTRIES - 1,
            MAX_ENTRIES,
            MAX_ENTRIES,
            7,
            MAX_ENTRIES + 1,
        ]
        .map(|entries| index.has_become_full(entries));
        assert_eq!(told, [false, false, true, false, false, false]);
    }
}
