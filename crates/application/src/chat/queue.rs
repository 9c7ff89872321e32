//! One turn at a time per session: the others wait in order.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use majordomo_domain::{Message, Run, SessionId, UserId};
use tokio_util::sync::CancellationToken;

use crate::caller::Caller;
use crate::runs::RunLog;

/// An accepted turn that has not ended.
pub(super) struct PendingTurn {
    pub(super) run: Run,
    pub(super) caller: Caller,
    /// The user's message as it was stored.
    pub(super) message: Message,
    /// The model chosen for the session.
    pub(super) session_model: Option<String>,
    pub(super) log: Arc<RunLog>,
    pub(super) stop: CancellationToken,
    /// Events in the journal so far.
    pub(super) last_seq: u64,
}

type Key = (UserId, SessionId);

/// The sessions in which something runs.
#[derive(Default)]
pub(super) struct SessionQueues(Mutex<HashMap<Key, Arc<SessionQueue>>>);

/// The turns of one session.
#[derive(Default)]
pub(super) struct SessionQueue {
    /// Held while a turn is stored, so that turns run in the order they were stored in.
    pub(super) accepting: tokio::sync::Mutex<()>,
    turns: Mutex<Turns>,
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
        lock(&self.0)
            .entry((owner.clone(), session.clone()))
            .or_default()
            .clone()
    }

    pub(super) fn get(&self, owner: &UserId, session: &SessionId) -> Option<Arc<SessionQueue>> {
        lock(&self.0)
            .get(&(owner.clone(), session.clone()))
            .cloned()
    }

    /// Forgets an idle queue unless someone is about to use it.
    pub(super) fn forget(&self, owner: &UserId, session: &SessionId, queue: &Arc<SessionQueue>) {
        let mut queues = lock(&self.0);
        // One reference is the map's, one is `queue`; whoever wants another must take the map's lock.
        if Arc::strong_count(queue) == 2 && queue.is_idle() {
            queues.remove(&(owner.clone(), session.clone()));
        }
    }

    /// Stops everything that runs or waits.
    pub(super) fn stop_all(&self) {
        let queues: Vec<_> = lock(&self.0).values().cloned().collect();
        for queue in queues {
            queue.stop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl SessionQueue {
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.turns).running.is_some()
    }

    fn is_idle(&self) -> bool {
        let turns = lock(&self.turns);
        turns.running.is_none() && turns.waiting.is_empty()
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
