//! The latest errors in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use majordomo_application::ports::{ErrorLog, LoggedError, NewLoggedError, RepositoryError};

use crate::builders::at;

/// Keeps every error; they are numbered from 1, and all noticed at [`at(0)`](at).
#[derive(Default)]
pub struct InMemoryErrorLog(Mutex<Vec<LoggedError>>);

impl InMemoryErrorLog {
    fn entries(&self) -> MutexGuard<'_, Vec<LoggedError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ErrorLog for InMemoryErrorLog {
    fn record(&self, error: NewLoggedError) {
        let mut entries = self.entries();
        let id = format!("{:012x}", entries.len() + 1);
        let at = at(0);
        entries.push(LoggedError { id, at, error });
    }

    async fn newest(
        &self,
        limit: usize,
        search: Option<&str>,
    ) -> Result<Vec<LoggedError>, RepositoryError> {
        let wanted = search.unwrap_or_default().to_lowercase();
        let holds = |entry: &&LoggedError| {
            let error = &entry.error;
            [&error.message, &error.source, &error.trace]
                .iter()
                .any(|text| text.to_lowercase().contains(&wanted))
        };
        let entries = self.entries();
        let newest = entries.iter().rev().filter(holds).take(limit);
        Ok(newest.cloned().collect())
    }

    async fn clear(&self) -> Result<(), RepositoryError> {
        self.entries().clear();
        Ok(())
    }
}
