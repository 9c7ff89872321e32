//! Storage of the vectors of what is remembered.

use async_trait::async_trait;
use majordomo_domain::{MemoryId, MessageId, UserId};

use super::RepositoryError;

/// Something that can be found: memories come before turns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RememberedId {
    /// A memory.
    Memory(MemoryId),
    /// A stored message.
    Turn(MessageId),
}

/// What kind of thing can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RememberedKind {
    /// Memories.
    Memory,
    /// Stored messages.
    Turn,
}

impl RememberedId {
    /// What kind of thing it is.
    pub const fn kind(&self) -> RememberedKind {
        match self {
            Self::Memory(_) => RememberedKind::Memory,
            Self::Turn(_) => RememberedKind::Turn,
        }
    }
}

/// The vector of a text, to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVector {
    /// Whose vector it is.
    pub of: RememberedId,
    /// The revision of the memory that was embedded; 0 for a turn, which never changes.
    pub revision: u64,
    /// The vector.
    pub vector: Vec<f32>,
}

/// A vector as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVector {
    /// Whose vector it is.
    pub of: RememberedId,
    /// With which of the owner's revisions it was stored.
    pub stored: u64,
    /// The vector.
    pub vector: Vec<f32>,
}

/// What a vector that is near to another one belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct NearVector {
    /// Whose vector it is.
    pub of: RememberedId,
    /// The cosine of the angle between the two.
    pub similarity: f32,
}

/// What a space of vectors is called: vectors of different spaces cannot be compared and are never mixed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VectorSpace {
    /// The embedding model.
    pub model: String,
    /// Numbers in a vector.
    pub dimension: u32,
}

/// How many memories and messages of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VectorCounts {
    /// Memories.
    pub memories: u64,
    /// Stored messages.
    pub turns: u64,
}

/// Stores at most one vector for each memory and each message. A vector lives as long as what it is of, and a memory's
/// until the memory is rewritten.
#[async_trait]
pub trait MemoryVectors: Send + Sync {
    /// Stores vectors of one space for what the owner has, in place of the vectors it had, whatever their space. Left out
    /// is what no longer exists or has another revision by now. MUST have reached the disk when it answers.
    async fn store(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        vectors: &[NewVector],
    ) -> Result<(), RepositoryError>;

    /// The owner's vectors of one kind and space that were stored after the revision `after`, in the order of their revisions, at
    /// most `limit`. Revisions MUST become visible in their order, so that nothing is missed by who asks for more.
    async fn changes(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        kind: RememberedKind,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StoredVector>, RepositoryError>;

    /// What has no vector of this space, of any owner, at most `limit`: what comes behind `after` in the order of ids,
    /// memories first. System messages and empty ones are left out.
    async fn missing(
        &self,
        space: &VectorSpace,
        after: Option<&RememberedId>,
        limit: u32,
    ) -> Result<Vec<(UserId, RememberedId)>, RepositoryError>;

    /// What of the owner's has the vectors of the space that are the nearest to `question`, the nearest first, at most
    /// `limit`: memories, and messages where `turns` says so. `None` where the storage cannot compare vectors, or
    /// not all of them yet.
    async fn nearest(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        question: &[f32],
        turns: bool,
        limit: u32,
    ) -> Result<Option<Vec<NearVector>>, RepositoryError>;

    /// How much of what the owner has has a vector of this space.
    async fn count(
        &self,
        owner: &UserId,
        space: &VectorSpace,
    ) -> Result<VectorCounts, RepositoryError>;

    /// How much the owner has that may have a vector: what [`missing`](Self::missing) would name if nothing had one.
    async fn embeddable(&self, owner: &UserId) -> Result<VectorCounts, RepositoryError>;
}
