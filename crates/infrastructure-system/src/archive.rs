//! A copy of everything in one file: a tar archive of JSON texts, compressed with Zstandard.
//!
//! | entry | what |
//! |---|---|
//! | `manifest.json` | the first: the format's version, when and by what it was made, the database's migrations and tables |
//! | `tables/NAME/NUMBER.jsonl` | rows of a table, one JSON array per line |
//! | `files/NAME` | files of the data folder |
//! | `contents.json` | the last: every entry before it with its length and SHA-256, and the rows of every table |
//!
//! A file that was cut short lacks the last entry; one that was changed does not fit it.

mod format;
mod reader;
mod writer;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use format::Summary;
pub use reader::{RestoredFile, read_archive, verify_archive};
pub use writer::{ArchiveFile, ArchiveHead, write_archive};

/// Why an archive cannot be written or read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The file cannot be written, or there is one already.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The file cannot be read, or is no archive, or was cut short.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The archive is not what it says it is.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// A newer program made it.
    #[error("the archive has format {found}; this program knows formats up to {known}")]
    NewerFormat {
        /// Its format.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// The copy of the database ended early.
    #[error("the copy of the database is not complete")]
    Incomplete,
}
