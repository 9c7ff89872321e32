//! Whole databases, row by row, in a form that every storage reads and writes.

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::mpsc;

use super::repository_error::Source;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text; a JSON string.
    Text,
    /// A whole number of up to 64 bits; a JSON number.
    Integer,
    /// A number; a JSON number.
    Real,
    /// `true` or `false`.
    Boolean,
    /// Bytes; a JSON string of lower-case hexadecimal digits.
    Bytes,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are; each may be JSON's `null` instead.
    pub kind: ColumnKind,
}

/// A table. Row numbers and search indexes, which are a storage's own business, are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in the order of each row's values.
    pub columns: Vec<Column>,
}

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSchema {
    /// Versions of the migrations that made it, the same for every storage.
    pub migrations: Vec<String>,
    /// The tables, by name.
    pub tables: Vec<Table>,
}

/// Some rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePart {
    /// The table's name.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// One JSON array per row, each ended by a line feed.
    pub lines: Vec<u8>,
}

/// A step of a copy. A copy is one `Schema`, any number of parts, and `Complete`; one that ends otherwise is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyStep {
    /// What is to come.
    Schema(DatabaseSchema),
    /// Rows.
    Part(TablePart),
    /// That was all.
    Complete,
}

/// Why a database cannot be copied. The words are for the person who asked for it; none holds a secret.
#[derive(Debug, Error)]
pub enum CopyError {
    /// There is data already where the copy is to go.
    #[error("there is data already")]
    Occupied,
    /// The database cannot be opened, or another process owns it.
    #[error("{0}")]
    Unavailable(String),
    /// It was made by a newer program.
    #[error("it was made by a newer version of this program (unknown migrations: {})", versions.join(", "))]
    NewerSchema {
        /// Versions of the migrations this program does not know.
        versions: Vec<String>,
    },
    /// The copy does not fit the tables of its own migrations.
    #[error("the copy does not fit: {0}")]
    Mismatch(String),
    /// The other end gave up before the copy was complete.
    #[error("the copy is not complete")]
    Incomplete,
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] Source),
}

/// Copies whole databases.
#[async_trait]
pub trait DatabaseCopy: Send + Sync {
    /// Sends all that the database holds, as it is at one moment. Others may go on reading and writing meanwhile.
    ///
    /// # Errors
    /// MUST NOT send `Complete` when anything is missing. `Incomplete` when nobody receives.
    async fn export(&self, to: mpsc::Sender<CopyStep>) -> Result<(), CopyError>;

    /// Fills the database with a copy and brings it to this program's schema.
    ///
    /// # Errors
    /// MUST leave everything as it was on any error, and where the steps end before `Complete`. MUST return `Occupied`
    /// when there is data already and `replace` is not set; `NewerSchema` for migrations it does not know.
    async fn import(&self, from: mpsc::Receiver<CopyStep>, replace: bool) -> Result<(), CopyError>;
}
