//! Storage of the vectors of memories.

use async_trait::async_trait;
use majordomo_domain::{MemoryId, UserId};

use super::RepositoryError;

/// The vector of what a memory says.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryVector {
    /// The memory.
    pub memory: MemoryId,
    /// The revision of the memory that was embedded.
    pub revision: u64,
    /// The vector.
    pub vector: Vec<f32>,
}

/// What a space of vectors is called: vectors of different spaces cannot be compared and are never mixed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VectorSpace {
    /// The embedding model.
    pub model: String,
    /// Numbers in a vector.
    pub dimension: u32,
}

/// Stores one vector for each memory. A vector lives as long as its memory.
#[async_trait]
pub trait MemoryVectors: Send + Sync {
    /// Stores vectors of one space for the owner's memories, in place of what they had. Left out is what no longer
    /// exists or has another revision by now. MUST have reached the disk when it answers.
    async fn store(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        vectors: &[MemoryVector],
    ) -> Result<(), RepositoryError>;

    /// The owner's vectors of a space whose memory's id is above `after`, in the order of these ids, at most `limit`.
    async fn list(
        &self,
        owner: &UserId,
        space: &VectorSpace,
        after: Option<&MemoryId>,
        limit: u32,
    ) -> Result<Vec<(MemoryId, Vec<f32>)>, RepositoryError>;

    /// Memories of any owner that have no vector of this space, at most `limit`: those whose id is above `after`, in the
    /// order of their ids.
    async fn missing(
        &self,
        space: &VectorSpace,
        after: Option<&MemoryId>,
        limit: u32,
    ) -> Result<Vec<(UserId, MemoryId)>, RepositoryError>;

    /// How many memories of the owner have a vector of this space.
    async fn count(&self, owner: &UserId, space: &VectorSpace) -> Result<u64, RepositoryError>;
}
