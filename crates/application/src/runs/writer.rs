//! Writes a run's events: journal first, then the watchers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use majordomo_domain::{Outcome, RunEvent, RunEventKind};
use tokio::time::Instant;

use super::log::RunLog;
use crate::ports::{Answer, Clock, Durability, RepositoryError, RunJournal};

/// How long events nobody waits for may stay out of the journal.
const LINGER: Duration = Duration::from_millis(100);

/// Writes one run's events in order. What a watcher sees is in the journal, so a client that comes back after a crash
/// finds all it has seen. Events that come while a write is under way are written together afterwards; while nobody
/// watches they are written at most every [`LINGER`].
pub(crate) struct JournalWriter {
    journal: Arc<dyn RunJournal>,
    clock: Arc<dyn Clock>,
    log: Arc<RunLog>,
    next_seq: u64,
    pending: Vec<RunEvent>,
    since: Option<Instant>,
    in_flight: Option<BoxFuture<'static, Result<Vec<RunEvent>, RepositoryError>>>,
}

impl JournalWriter {
    /// A writer that goes on after `last_seq` events.
    pub(crate) fn new(
        journal: Arc<dyn RunJournal>,
        clock: Arc<dyn Clock>,
        log: Arc<RunLog>,
        last_seq: u64,
    ) -> Self {
        Self {
            journal,
            clock,
            log,
            next_seq: last_seq + 1,
            pending: Vec::new(),
            since: None,
            in_flight: None,
        }
    }

    /// The event that is next, to be stored by the caller.
    pub(crate) fn event(&mut self, kind: RunEventKind) -> RunEvent {
        let event = RunEvent {
            seq: self.next_seq,
            at: self.clock.now(),
            kind,
        };
        self.next_seq += 1;
        event
    }

    /// Queues an event. Nothing is written until [`progress`](Self::progress) or [`flush`](Self::flush) is polled.
    pub(crate) fn push(&mut self, kind: RunEventKind) {
        let event = self.event(kind);
        self.pending.push(event);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether [`progress`](Self::progress) has something to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.in_flight.is_none()
    }

    /// Does the next piece of writing. Cancel safe.
    pub(crate) async fn progress(&mut self) -> Result<(), RepositoryError> {
        if self.in_flight.is_none() && !self.pending.is_empty() {
            if let Some(since) = self.since
                && !self.log.is_watched()
            {
                tokio::time::sleep_until(since + LINGER).await;
            }
            self.begin(Durability::Written);
        }
        self.settle().await
    }

    /// Writes everything queued; it is as durable as asked when this returns.
    pub(crate) async fn flush(&mut self, durability: Durability) -> Result<(), RepositoryError> {
        self.settle().await?;
        if !self.pending.is_empty() {
            self.begin(durability);
        }
        self.settle().await
    }

    /// Begins a run that has waited.
    pub(crate) async fn start(&mut self) -> Result<(), RepositoryError> {
        let event = self.event(RunEventKind::Started);
        self.journal
            .start(&self.log.run().id, vec![event.clone()])
            .await?;
        self.log.publish([event]);
        Ok(())
    }

    /// Whether no event was ever made.
    pub(crate) const fn is_untouched(&self) -> bool {
        self.next_seq == 1
    }

    /// Tells the watchers of an end that could not be stored. The run is left for recovery.
    pub(crate) fn abandon(&mut self, outcome: Outcome) {
        self.pending.clear();
        let event = self.event(RunEventKind::Finished(outcome));
        self.log.publish([event]);
    }

    /// Ends the run: writes what is queued, the last event and the answer in one transaction.
    pub(crate) async fn finish(
        &mut self,
        mut answer: Answer,
        last: RunEventKind,
    ) -> Result<(), RepositoryError> {
        self.settle().await?;
        let last = self.event(last);
        self.pending.push(last);
        answer.events = std::mem::take(&mut self.pending);
        answer.finished_at = self.clock.now();
        if let Some(message) = &mut answer.message {
            message.created_at = answer.finished_at;
        }
        let events = answer.events.clone();
        self.journal.finish(answer).await?;
        self.log.publish(events);
        Ok(())
    }

    fn begin(&mut self, durability: Durability) {
        let events = std::mem::take(&mut self.pending);
        self.since = None;
        let journal = self.journal.clone();
        let run = self.log.run().id.clone();
        let write = async move {
            journal.append(&run, events.clone(), durability).await?;
            Ok(events)
        };
        self.in_flight = Some(write.boxed());
    }

    async fn settle(&mut self) -> Result<(), RepositoryError> {
        if let Some(write) = &mut self.in_flight {
            let result = write.await;
            self.in_flight = None;
            self.log.publish(result?);
        }
        Ok(())
    }
}
