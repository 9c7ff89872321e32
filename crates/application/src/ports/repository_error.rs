//! How storage fails.

use thiserror::Error;

/// The boxed cause of a storage failure; logged at the boundary, never shown.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// How storage fails. Absence is not a failure: lookups return `Option`.
#[derive(Debug, Error)]
pub enum RepositoryError {
    /// The row exists already, or another one has its unique value.
    #[error("the row exists already")]
    Conflict,
    /// The database does not answer, is full, read-only, or its write queue is full.
    #[error("the database is unavailable")]
    Unavailable(#[source] Source),
    /// A stored row cannot be read back as what it should be.
    #[error("corrupt row in {table}.{column} ({id})")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's identifier.
        id: String,
    },
    /// Anything else.
    #[error("the database refused the statement")]
    Other(#[source] Source),
}
