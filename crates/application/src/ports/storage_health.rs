//! Whether storage answers.

use async_trait::async_trait;

use super::RepositoryError;

/// What storage says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageStatus {
    /// `sqlite` or `postgres`.
    pub backend: &'static str,
    /// Size of the database in bytes.
    pub size_bytes: u64,
}

/// Asks storage how it is.
#[async_trait]
pub trait StorageHealth: Send + Sync {
    /// Reads from the database.
    async fn check(&self) -> Result<StorageStatus, RepositoryError>;
}
