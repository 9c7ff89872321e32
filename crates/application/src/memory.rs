//! Memory: what is kept beyond a conversation, and how it is found again.

mod index;
mod words;

pub use index::EntryId;
