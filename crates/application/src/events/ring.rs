//! The newest events of one user, and positions in them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::Stream;
use futures_util::stream;
use majordomo_domain::Timestamp;
use tokio::sync::watch;

use super::{SystemEvent, SystemEventKind};
use crate::ports::Clock;
use crate::runs::weight;

/// Events held at most.
const HELD_EVENTS: usize = 256;
/// Bytes of text held at most, beyond the newest event.
const HELD_BYTES: usize = 64 * 1024;
/// Events read at once.
const BATCH: usize = 32;

/// A user's newest events. Readers hold a position in it, not a queue: a slow reader costs no memory, and misses what
/// was pushed out before it came.
pub(super) struct Ring {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    clock: Arc<dyn Clock>,
}

struct State {
    events: VecDeque<Arc<SystemEvent>>,
    /// Bytes of text in `events`.
    bytes: usize,
    /// Id of the newest event there ever was, or of the beginning.
    last: u64,
    closed: bool,
    /// When the last reader left.
    idle_since: Timestamp,
}

impl Ring {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self {
            state: Mutex::new(State {
                events: VecDeque::new(),
                bytes: 0,
                last: id_at(now),
                closed: false,
                idle_since: now,
            }),
            changed: watch::Sender::new(()),
            clock,
        }
    }

    pub(super) fn push(&self, kind: SystemEventKind) {
        let at = self.clock.now();
        let mut state = self.state();
        let id = id_at(at).max(state.last.saturating_add(1));
        state.last = id;
        state.bytes += size(&kind);
        state
            .events
            .push_back(Arc::new(SystemEvent { id, at, kind }));
        while state.events.len() > HELD_EVENTS
            || (state.bytes > HELD_BYTES && state.events.len() > 1)
        {
            let Some(oldest) = state.events.pop_front() else {
                break;
            };
            state.bytes -= size(&oldest.kind);
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Ends every stream after what it has not read yet.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.send_replace(());
    }

    /// When the last reader left; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Timestamp> {
        (self.changed.receiver_count() == 0).then(|| self.state().idle_since)
    }

    /// The events above `after`; from now on when there is none. A position that was never given out means now, too.
    pub(super) fn read_after(self: Arc<Self>, after: Option<u64>) -> EventStream {
        let changes = self.changed.subscribe();
        let last = self.state().last;
        EventStream {
            after: after.map_or(last, |after| after.min(last)),
            changes,
            ring: self,
        }
    }

    fn read(&self, after: u64) -> (Vec<Arc<SystemEvent>>, bool) {
        let state = self.state();
        let skip = state.events.partition_point(|event| event.id <= after);
        let events: Vec<_> = state.events.range(skip..).take(BATCH).cloned().collect();
        (events, state.closed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A position in a user's events.
pub struct EventStream {
    ring: Arc<Ring>,
    changes: watch::Receiver<()>,
    after: u64,
}

impl Drop for EventStream {
    fn drop(&mut self) {
        let now = self.ring.clock.now();
        self.ring.state().idle_since = now;
    }
}

impl EventStream {
    /// The id of the last event read, or of the position the stream began at.
    pub const fn position(&self) -> u64 {
        self.after
    }

    /// The next events in order, at least one; an empty batch when the server shuts down. Cancel safe.
    pub async fn next_batch(&mut self) -> Vec<Arc<SystemEvent>> {
        loop {
            self.changes.mark_unchanged();
            let (events, closed) = self.ring.read(self.after);
            if let Some(last) = events.last() {
                self.after = last.id;
                return events;
            }
            if closed || self.changes.changed().await.is_err() {
                return Vec::new();
            }
        }
    }

    /// The events one by one, until the server shuts down.
    pub fn into_stream(self) -> impl Stream<Item = Arc<SystemEvent>> + Send + 'static {
        stream::unfold(
            (self, VecDeque::new()),
            |(mut this, mut ready): (Self, VecDeque<Arc<SystemEvent>>)| async move {
                if ready.is_empty() {
                    ready.extend(this.next_batch().await);
                }
                let event = ready.pop_front()?;
                Some((event, (this, ready)))
            },
        )
    }
}

fn id_at(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(0)
}

fn size(kind: &SystemEventKind) -> usize {
    match kind {
        SystemEventKind::Run { event, .. } => weight(event),
        SystemEventKind::Health(_) | SystemEventKind::Budget(_) => 0,
    }
}
