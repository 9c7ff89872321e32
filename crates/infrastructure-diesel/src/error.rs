//! How a piece of database work fails, before the port's error is made of it.

use std::fmt::Display;

use majordomo_application::ports::RepositoryError;
use majordomo_domain::Timestamp;

/// Why a piece of work failed.
#[derive(Debug)]
pub(crate) enum QueryError {
    /// The work itself says so.
    Repository(RepositoryError),
    /// The database says so; the backend knows what it means.
    Statement(diesel::result::Error),
}

/// The result of a piece of work.
pub(crate) type Outcome<T> = Result<T, QueryError>;

impl From<diesel::result::Error> for QueryError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Statement(error)
    }
}

impl From<RepositoryError> for QueryError {
    fn from(error: RepositoryError) -> Self {
        Self::Repository(error)
    }
}

/// A stored row that cannot be read back.
pub(super) fn corrupt(
    table: &'static str,
    column: &'static str,
    id: impl Display,
) -> RepositoryError {
    RepositoryError::Corrupt {
        table,
        column,
        id: id.to_string(),
    }
}

/// A count or position as it is stored; saturates far above what can be counted.
pub(super) fn to_stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A point in time as it is stored, where there is one.
pub(super) fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}
