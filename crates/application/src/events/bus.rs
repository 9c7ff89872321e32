//! Which user is told what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomo_domain::UserId;

use super::SystemEventKind;
use super::ring::{EventStream, Ring};
use crate::ports::Clock;

/// How long a user's events are kept after the last reader left, for clients that come back.
const KEPT_FOR: Duration = Duration::from_mins(10);
/// Users whose events are kept without a reader at most.
const KEPT_USERS: usize = 256;

/// The events of every user who listens, or did so a moment ago. For all others nothing is kept, and telling them costs
/// next to nothing.
pub struct EventBus {
    clock: Arc<dyn Clock>,
    rings: Mutex<Rings>,
    /// Whether there is any ring; a wrong answer for a moment does no harm.
    any: AtomicBool,
}

#[derive(Default)]
struct Rings {
    by_user: HashMap<UserId, Arc<Ring>>,
    closed: bool,
}

impl EventBus {
    /// A bus nobody listens to.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            rings: Mutex::default(),
            any: AtomicBool::new(false),
        }
    }

    /// Whether anyone listens, or did so a moment ago.
    pub fn is_used(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Tells the clients of `user`.
    pub fn publish(&self, user: &UserId, kind: SystemEventKind) {
        if !self.is_used() {
            return;
        }
        let mut rings = self.rings();
        let Some(ring) = rings.by_user.get(user).cloned() else {
            return;
        };
        if self.is_stale(&ring) {
            rings.by_user.remove(user);
            self.any.store(!rings.by_user.is_empty(), Ordering::Relaxed);
            return;
        }
        drop(rings);
        ring.push(kind);
    }

    /// Tells the clients of every user what concerns all of them.
    pub fn broadcast(&self, kind: &SystemEventKind) {
        let rings: Vec<_> = self.rings().by_user.values().cloned().collect();
        for ring in rings {
            ring.push(kind.clone());
        }
    }

    /// The events of `user` above `after`, as far as they are held; from now on when `after` is `None`. Who asks MUST
    /// have made sure that it is the user's own client.
    pub(crate) fn listen(&self, user: &UserId, after: Option<u64>) -> EventStream {
        let mut rings = self.rings();
        self.forget_idle(&mut rings);
        let ring = rings
            .by_user
            .entry(user.clone())
            .or_insert_with(|| Arc::new(Ring::new(self.clock.clone())))
            .clone();
        if rings.closed {
            ring.close();
        }
        self.any.store(true, Ordering::Relaxed);
        // Still under the lock: a ring with a reader is not forgotten.
        ring.read_after(after)
    }

    /// Ends all streams: the server shuts down.
    pub fn close(&self) {
        let mut rings = self.rings();
        rings.closed = true;
        for ring in rings.by_user.values() {
            ring.close();
        }
    }

    fn is_stale(&self, ring: &Ring) -> bool {
        ring.idle_since()
            .is_some_and(|since| self.clock.now().since(since) >= KEPT_FOR)
    }

    /// Forgets the events of users who left long ago, and of those who left first when there are too many.
    fn forget_idle(&self, rings: &mut Rings) {
        let now = self.clock.now();
        let mut idle: Vec<_> = rings
            .by_user
            .iter()
            .filter_map(|(user, ring)| Some((ring.idle_since()?, user.clone())))
            .collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        let surplus = idle.len().saturating_sub(KEPT_USERS);
        for (place, (since, user)) in idle.into_iter().enumerate() {
            if place < surplus || now.since(since) >= KEPT_FOR {
                rings.by_user.remove(&user);
            }
        }
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
