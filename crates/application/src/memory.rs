//! Memory: what is kept beyond a conversation, and how it is found again.
//!
//! Storage holds the memories, sealed; an index of the words of each owner who asks lives in memory and is caught up
//! with storage before every search.

mod dates;
mod drafts;
mod error;
mod index;
mod indexes;
mod recall;
mod sealing;
mod service;
mod words;

pub use drafts::{MemoryChange, NewMemory};
pub use error::MemoryError;
pub use recall::Recollection;
pub use sealing::SealedMemories;
pub use service::{
    Decayed, Found, Imported, MAX_IMPORT, MemoryHit, MemoryPage, MemoryPorts, MemorySearch,
    MemoryService, StoredMemory,
};
