//! How many turns may be accepted and not ended, in all and for each user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use majordomo_domain::UserId;

/// Turns that were turned away since the process began, by what was full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TurnedAway {
    /// The server's queue.
    pub server: u64,
    /// A user's.
    pub user: u64,
    /// A session's.
    pub session: u64,
}

/// Counts accepted turns. What is refused here has cost nothing yet.
pub(super) struct Admission {
    counts: Mutex<Counts>,
    most: usize,
}

struct Counts {
    all: usize,
    most_per_user: usize,
    by_user: HashMap<UserId, usize>,
    turned_away: TurnedAway,
}

/// The place of an accepted turn, until it is dropped.
pub(super) struct Slot {
    admission: Arc<Admission>,
    user: UserId,
}

/// Why no turn is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crowded {
    /// The user has too many.
    User,
    /// The server has too many.
    Server,
}

impl Admission {
    /// `most` turns in all; as many for each user until [`limit_users`](Self::limit_users) says otherwise.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            counts: Mutex::new(Counts {
                all: 0,
                most_per_user: most,
                by_user: HashMap::new(),
                turned_away: TurnedAway::default(),
            }),
        })
    }

    pub(super) fn limit_users(&self, most: usize) {
        self.counts().most_per_user = most.max(1);
    }

    pub(super) fn admit(self: &Arc<Self>, user: &UserId) -> Result<Slot, Crowded> {
        let mut counts = self.counts();
        if counts.all >= self.most {
            counts.turned_away.server += 1;
            return Err(Crowded::Server);
        }
        let of_user = counts.by_user.get(user).copied().unwrap_or_default();
        if of_user >= counts.most_per_user {
            counts.turned_away.user += 1;
            return Err(Crowded::User);
        }
        counts.all += 1;
        counts.by_user.insert(user.clone(), of_user + 1);
        Ok(Slot {
            admission: self.clone(),
            user: user.clone(),
        })
    }

    /// Accepted turns that have not ended.
    pub(super) fn len(&self) -> usize {
        self.counts().all
    }

    /// Notes that a session's queue was full.
    pub(super) fn note_full_session(&self) {
        self.counts().turned_away.session += 1;
    }

    pub(super) fn turned_away(&self) -> TurnedAway {
        self.counts().turned_away
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.all = counts.all.saturating_sub(1);
        if let Some(of_user) = counts.by_user.get_mut(&self.user) {
            *of_user -= 1;
            if *of_user == 0 {
                counts.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_all_places() {
        let user = |name: &str| UserId::parse(name).unwrap();
        let admission = Admission::new(3);
        admission.limit_users(2);
        let first = admission
            .admit(&user("a"))
            .unwrap_or_else(|_| unreachable!());
        let _second = admission
            .admit(&user("a"))
            .unwrap_or_else(|_| unreachable!());
        assert_eq!(admission.admit(&user("a")).err(), Some(Crowded::User));
        let _third = admission
            .admit(&user("b"))
            .unwrap_or_else(|_| unreachable!());
        assert_eq!(admission.admit(&user("b")).err(), Some(Crowded::Server));
        drop(first);
        assert_eq!(admission.len(), 2);
        admission.note_full_session();
        let expected = TurnedAway {
            server: 1,
            user: 1,
            session: 1,
        };
        assert_eq!(admission.turned_away(), expected);
        assert!(admission.admit(&user("a")).is_ok());
    }
}
