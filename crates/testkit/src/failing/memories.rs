//! Memories, vectors and turns of a failing store.

use async_trait::async_trait;
use majordomo_application::ports::{
    MemoryFilter, MemoryInsert, MemoryRepository, MemoryVectors, NearVector, NewVector,
    RememberedId, RememberedKind, RepositoryError, SessionMark, StoredVector, TurnRepository,
    VectorCounts, VectorSpace,
};
use majordomo_domain::{
    AuditRecord, Memory, MemoryId, MemoryKind, MemoryTurn, MessageId, SessionId, Timestamp, UserId,
};

use super::FailingStore;

#[async_trait]
impl MemoryRepository for FailingStore {
    async fn insert(
        &self,
        owner: &UserId,
        memories: &[Memory],
        most: u64,
        record: Option<&AuditRecord>,
    ) -> Result<MemoryInsert, RepositoryError> {
        self.call(
            "memories.insert",
            self.memories.insert(owner, memories, most, record),
        )
        .await
    }

    async fn find(&self, owner: &UserId, ids: &[MemoryId]) -> Result<Vec<Memory>, RepositoryError> {
        self.call("memories.find", self.memories.find(owner, ids))
            .await
    }

    async fn list(
        &self,
        owner: &UserId,
        filter: MemoryFilter,
    ) -> Result<(Vec<Memory>, u64), RepositoryError> {
        self.call("memories.list", self.memories.list(owner, filter))
            .await
    }

    async fn changes(
        &self,
        owner: &UserId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Memory>, RepositoryError> {
        self.call(
            "memories.changes",
            self.memories.changes(owner, after, limit),
        )
        .await
    }

    async fn replace(
        &self,
        owner: &UserId,
        memories: &[Memory],
        rewritten: bool,
        record: Option<&AuditRecord>,
    ) -> Result<u64, RepositoryError> {
        self.call(
            "memories.replace",
            self.memories.replace(owner, memories, rewritten, record),
        )
        .await
    }

    async fn touch(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        at: Timestamp,
    ) -> Result<(), RepositoryError> {
        self.call("memories.touch", self.memories.touch(owner, ids, at))
            .await
    }

    async fn delete(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        until: Option<u64>,
        record: &AuditRecord,
    ) -> Result<u64, RepositoryError> {
        self.call(
            "memories.delete",
            self.memories.delete(owner, ids, until, record),
        )
        .await
    }

    async fn counts(&self, owner: &UserId) -> Result<Vec<(MemoryKind, u64)>, RepositoryError> {
        self.call("memories.counts", self.memories.counts(owner))
            .await
    }
}

#[async_trait]
impl MemoryVectors for FailingStore {
    async fn store(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        vectors: &[NewVector],
    ) -> Result<(), RepositoryError> {
        self.call(
            "memory_vectors.store",
            self.memory_vectors.store(owner, space, vectors),
        )
        .await
    }

    async fn changes(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        kind: RememberedKind,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredVector>, RepositoryError> {
        self.call(
            "memory_vectors.changes",
            self.memory_vectors
                .changes(owner, space, kind, after, limit),
        )
        .await
    }

    async fn missing(
        &self,
        space: &VectorSpace,
        after: Option<&RememberedId>,
        limit: u32,
    ) -> Result<Vec<(UserId, RememberedId)>, RepositoryError> {
        self.call(
            "memory_vectors.missing",
            self.memory_vectors.missing(space, after, limit),
        )
        .await
    }

    async fn nearest(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        question: &[f32],
        turns: bool,
        limit: u32,
    ) -> Result<Option<Vec<NearVector>>, RepositoryError> {
        self.call(
            "memory_vectors.nearest",
            self.memory_vectors
                .nearest(owner, space, question, turns, limit),
        )
        .await
    }

    async fn count(
        &self,
        owner: &UserId,
        space: &VectorSpace,
    ) -> Result<VectorCounts, RepositoryError> {
        self.call(
            "memory_vectors.count",
            self.memory_vectors.count(owner, space),
        )
        .await
    }

    async fn embeddable(&self, owner: &UserId) -> Result<VectorCounts, RepositoryError> {
        self.call(
            "memory_vectors.embeddable",
            self.memory_vectors.embeddable(owner),
        )
        .await
    }
}

#[async_trait]
impl TurnRepository for FailingStore {
    async fn sessions(
        &self,
        owner: &UserId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionMark>, RepositoryError> {
        self.call("turns.sessions", self.turns.sessions(owner, since, limit))
            .await
    }

    async fn turns(
        &self,
        owner: &UserId,
        session: &SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<MemoryTurn>, RepositoryError> {
        self.call(
            "turns.turns",
            self.turns.turns(owner, session, after, limit),
        )
        .await
    }

    async fn find(
        &self,
        owner: &UserId,
        ids: &[MessageId],
    ) -> Result<Vec<MemoryTurn>, RepositoryError> {
        self.call("turns.find", self.turns.find(owner, ids)).await
    }

    async fn existing(
        &self,
        owner: &UserId,
        sessions: &[SessionId],
    ) -> Result<Vec<SessionId>, RepositoryError> {
        self.call("turns.existing", self.turns.existing(owner, sessions))
            .await
    }
}
