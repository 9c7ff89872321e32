//! A bounded queue between async callers and database threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why nothing can be put into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// As many items wait as may.
    #[error("too many requests wait for the database")]
    Full,
    /// The store is closed.
    #[error("the database is closed")]
    Closed,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// Many put, many take. Taking blocks the thread, putting never does.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                closed: false,
            }),
            changed: Condvar::new(),
            capacity,
        }
    }

    pub(crate) fn put(&self, item: T) -> Result<(), Refused> {
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.items.len() >= self.capacity {
            return Err(Refused::Full);
        }
        state.items.push_back(item);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for items and takes up to `most` of them; `None` when the queue is closed and empty.
    pub(crate) fn take(&self, most: usize) -> Option<Vec<T>> {
        let state = self
            .changed
            .wait_while(self.state(), Self::is_waiting)
            .unwrap_or_else(PoisonError::into_inner);
        Self::drain(state, most)
    }

    /// Like [`take`](Self::take), but gives up after `idle` and then returns no items.
    pub(crate) fn take_within(&self, most: usize, idle: Duration) -> Option<Vec<T>> {
        let (state, waited) = self
            .changed
            .wait_timeout_while(self.state(), idle, Self::is_waiting)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Some(Vec::new());
        }
        Self::drain(state, most)
    }

    fn is_waiting(state: &mut State<T>) -> bool {
        state.items.is_empty() && !state.closed
    }

    fn drain(mut state: MutexGuard<'_, State<T>>, most: usize) -> Option<Vec<T>> {
        let count = most.min(state.items.len());
        let taken: Vec<T> = state.items.drain(..count).collect();
        (!taken.is_empty()).then_some(taken)
    }

    /// Refuses what comes from now on; what waits is still taken.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // The state is whole between any two statements above, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_and_a_closed_one_empties_first() {
        let queue = Queue::new(2);
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        assert_eq!(queue.put(3), Err(Refused::Full));
        assert_eq!(queue.take(1), Some(vec![1]));
        let idle = Duration::from_millis(1);
        assert_eq!(queue.take_within(1, idle), Some(vec![2]));
        assert_eq!(queue.take_within(1, idle), Some(vec![]));
        queue.put(2).unwrap();
        queue.close();
        assert_eq!(queue.put(4), Err(Refused::Closed));
        assert_eq!(queue.take(8), Some(vec![2]));
        assert_eq!(queue.take(8), None);
    }
}
