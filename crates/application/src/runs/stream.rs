//! A view of a run's events from some position on: what was written, then what is being written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use majordomo_domain::{Run, RunEvent, RunEventKind, RunId};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::log::RunLog;
use crate::ports::{RepositoryError, RunJournal};

/// Events read at once. Few: a reader that does not read holds some batches of them, and there may be a thousand such.
const BATCH: usize = 32;
/// How often a run that another process works on is looked at.
const POLL: Duration = Duration::from_millis(250);

/// A position in a run's events. Dropping it only stops watching; the run goes on.
pub struct RunStream {
    source: Source,
    after: u64,
}

enum Source {
    Live(LiveSource),
    Stored(StoredSource),
}

/// A run that is not live in this process: it has ended, or another process works on it.
struct StoredSource {
    journal: Arc<dyn RunJournal>,
    run: Run,
    done: bool,
    shutdown: CancellationToken,
}

struct LiveSource {
    log: Arc<RunLog>,
    changes: watch::Receiver<()>,
    journal: Arc<dyn RunJournal>,
    watching: bool,
}

impl Drop for LiveSource {
    fn drop(&mut self) {
        if self.watching {
            self.log.watch(false);
        }
    }
}

impl RunStream {
    /// The events of a live run above `after`. `watching` says that each is wanted as it comes; otherwise they may
    /// come in lumps.
    pub(crate) fn live(
        log: Arc<RunLog>,
        journal: Arc<dyn RunJournal>,
        after: u64,
        watching: bool,
    ) -> Self {
        let changes = log.changes();
        if watching {
            log.watch(true);
        }
        Self {
            source: Source::Live(LiveSource {
                log,
                changes,
                journal,
                watching,
            }),
            after,
        }
    }

    /// The same events, each as it comes.
    #[must_use]
    pub(crate) fn watching(mut self) -> Self {
        if let Source::Live(live) = &mut self.source
            && !live.watching
        {
            live.watching = true;
            live.log.watch(true);
        }
        self
    }

    /// The events above `after` of a run that is not live here. One that has not ended is looked at again and again
    /// until it has, or `shutdown` begins.
    pub(crate) fn stored(
        journal: Arc<dyn RunJournal>,
        run: Run,
        after: u64,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            source: Source::Stored(StoredSource {
                journal,
                run,
                done: false,
                shutdown,
            }),
            after,
        }
    }

    /// The run, as it was when watching began.
    pub fn run(&self) -> &Run {
        match &self.source {
            Source::Live(live) => live.log.run(),
            Source::Stored(stored) => &stored.run,
        }
    }

    /// The next events in order, at least one; an empty batch after the last.
    pub async fn next_batch(&mut self) -> Result<Vec<Arc<RunEvent>>, RepositoryError> {
        let events = match &mut self.source {
            Source::Live(live) => live.next(self.after).await?,
            Source::Stored(stored) => stored.next(self.after).await?,
        };
        if let Some(last) = events.last() {
            self.after = last.seq;
        }
        Ok(events)
    }

    /// The events one by one.
    pub fn into_stream(
        self,
    ) -> impl Stream<Item = Result<Arc<RunEvent>, RepositoryError>> + Send + 'static {
        stream::unfold(
            (self, VecDeque::new(), false),
            |(mut this, mut ready, failed)| async move {
                if failed {
                    return None;
                }
                if ready.is_empty() {
                    match this.next_batch().await {
                        Ok(batch) => ready.extend(batch),
                        Err(error) => return Some((Err(error), (this, ready, true))),
                    }
                }
                let event = ready.pop_front()?;
                Some((Ok(event), (this, ready, false)))
            },
        )
    }
}

impl LiveSource {
    async fn next(&mut self, after: u64) -> Result<Vec<Arc<RunEvent>>, RepositoryError> {
        loop {
            self.changes.mark_unchanged();
            match self.log.read(after, BATCH) {
                None => return read_stored(self.journal.as_ref(), &self.log.run().id, after).await,
                Some((events, more)) if !events.is_empty() || !more => return Ok(events),
                Some(_) => {}
            }
            if self.changes.changed().await.is_err() {
                return Ok(Vec::new());
            }
        }
    }
}

impl StoredSource {
    async fn next(&mut self, after: u64) -> Result<Vec<Arc<RunEvent>>, RepositoryError> {
        while !self.done {
            // Read before the events: what a run has when it is seen to have ended is all it will ever have.
            let ended = self.run.status.is_final();
            let events = read_stored(self.journal.as_ref(), &self.run.id, after).await?;
            self.done = events.iter().any(|event| is_last(event));
            if !events.is_empty() {
                return Ok(events);
            }
            if ended {
                break;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                () = sleep(POLL) => {}
            }
            match self.journal.find(&self.run.owner, &self.run.id).await? {
                Some(run) => self.run.status = run.status,
                None => break,
            }
        }
        self.done = true;
        Ok(Vec::new())
    }
}

async fn read_stored(
    journal: &dyn RunJournal,
    run: &RunId,
    after: u64,
) -> Result<Vec<Arc<RunEvent>>, RepositoryError> {
    let limit = u32::try_from(BATCH).unwrap_or(u32::MAX);
    Ok(journal
        .events(run, after, limit)
        .await?
        .into_iter()
        .map(Arc::new)
        .collect())
}

fn is_last(event: &RunEvent) -> bool {
    matches!(event.kind, RunEventKind::Finished(_))
}
