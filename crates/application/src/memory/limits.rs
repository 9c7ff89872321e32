//! How much memory may hold, and how much of a prompt it may take.

/// How much memory may hold, and how much of a prompt it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Memories of one user.
    pub memories: u64,
    /// Bytes of one user's vectors that are held in the process.
    pub vector_bytes: usize,
    /// What all memories in the prompt of one turn may cost, in tokens.
    pub recall_tokens: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            memories: 2_000_000,
            vector_bytes: 1_300_000_000,
            recall_tokens: 1_000,
        }
    }
}
