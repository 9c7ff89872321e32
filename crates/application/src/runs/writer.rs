//! Writes a run's events: journal first, then the watchers.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use majordomo_domain::{RunEvent, RunEventKind};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::log::RunLog;
use super::unstored::Unstored;
use crate::ports::{Answer, Clock, Durability, NewTurn, RepositoryError, RunJournal};

/// How long events nobody waits for may stay out of the journal.
const LINGER: Duration = Duration::from_millis(100);
/// How long a turn that is to be stored with its answer may stay out of the journal.
const HOLD: Duration = Duration::from_millis(20);
/// Events that wait for the journal before no more are taken.
const FULL: usize = 1024;
/// Pauses between tries to store the end of a run while storage does not answer.
const RETRY_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(2),
];

/// What became of a write: the events, and whether they are stored.
type Written = (Vec<RunEvent>, Result<(), RepositoryError>);

/// How events are written.
#[derive(Clone, Copy)]
enum Act {
    /// The run, which has waited, begins with them.
    Start,
    Append(Durability),
}

/// Writes one run's events in order. What a watcher sees is in the journal, so a client that comes back after a crash
/// finds all it has seen. Events that come while a write is under way are written together afterwards; while nobody
/// watches they are written at most every [`LINGER`].
pub(crate) struct JournalWriter {
    journal: Arc<dyn RunJournal>,
    clock: Arc<dyn Clock>,
    log: Arc<RunLog>,
    next_seq: u64,
    /// The turn itself, where it is not stored yet: it is stored with the first events.
    unstored: Option<Unstored>,
    pending: Vec<RunEvent>,
    since: Option<Instant>,
    /// Ends when the oldest of `pending` has waited long enough. Kept from one piece of an answer to the next: arming a
    /// timer wakes a thread.
    linger: Option<Pin<Box<Sleep>>>,
    in_flight: Option<BoxFuture<'static, Written>>,
    /// Whether a write failed of which the first events of `pending` may have been stored all the same.
    in_doubt: bool,
    shown: bool,
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
            unstored: None,
            pending: Vec::new(),
            since: None,
            linger: None,
            in_flight: None,
            in_doubt: false,
            shown: false,
        }
    }

    /// A writer that stores a turn, too.
    pub(crate) fn storing(
        journal: Arc<dyn RunJournal>,
        clock: Arc<dyn Clock>,
        log: Arc<RunLog>,
        unstored: Unstored,
    ) -> Self {
        let mut writer = Self::new(journal, clock, log, 0);
        writer.unstored = Some(unstored);
        writer.push(RunEventKind::Started);
        writer
    }

    /// Begins to store the turn whose sender waits for that, where there is one. It is stored while the writer is polled.
    pub(crate) fn begin_storing(&mut self) -> Result<(), RepositoryError> {
        if self.unstored.as_ref().is_some_and(Unstored::is_awaited) {
            self.begin(Act::Append(Durability::Flushed));
            return self.settle().now_or_never().unwrap_or(Ok(()));
        }
        Ok(())
    }

    /// Waits until it is known whether the turn is stored, where its sender waits for that.
    pub(crate) async fn settle_storing(&mut self) {
        if self.unstored.as_ref().is_some_and(Unstored::is_awaited) {
            // What became of it is kept, and the sender is told.
            let _ = self.settle().await;
        }
    }

    /// Whether the turn itself is not stored, as far as is known.
    pub(crate) const fn is_unstored(&self) -> bool {
        self.unstored.is_some()
    }

    /// Whether the turn was not stored and its sender knows.
    pub(crate) fn is_refused(&self) -> bool {
        self.unstored.as_ref().is_some_and(Unstored::is_refused)
    }

    /// Queues an event. Nothing is written until [`progress`](Self::progress) or [`flush`](Self::flush) is polled.
    pub(crate) fn push(&mut self, kind: RunEventKind) {
        self.shown |= kind.is_shown();
        self.pending.push(RunEvent {
            seq: self.next_seq,
            at: self.clock.now(),
            kind,
        });
        self.next_seq += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    /// Whether [`progress`](Self::progress) has something to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.in_flight.is_none()
    }

    /// Whether so much waits that nothing should be added before there was progress.
    pub(crate) fn is_full(&self) -> bool {
        self.pending.len() >= FULL
    }

    /// Whether the run has begun, as far as its events tell.
    pub(crate) const fn has_begun(&self) -> bool {
        self.next_seq > 1
    }

    /// Whether an event was queued that shows something of the answer.
    pub(crate) const fn has_shown(&self) -> bool {
        self.shown
    }

    /// Does the next piece of writing. Cancel safe.
    pub(crate) async fn progress(&mut self) -> Result<(), RepositoryError> {
        if self.in_flight.is_none() && !self.pending.is_empty() {
            if let Some(since) = self.since
                && !self.log.is_watched()
                && !self.is_full()
            {
                let patience = self.unstored.as_ref().map_or(LINGER, |_| HOLD);
                let arm = || Box::pin(sleep_until(since + patience));
                let linger = self.linger.get_or_insert_with(arm);
                let mut changes = self.log.changes();
                while !self.log.is_watched() {
                    tokio::select! {
                        () = linger.as_mut() => break,
                        _ = changes.changed() => {}
                    }
                }
            }
            self.begin(Act::Append(Durability::Written));
        }
        self.settle().await
    }

    /// Writes everything queued; it is as durable as asked when this returns. Cancel safe.
    pub(crate) async fn flush(&mut self, durability: Durability) -> Result<(), RepositoryError> {
        self.settle().await?;
        if !self.pending.is_empty() {
            self.begin(Act::Append(durability));
        }
        self.settle().await
    }

    /// Waits for `work`, which is not the journal's, while what is queued is written. Cancel safe where `work` is.
    pub(crate) async fn beside<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, RepositoryError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                written = self.progress(), if !self.is_idle() => written?,
            }
        }
    }

    /// Stores the turn itself, where it is not yet. Cancel safe.
    pub(crate) async fn keep(&mut self) -> Result<(), RepositoryError> {
        if self.unstored.is_some() {
            self.flush(Durability::Flushed).await?;
        }
        Ok(())
    }

    /// Begins a run that has waited. Cancel safe.
    pub(crate) async fn start(&mut self) -> Result<(), RepositoryError> {
        self.push(RunEventKind::Started);
        self.begin(Act::Start);
        self.settle().await
    }

    /// Ends the run: writes what is queued, the last event and the answer in one transaction. Tries again for a moment
    /// while storage does not answer.
    pub(crate) async fn finish(
        &mut self,
        mut answer: Answer,
        last: RunEventKind,
    ) -> Result<(), RepositoryError> {
        if let Err(error) = self.settle().await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, run = %answer.run, "a piece of a journal was not stored at once");
        }
        if !self.has_begun() {
            self.push(RunEventKind::Started);
        }
        self.push(last);
        answer.finished_at = self.clock.now();
        if let Some(message) = &mut answer.message {
            message.created_at = answer.finished_at;
        }
        let mut pauses = RETRY_PAUSES.into_iter();
        loop {
            let error = match self.try_finish(&answer).await {
                Ok(()) => break,
                Err(error) => error,
            };
            let pause = pauses.next();
            let (RepositoryError::Unavailable(_), Some(pause)) = (&error, pause) else {
                return Err(error);
            };
            self.in_doubt = true;
            sleep(pause).await;
        }
        self.log.publish(std::mem::take(&mut self.pending));
        Ok(())
    }

    async fn try_finish(&mut self, answer: &Answer) -> Result<(), RepositoryError> {
        if self.in_doubt {
            self.resolve_doubt().await?;
        }
        let events = self.pending.clone();
        let answer = Answer {
            events,
            ..answer.clone()
        };
        match &self.unstored {
            Some(unstored) => {
                let turn = unstored.turn.clone();
                self.journal.record(turn, answer).await?;
            }
            None => self.journal.finish(answer).await?,
        }
        self.note_stored();
        Ok(())
    }

    /// Finds out which of the pending events are in the journal already, and shows them.
    async fn resolve_doubt(&mut self) -> Result<(), RepositoryError> {
        let Some(first) = self.pending.first() else {
            return Ok(());
        };
        let limit = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
        let run = &self.log.run().id;
        let stored = self.journal.events(run, first.seq - 1, limit).await?;
        let known = |(ours, theirs): &(&RunEvent, &RunEvent)| ours == theirs;
        if !stored.is_empty() {
            self.note_stored();
        }
        let count = self.pending.iter().zip(&stored).take_while(known).count();
        // The last event is stored with the end of the run or not at all, and storing that again changes nothing.
        let count = count.min(self.pending.len() - 1);
        self.log.publish(self.pending.drain(..count));
        self.in_doubt = false;
        Ok(())
    }

    fn begin(&mut self, act: Act) {
        let events = std::mem::take(&mut self.pending);
        self.since = None;
        self.linger = None;
        let journal = self.journal.clone();
        let run = self.log.run().id.clone();
        let unstored = self.unstored.as_ref().map(|unstored| unstored.turn.clone());
        let write = async move {
            let copy = events.clone();
            let result = match (act, unstored) {
                (Act::Append(durability), Some(turn)) => {
                    let turn = NewTurn {
                        events: copy,
                        durability,
                        ..turn
                    };
                    journal.accept(turn).await.map(drop)
                }
                (Act::Append(durability), None) => journal.append(&run, copy, durability).await,
                (Act::Start, _) => journal.start(&run, copy).await,
            };
            (events, result)
        };
        self.in_flight = Some(write.boxed());
    }

    /// The turn itself is stored.
    fn note_stored(&mut self) {
        if let Some(unstored) = self.unstored.take() {
            unstored.accept();
        }
    }

    async fn settle(&mut self) -> Result<(), RepositoryError> {
        let Some(write) = &mut self.in_flight else {
            return Ok(());
        };
        let (mut events, result) = write.await;
        self.in_flight = None;
        if result.is_ok() {
            self.note_stored();
            self.log.publish(events);
        } else {
            if let Some(unstored) = &mut self.unstored {
                unstored.refuse();
            }
            events.append(&mut self.pending);
            self.pending = events;
            self.in_doubt = true;
        }
        result
    }
}
