//! The hop from the workers that do HTTP to the runtime on which the services, their database and their clients live.

use std::future::Future;

use majordomo_application::error::{BUSY_RETRY, INTERNAL_MESSAGE};
use majordomo_application::{ErrorKind, ServiceError};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tracing::Instrument as _;

use crate::error::ApiError;

/// The runtime of the core. Connections opened on it must be used on it, so handlers call services through this handle.
#[derive(Debug, Clone)]
pub struct Core {
    handle: Handle,
}

/// Work handed to the core did not finish.
#[derive(Debug, Error)]
pub enum CoreFailure {
    /// The work panicked.
    #[error("the work panicked")]
    Panicked(#[source] JoinError),
    /// The core is shutting down.
    #[error("the core is shutting down")]
    ShuttingDown,
}

impl From<JoinError> for CoreFailure {
    fn from(error: JoinError) -> Self {
        if error.is_panic() {
            Self::Panicked(error)
        } else {
            Self::ShuttingDown
        }
    }
}

impl ServiceError for CoreFailure {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Panicked(_) => ErrorKind::Internal,
            Self::ShuttingDown => ErrorKind::Busy {
                retry_after: BUSY_RETRY,
            },
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Panicked(_) => "internal",
            Self::ShuttingDown => "shutting_down",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Panicked(_) => INTERNAL_MESSAGE.to_owned(),
            Self::ShuttingDown => "The server is shutting down".to_owned(),
        }
    }
}

/// Aborts its task when dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Core {
    /// Work is spawned on `handle`.
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Starts `work` on the core, within the span of the request.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(work.in_current_span())
    }

    /// Runs `work` on the core to its end, even when the returned future is dropped: a client that hangs up does not
    /// leave a half-done change.
    pub async fn join<F>(&self, work: F) -> Result<F::Output, CoreFailure>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Ok(self.spawn(work).await?)
    }

    /// As [`join`](Self::join) for a use case that may fail: its error becomes the dialect's answer.
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        self.join(work).await?.map_err(Into::into)
    }

    /// As [`run`](Self::run), on the worker that asks: for turns of the agent, which wait more than they compute. They have
    /// ended, or are left to the next start, before workers stop.
    pub async fn run_here<T, E, F>(&self, work: F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let work = tokio::spawn(work.in_current_span());
        work.await.map_err(CoreFailure::from)?.map_err(Into::into)
    }

    /// As [`run`](Self::run), but dropping the returned future cancels `work`: for calls whose only effect is the answer.
    pub async fn run_cancellable<T, E, F>(&self, work: F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let task = self.spawn(work);
        let _guard = AbortOnDrop(task.abort_handle());
        task.await.map_err(CoreFailure::from)?.map_err(Into::into)
    }
}
