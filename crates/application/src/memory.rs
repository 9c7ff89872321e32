//! Memory: what is kept beyond a conversation, and how it is found again.
//!
//! Storage holds the memories, sealed; an index of the words of each owner who asks lives in memory and is caught up
//! with storage before every search.

mod audit;
mod dates;
mod drafts;
mod error;
mod exchange;
mod extraction;
mod index;
mod indexes;
mod recall;
mod sealing;
mod service;
mod words;

pub use audit::{Finding, Findings, Likeness, MemoryAudit, MemoryAuditQuery};
pub use drafts::{MemoryChange, NewMemory};
pub use error::MemoryError;
pub use exchange::{Imported, MAX_EXPORT, MAX_IMPORT, MemoryImport, MemoryPast};
pub(crate) use extraction::AnsweredTurn;
pub use extraction::Extraction;
pub use recall::Recollection;
pub use sealing::SealedMemories;
pub use service::{
    Decayed, Found, MemoryHit, MemoryPage, MemoryPorts, MemorySearch, MemoryService, StoredMemory,
};
