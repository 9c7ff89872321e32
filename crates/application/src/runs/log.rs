//! The events of a live run, shared by all who watch it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use majordomo_domain::{Outcome, Run, RunEvent, RunEventKind, RunStatus, Timestamp, Usage};
use tokio::sync::watch;

use crate::events::{EventBus, SystemEventKind};

/// Events held at most; a watcher further behind reads the journal.
const HELD_EVENTS: usize = 4096;
/// Bytes of text held at most, beyond the newest event.
const HELD_BYTES: usize = 1024 * 1024;

/// A live run's newest events. Watchers hold a position in it, not a queue: a slow watcher costs no memory.
pub struct RunLog {
    run: Arc<Run>,
    events: Arc<EventBus>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    watchers: AtomicUsize,
}

struct State {
    /// Sequence number of the event before the first one held.
    base: u64,
    events: VecDeque<Arc<RunEvent>>,
    /// Bytes of text in `events`.
    bytes: usize,
    closed: bool,
}

impl State {
    /// Whether the event is of another kind than the one before.
    fn turns_to(&self, event: &RunEvent) -> bool {
        let kind = |event: &RunEvent| std::mem::discriminant(&event.kind);
        match event.kind {
            RunEventKind::Text(_) | RunEventKind::Reasoning(_) => self
                .events
                .back()
                .is_none_or(|last| kind(last) != kind(event)),
            _ => true,
        }
    }

    fn push(&mut self, event: Arc<RunEvent>) {
        self.bytes += weight(&event);
        self.events.push_back(event);
        while self.events.len() > HELD_EVENTS || (self.bytes > HELD_BYTES && self.events.len() > 1)
        {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= weight(&oldest);
            self.base = oldest.seq;
        }
    }

    fn last_seq(&self) -> u64 {
        self.events.back().map_or(self.base, |last| last.seq)
    }
}

/// Bytes of text in an event.
pub(crate) fn weight(event: &RunEvent) -> usize {
    match &event.kind {
        RunEventKind::Text(text) | RunEventKind::Reasoning(text) => text.len(),
        RunEventKind::ToolCalled(call) => call.arguments.len(),
        RunEventKind::ToolReturned(output) => output.content.len(),
        RunEventKind::Started
        | RunEventKind::Hop(_)
        | RunEventKind::Recalled(_)
        | RunEventKind::Finished(_) => 0,
    }
}

impl RunLog {
    /// The log of a run whose journal holds `base` events so far. The owner's clients are told through `events`.
    pub fn new(run: Run, base: u64, events: Arc<EventBus>) -> Arc<Self> {
        let state = State {
            base,
            events: VecDeque::new(),
            bytes: 0,
            closed: false,
        };
        Arc::new(Self {
            run: Arc::new(run),
            events,
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            watchers: AtomicUsize::new(0),
        })
    }

    /// The run as it was accepted.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The newest event.
    pub(crate) fn latest(&self) -> Option<Arc<RunEvent>> {
        self.state().events.back().cloned()
    }

    /// Whether anyone waits for every event as it comes.
    pub fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// Shows events to the watchers. They are in the journal already, so old ones need not be held.
    pub(crate) fn publish(&self, events: impl IntoIterator<Item = RunEvent>) {
        let listened = self.events.is_used();
        let mut told = Vec::new();
        let mut state = self.state();
        for event in events.into_iter().map(Arc::new) {
            if listened && state.turns_to(&event) {
                told.push(Arc::clone(&event));
            }
            state.push(event);
        }
        drop(state);
        self.changed.send_replace(());
        for event in told {
            let run = Arc::clone(&self.run);
            let kind = SystemEventKind::Run { run, event };
            self.events.publish(&self.run.owner, kind);
        }
    }

    /// Tells the watchers of an end that is not in the journal: it could not be stored, or the work on it broke down.
    pub(crate) fn abandon(&self, at: Timestamp, reason: &str) {
        let error = match reason {
            "storage" => "Storage is unavailable",
            _ => crate::error::INTERNAL_MESSAGE,
        };
        let outcome = Outcome {
            status: RunStatus::Failed,
            message: None,
            model: None,
            usage: Usage::default(),
            reason: reason.to_owned(),
            error: Some(error.to_owned()),
        };
        let seq = self.state().last_seq() + 1;
        let kind = RunEventKind::Finished(outcome);
        self.publish([RunEvent { seq, at, kind }]);
    }

    /// Ends the log: watchers get what is left, then the end.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.send_replace(());
    }

    /// Events above `after`, and whether more may come; `None` when `after` lies before what is held.
    pub(super) fn read(&self, after: u64, limit: usize) -> Option<(Vec<Arc<RunEvent>>, bool)> {
        let state = self.state();
        let skip = usize::try_from(after.checked_sub(state.base)?).ok()?;
        let end = state.events.len().min(skip.saturating_add(limit));
        let events: Vec<_> = state.events.range(skip.min(end)..end).cloned().collect();
        let more = !state.closed || end < state.events.len();
        Some((events, more))
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn watch(&self, delta: bool) {
        if delta {
            self.watchers.fetch_add(1, Ordering::Relaxed);
        } else {
            self.watchers.fetch_sub(1, Ordering::Relaxed);
        }
        self.changed.send_replace(());
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
