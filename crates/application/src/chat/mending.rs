//! Runs whose end could not be stored: they are ended as soon as storage answers again, not only by the next process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomo_domain::Run;
use tokio::time::sleep;

use super::service::ChatService;
use crate::ports::RepositoryError;

/// Runs that wait for this at most; what is beyond is ended at the next start.
const CAPACITY: usize = 10_000;
/// Pause before the first try, doubled for every later one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The runs that wait for storage.
#[derive(Default)]
pub(super) struct Unended(Mutex<State>);

#[derive(Default)]
struct State {
    runs: Vec<Run>,
    /// Whether a task works on them.
    attended: bool,
}

impl Unended {
    /// Whether storage did not answer when it was last needed for the end of a run.
    pub(super) fn any(&self) -> bool {
        self.state().attended
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChatService {
    /// Ends a run in the journal, if it is there and open, when storage answers. Returns at once.
    pub(super) fn end_later(self: &Arc<Self>, run: Run) {
        let mut state = self.unended.state();
        if state.runs.len() >= CAPACITY {
            tracing::error!(run = %run.id, "too many runs wait for storage; the next start ends this one");
            return;
        }
        state.runs.push(run);
        if !state.attended {
            state.attended = true;
            let service = self.clone();
            tokio::spawn(async move { service.attend().await });
        }
    }

    async fn attend(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = sleep(pause) => {}
            }
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            let runs = std::mem::take(&mut self.unended.state().runs);
            let left = self.end_all(runs).await;
            let mut state = self.unended.state();
            state.runs.extend(left);
            if state.runs.is_empty() {
                state.attended = false;
                return;
            }
        }
    }

    /// Ends runs until storage fails, and returns those that are left.
    async fn end_all(&self, runs: Vec<Run>) -> Vec<Run> {
        let mut runs = runs.into_iter();
        while let Some(run) = runs.next() {
            match self.end_open(&run).await {
                Ok(()) => {}
                Err(RepositoryError::Unavailable(_)) => {
                    return std::iter::once(run).chain(runs).collect();
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, run = %run.id, "a run cannot be ended");
                }
            }
        }
        Vec::new()
    }

    async fn end_open(&self, run: &Run) -> Result<(), RepositoryError> {
        let Some(stored) = self.journal.find(&run.owner, &run.id).await? else {
            return Ok(());
        };
        if stored.status.is_final() {
            return Ok(());
        }
        let past = self.past(&stored.id).await?;
        self.interrupt(stored, past).await
    }
}
