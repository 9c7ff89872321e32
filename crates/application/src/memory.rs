//! Memory: what is kept beyond a conversation, and how it is found again.
//!
//! Storage holds the memories, sealed; an index of the words of each owner who asks lives in memory and is caught up
//! with storage before every search. Where there is an embedding model, the vectors that it makes in the background are
//! part of that index.

mod audit;
mod calls;
mod dates;
mod decay;
mod drafts;
mod embedding;
mod error;
mod exchange;
mod extraction;
mod index;
mod indexes;
mod limits;
mod meaning;
mod quoting;
mod recall;
mod sealing;
mod search;
mod service;
mod touches;
mod words;

pub use audit::{Finding, Findings, Likeness, MemoryAudit, MemoryAuditQuery};
pub use decay::Decayed;
pub use drafts::{MemoryChange, NewMemory};
pub use embedding::{Embedding, EmbeddingPorts, EmbeddingProgress, EmbeddingState};
pub use error::MemoryError;
pub use exchange::{Imported, MAX_ACCESS_COUNT, MAX_EXPORT, MAX_IMPORT, MemoryImport, MemoryPast};
pub(crate) use extraction::AnsweredTurn;
pub use extraction::Extraction;
pub use limits::MemoryLimits;
pub(crate) use quoting::quoted;
pub use recall::Recollection;
pub use sealing::SealedMemories;
pub use search::{Found, MemoryHit, MemorySearch};
pub use service::{MemoryOverview, MemoryPage, MemoryPorts, MemoryService, StoredMemory};
