//! A view of a run's events from some position on: what was written, then what is being written.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::stream;
use majordomo_domain::{Run, RunEvent, RunEventKind, RunId};
use tokio::sync::watch;

use super::log::RunLog;
use crate::ports::{RepositoryError, RunJournal};

/// Events read at once.
const BATCH: usize = 256;

/// A position in a run's events. Dropping it only stops watching; the run goes on.
pub struct RunStream {
    source: Source,
    after: u64,
}

enum Source {
    Live(LiveSource),
    Stored {
        journal: Arc<dyn RunJournal>,
        run: Run,
        done: bool,
    },
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

    /// The events of a run that has ended, above `after`.
    pub(crate) fn stored(journal: Arc<dyn RunJournal>, run: &Run, after: u64) -> Self {
        Self {
            source: Source::Stored {
                journal,
                run: run.clone(),
                done: false,
            },
            after,
        }
    }

    /// The run, as it was when watching began.
    pub fn run(&self) -> &Run {
        match &self.source {
            Source::Live(live) => live.log.run(),
            Source::Stored { run, .. } => run,
        }
    }

    /// The next events in order, at least one; an empty batch after the last.
    pub async fn next_batch(&mut self) -> Result<Vec<Arc<RunEvent>>, RepositoryError> {
        let events = match &mut self.source {
            Source::Live(live) => live.next(self.after).await?,
            Source::Stored { done: true, .. } => Vec::new(),
            Source::Stored { journal, run, done } => {
                let events = read_stored(journal.as_ref(), &run.id, self.after).await?;
                *done = events.is_empty() || events.iter().any(|event| is_last(event));
                events
            }
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
