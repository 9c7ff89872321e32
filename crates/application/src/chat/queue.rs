//! One turn at a time per session: the others wait in order.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use majordomo_domain::{Message, Run, SessionId, UserId};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::admission::Slot;
use crate::caller::Caller;
use crate::runs::{RunLog, Unstored};

/// An accepted turn that has not ended.
pub(super) struct PendingTurn {
    pub(super) run: Run,
    pub(super) caller: Caller,
    /// The user's message as it is, or will be, stored.
    pub(super) message: Message,
    /// The model chosen for the session.
    pub(super) session_model: Option<String>,
    pub(super) log: Arc<RunLog>,
    /// What log lines of the turn belong to.
    pub(super) span: Span,
    pub(super) stop: CancellationToken,
    /// The turn as it is to be stored, where that is not done yet.
    pub(super) unstored: Option<Unstored>,
    /// Events in the journal so far.
    pub(super) last_seq: u64,
    /// Its place among the accepted turns; `None` for one that was accepted by an earlier process.
    pub(super) slot: Option<Slot>,
}

type Key = (UserId, SessionId);
type Queues = Mutex<HashMap<Key, Weak<SessionQueue>>>;

/// The sessions in which something runs or is about to. A queue is in here for as long as anyone holds it.
#[derive(Default)]
pub(super) struct SessionQueues(Arc<Queues>);

/// The turns of one session.
pub(super) struct SessionQueue {
    /// Held while a turn is stored, so that turns run in the order they were stored in.
    pub(super) accepting: tokio::sync::Mutex<()>,
    turns: Mutex<Turns>,
    key: Key,
    queues: Arc<Queues>,
}

#[derive(Default)]
struct Turns {
    running: Option<CancellationToken>,
    waiting: VecDeque<PendingTurn>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionQueues {
    pub(super) fn get_or_create(&self, owner: &UserId, session: &SessionId) -> Arc<SessionQueue> {
        let key = (owner.clone(), session.clone());
        let mut queues = lock(&self.0);
        if let Some(queue) = queues.get(&key).and_then(Weak::upgrade) {
            return queue;
        }
        let queue = Arc::new(SessionQueue {
            accepting: tokio::sync::Mutex::default(),
            turns: Mutex::default(),
            key: key.clone(),
            queues: self.0.clone(),
        });
        queues.insert(key, Arc::downgrade(&queue));
        queue
    }

    pub(super) fn get(&self, owner: &UserId, session: &SessionId) -> Option<Arc<SessionQueue>> {
        lock(&self.0)
            .get(&(owner.clone(), session.clone()))?
            .upgrade()
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl Drop for SessionQueue {
    fn drop(&mut self) {
        let mut queues = lock(&self.queues);
        // Another queue may have taken the place between the last use of this one and now.
        if queues
            .get(&self.key)
            .is_some_and(|queue| queue.strong_count() == 0)
        {
            queues.remove(&self.key);
        }
    }
}

impl SessionQueue {
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.turns).running.is_some()
    }

    pub(super) fn waiting(&self) -> usize {
        lock(&self.turns).waiting.len()
    }

    /// Gives the turn back when it may begin now; otherwise it waits.
    pub(super) fn enter(&self, turn: PendingTurn) -> Option<PendingTurn> {
        let mut turns = lock(&self.turns);
        if turns.running.is_some() {
            turns.waiting.push_back(turn);
            return None;
        }
        turns.running = Some(turn.stop.clone());
        Some(turn)
    }

    /// The running turn has ended: the next one, if any, may begin.
    pub(super) fn next(&self) -> Option<PendingTurn> {
        let mut turns = lock(&self.turns);
        let next = turns.waiting.pop_front();
        turns.running = next.as_ref().map(|turn| turn.stop.clone());
        next
    }

    /// Stops the running turn and those that wait; `false` when there is none.
    pub(super) fn stop(&self) -> bool {
        let turns = lock(&self.turns);
        for turn in &turns.waiting {
            turn.stop.cancel();
        }
        turns
            .running
            .as_ref()
            .inspect(|running| running.cancel())
            .is_some()
    }
}
