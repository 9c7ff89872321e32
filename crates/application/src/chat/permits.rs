//! Which turn is at work next: users take turns, however many turns each has waiting.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use majordomo_domain::UserId;
use tokio::sync::oneshot;

/// Lets a number of turns work at the same time. A free place goes to the user with the fewest turns at work, among
/// equals to the one served longest ago; within a user to the turn that has waited longest.
pub(super) struct TurnPermits(Mutex<State>);

struct State {
    free: usize,
    most_per_user: usize,
    users: HashMap<UserId, UserTurns>,
    /// Counts up with every permit given.
    served: u64,
    /// Names the next waiter.
    next: u64,
}

#[derive(Default)]
struct UserTurns {
    at_work: usize,
    waiting: VecDeque<Waiter>,
    /// `served` when the user last got a permit; 0 for one who has none and waited for none a moment ago.
    served: u64,
}

struct Waiter {
    name: u64,
    wake: oneshot::Sender<Permit>,
}

/// The right to work, until it is dropped.
pub(super) struct Permit {
    permits: Arc<TurnPermits>,
    user: UserId,
}

/// A place among those who wait, given up when it is dropped.
struct Waiting<'a> {
    permits: &'a TurnPermits,
    user: &'a UserId,
    name: u64,
}

impl TurnPermits {
    /// `most` turns in all; as many for each user until [`limit_users`](Self::limit_users) says otherwise.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: most,
            most_per_user: most,
            users: HashMap::new(),
            served: 0,
            next: 0,
        })))
    }

    pub(super) fn limit_users(self: &Arc<Self>, most: usize) {
        self.state().most_per_user = most.max(1);
        self.serve();
    }

    /// Waits until a turn of `user` may work. Giving up waiting is no harm.
    pub(super) async fn acquire(self: &Arc<Self>, user: &UserId) -> Permit {
        let (waiting, permit) = {
            let mut state = self.state();
            if state.may_begin(user) {
                state.begin(user);
                return self.permit(user);
            }
            let (wake, permit) = oneshot::channel();
            let name = state.next;
            state.next += 1;
            let turns = state.users.entry(user.clone()).or_default();
            turns.waiting.push_back(Waiter { name, wake });
            let waiting = Waiting {
                permits: self,
                user,
                name,
            };
            (waiting, permit)
        };
        let permit = permit.await;
        drop(waiting);
        match permit {
            Ok(permit) => permit,
            // Waiters are only dropped unserved with those who wait.
            Err(_) => std::future::pending().await,
        }
    }

    /// Turns at work, and turns that wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state();
        let users = || state.users.values();
        (
            users().map(|turns| turns.at_work).sum(),
            users().map(|turns| turns.waiting.len()).sum(),
        )
    }

    fn permit(self: &Arc<Self>, user: &UserId) -> Permit {
        Permit {
            permits: self.clone(),
            user: user.clone(),
        }
    }

    /// Gives free places to those who wait.
    fn serve(self: &Arc<Self>) {
        while let Some((user, wake)) = self.next_served() {
            // One who has just gone gives the permit back by dropping it.
            let _ = wake.send(self.permit(&user));
        }
    }

    fn next_served(&self) -> Option<(UserId, oneshot::Sender<Permit>)> {
        let mut state = self.state();
        let user = state.next_user()?;
        let waiter = state.users.get_mut(&user)?.waiting.pop_front()?;
        state.begin(&user);
        Some((user, waiter.wake))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A free place is taken at once only by one whom nobody precedes: whoever waits while there is one may not begin.
    fn may_begin(&self, user: &UserId) -> bool {
        let turns = self.users.get(user);
        self.free > 0
            && turns
                .is_none_or(|turns| turns.at_work < self.most_per_user && turns.waiting.is_empty())
    }

    fn begin(&mut self, user: &UserId) {
        self.free -= 1;
        self.served += 1;
        let served = self.served;
        let turns = self.users.entry(user.clone()).or_default();
        turns.at_work += 1;
        turns.served = served;
    }

    fn end(&mut self, user: &UserId) {
        self.free += 1;
        if let Some(turns) = self.users.get_mut(user) {
            turns.at_work -= 1;
        }
        self.forget_idle(user);
    }

    fn next_user(&self) -> Option<UserId> {
        if self.free == 0 {
            return None;
        }
        let waiting = self
            .users
            .iter()
            .filter(|(_, turns)| !turns.waiting.is_empty() && turns.at_work < self.most_per_user);
        let next = waiting.min_by_key(|(_, turns)| (turns.at_work, turns.served));
        next.map(|(user, _)| user.clone())
    }

    fn forget_idle(&mut self, user: &UserId) {
        let idle = |turns: &UserTurns| turns.at_work == 0 && turns.waiting.is_empty();
        if self.users.get(user).is_some_and(idle) {
            self.users.remove(user);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.state().end(&self.user);
        self.permits.serve();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.permits.state();
        if let Some(turns) = state.users.get_mut(self.user) {
            turns.waiting.retain(|waiter| waiter.name != self.name);
        }
        state.forget_idle(self.user);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::time::timeout;

    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    /// Asks for a permit and says so once it has waited in line.
    async fn asks(
        permits: &Arc<TurnPermits>,
        name: &'static str,
    ) -> tokio::task::JoinHandle<Permit> {
        let before = permits.counts().1;
        let shared = permits.clone();
        let task = tokio::spawn(async move { shared.acquire(&user(name)).await });
        while permits.counts().1 == before && !task.is_finished() {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn whoever_comes_later_does_not_wait_for_everything_another_has_queued() {
        let permits = TurnPermits::new(1);
        let running = permits.acquire(&user("a")).await;
        let mut queued = Vec::new();
        for _ in 0..500 {
            queued.push(asks(&permits, "a").await);
        }
        let other = asks(&permits, "b").await;
        assert_eq!(permits.counts(), (1, 501));
        drop(running);
        let served = timeout(Duration::from_secs(1), other)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(permits.counts(), (1, 500));
        drop(served);
        timeout(Duration::from_secs(1), queued.remove(0))
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn users_who_are_always_busy_take_turns() {
        let permits = TurnPermits::new(1);
        let mut running = permits.acquire(&user("a")).await;
        let mut queued = Vec::new();
        for name in ["a", "a", "b", "b", "c"] {
            queued.push((name, asks(&permits, name).await));
        }
        let mut order = Vec::new();
        while !queued.is_empty() {
            drop(running);
            let (index, permit) = loop {
                tokio::task::yield_now().await;
                let done = queued.iter().position(|(_, task)| task.is_finished());
                if let Some(index) = done {
                    let (name, task) = queued.remove(index);
                    order.push(name);
                    break (index, task.await.unwrap());
                }
            };
            let _ = index;
            running = permit;
        }
        assert_eq!(order.len(), 5);
        assert!(
            order.iter().position(|name| *name == "c").unwrap() < 3,
            "{order:?}"
        );
        assert!(order[..3].contains(&"b"), "{order:?}");
    }

    #[tokio::test]
    async fn a_user_has_no_more_at_work_than_allowed() {
        let permits = TurnPermits::new(3);
        permits.limit_users(2);
        let first = permits.acquire(&user("a")).await;
        let _second = permits.acquire(&user("a")).await;
        assert!(permits.acquire(&user("a")).now_or_never().is_none());
        let _other = permits.acquire(&user("b")).await;
        drop(first);
        assert!(permits.acquire(&user("a")).now_or_never().is_some());
    }

    #[tokio::test]
    async fn giving_up_leaves_nothing_behind() {
        let permits = TurnPermits::new(1);
        let running = permits.acquire(&user("a")).await;
        let waits = asks(&permits, "b").await;
        waits.abort();
        assert!(waits.await.is_err());
        assert_eq!(permits.counts(), (1, 0));
        drop(running);
        assert_eq!(permits.counts(), (0, 0));
        assert!(permits.state().users.is_empty());
        assert!(permits.acquire(&user("c")).now_or_never().is_some());
    }
}
