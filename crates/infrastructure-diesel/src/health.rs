//! Whether the database answers.

use std::sync::Arc;

use async_trait::async_trait;
use majordomo_application::ports::{RepositoryError, StorageHealth, StorageStatus};

use crate::backend::{self, Database};

/// Asks the database how it is.
pub struct DieselStorageHealth {
    db: Arc<Database>,
}

impl DieselStorageHealth {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl StorageHealth for DieselStorageHealth {
    async fn check(&self) -> Result<StorageStatus, RepositoryError> {
        let size = self
            .db
            .read((), |conn, ()| Box::pin(backend::size_in_bytes(conn)))
            .await?;
        Ok(StorageStatus {
            backend: backend::NAME,
            size_bytes: u64::try_from(size).unwrap_or_default(),
        })
    }
}
