//! A clock that moves only when it is told to.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use majordomo_application::ports::Clock;
use majordomo_domain::Timestamp;

use crate::builders::at;

/// Stands still at a time the test chooses.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    /// Shows `now` from here on.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        let forward = |now| Some(Timestamp::from_micros(now).plus(by).as_micros());
        // Never fails: `forward` always has a next value.
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, forward);
    }
}

impl Default for FixedClock {
    /// Shows [`at(0)`](at).
    fn default() -> Self {
        Self::new(at(0))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
