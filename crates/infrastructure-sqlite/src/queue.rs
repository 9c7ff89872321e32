//! A bounded queue between async callers and database threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
        let mut state = self
            .changed
            .wait_while(self.state(), |state| {
                state.items.is_empty() && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
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
        queue.close();
        assert_eq!(queue.put(4), Err(Refused::Closed));
        assert_eq!(queue.take(8), Some(vec![2]));
        assert_eq!(queue.take(8), None);
    }
}
