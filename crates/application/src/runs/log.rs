//! The events of a live run, shared by all who watch it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use majordomo_domain::{Run, RunEvent};
use tokio::sync::watch;

/// A live run's events. Watchers hold a position in it, not a queue: a slow watcher costs no memory.
pub struct RunLog {
    run: Run,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    watchers: AtomicUsize,
}

struct State {
    /// Sequence number of the event before the first one held.
    base: u64,
    events: Vec<Arc<RunEvent>>,
    closed: bool,
}

impl RunLog {
    /// The log of a run whose journal holds `base` events so far.
    pub fn new(run: Run, base: u64) -> Arc<Self> {
        let state = State {
            base,
            events: Vec::new(),
            closed: false,
        };
        Arc::new(Self {
            run,
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            watchers: AtomicUsize::new(0),
        })
    }

    /// The run as it was accepted.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Whether anyone waits for every event as it comes.
    pub fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// Shows events to the watchers. They are in the journal already.
    pub(crate) fn publish(&self, events: impl IntoIterator<Item = RunEvent>) {
        self.state().events.extend(events.into_iter().map(Arc::new));
        self.changed.send_replace(());
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
        let events: Vec<_> = state
            .events
            .iter()
            .skip(skip)
            .take(limit)
            .cloned()
            .collect();
        let more = !state.closed || skip.saturating_add(events.len()) < state.events.len();
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
