//! How often a password may be tried: by account and address together, by address, and by account, each with growing
//! pauses. The three bounds slow down guessing one password, guessing many, and guessing from many places, without one
//! stranger being able to lock an owner out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomo_domain::Timestamp;

/// Attempts without a pause, for one account from one address.
const FREE_BOTH: u32 = 5;
/// Attempts without a pause, for all accounts from one address.
const FREE_ADDRESS: u32 = 30;
/// Attempts without a pause, for one account from all addresses.
const FREE_ACCOUNT: u32 = 100;
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(15);
/// Attempts older than this are forgotten.
const MEMORY: Duration = Duration::from_hours(1);
/// Counters remembered at most.
const CAPACITY: usize = 30_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Both(String, IpAddr),
    Address(IpAddr),
    Account(String),
}

#[derive(Debug, Clone, Copy)]
struct Attempts {
    count: u32,
    last: Timestamp,
}

impl Attempts {
    /// The end of the pause.
    fn open_at(self, free: u32) -> Timestamp {
        match self.count.checked_sub(free) {
            None => self.last,
            Some(beyond) => {
                let pause = Duration::from_secs(1 << beyond.min(20)).min(LONGEST);
                self.last.plus(pause)
            }
        }
    }
}

/// Counts attempts to sign in. An attempt counts from its beginning, so that many at once are no way around.
#[derive(Default)]
pub(super) struct LoginThrottle {
    attempts: Mutex<HashMap<Subject, Attempts>>,
}

/// An attempt that is under way. It stays counted unless it [`succeeded`](LoginThrottle::succeeded).
pub(super) struct Attempt {
    account: String,
    address: IpAddr,
}

impl LoginThrottle {
    /// Begins an attempt; the error is the time to wait. `account` is the folded name, whether or not it exists.
    pub(super) fn begin(
        &self,
        account: String,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        let attempt = Attempt {
            account,
            address: network_of(address),
        };
        let mut attempts = self.lock();
        let wait = attempt
            .subjects()
            .iter()
            .filter_map(|(subject, free)| Some(attempts.get(subject)?.open_at(*free).since(now)))
            .max();
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        make_room(&mut attempts, now);
        for (subject, _) in attempt.subjects() {
            let entry = attempts.entry(subject).or_insert(Attempts {
                count: 0,
                last: now,
            });
            if now.since(entry.last) > MEMORY {
                entry.count = 0;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
        }
        Ok(attempt)
    }

    /// The password was right: what was tried from this address for this account is forgiven.
    pub(super) fn succeeded(&self, attempt: &Attempt) {
        let mut attempts = self.lock();
        for (subject, _) in attempt.subjects() {
            if let Subject::Both(..) = subject {
                attempts.remove(&subject);
            } else if let Some(entry) = attempts.get_mut(&subject) {
                entry.count = entry.count.saturating_sub(1);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Attempts>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// What is counted, each with how often it is free.
    fn subjects(&self) -> [(Subject, u32); 3] {
        [
            (Subject::Both(self.account.clone(), self.address), FREE_BOTH),
            (Subject::Address(self.address), FREE_ADDRESS),
            (Subject::Account(self.account.clone()), FREE_ACCOUNT),
        ]
    }
}

/// Forgets what is old, and everything when that is not enough: memory stays bounded under an attack.
fn make_room(attempts: &mut HashMap<Subject, Attempts>, now: Timestamp) {
    if attempts.len() + 3 > CAPACITY {
        attempts.retain(|_, entry| now.since(entry.last) <= MEMORY);
    }
    if attempts.len() + 3 > CAPACITY {
        // What has cost the most attempts is what must be remembered.
        attempts.retain(|_, entry| entry.count > FREE_BOTH);
    }
    if attempts.len() + 3 > CAPACITY {
        attempts.clear();
    }
}

/// An IPv6 subscriber has a network of 64 bits; requests without an address share one bucket.
fn network_of(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(v6)) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        Some(v4) => v4,
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn from(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn guessing_one_password_meets_growing_pauses() {
        let throttle = LoginThrottle::default();
        let attempt = |at| throttle.begin("alice".to_owned(), Some(from(1)), secs(at));
        for _ in 0..FREE_BOTH {
            assert!(attempt(0).is_ok());
        }
        assert_eq!(attempt(0).err(), Some(Duration::from_secs(1)));
        assert!(attempt(1).is_ok());
        assert_eq!(attempt(1).err(), Some(Duration::from_secs(2)));
        assert!(attempt(3).is_ok());
        assert_eq!(attempt(3).err(), Some(Duration::from_secs(4)));
        // Somebody else, from elsewhere, is not in the way.
        assert!(
            throttle
                .begin("alice".to_owned(), Some(from(2)), secs(3))
                .is_ok()
        );
        assert!(
            throttle
                .begin("bob".to_owned(), Some(from(1)), secs(3))
                .is_ok()
        );
        // A day later all is forgotten.
        assert!(attempt(86_400).is_ok());
        assert!(attempt(86_400).is_ok());
    }

    #[test]
    fn one_address_cannot_try_many_accounts() {
        let throttle = LoginThrottle::default();
        let refused = (0..100)
            .filter(|n| {
                throttle
                    .begin(format!("user-{n}"), Some(from(1)), secs(0))
                    .is_err()
            })
            .count();
        assert_eq!(refused, 100 - FREE_ADDRESS as usize);
    }

    #[test]
    fn one_account_cannot_be_tried_from_everywhere() {
        let throttle = LoginThrottle::default();
        let refused = (0..200)
            .filter(|n| {
                throttle
                    .begin("alice".to_owned(), Some(from(*n)), secs(0))
                    .is_err()
            })
            .count();
        assert_eq!(refused, 200 - FREE_ACCOUNT as usize);
    }

    #[test]
    fn success_forgives() {
        let throttle = LoginThrottle::default();
        for _ in 0..10 * FREE_BOTH {
            let attempt = throttle.begin("alice".to_owned(), Some(from(1)), secs(0));
            throttle.succeeded(&attempt.unwrap());
        }
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = LoginThrottle::default();
        for n in 0..40_000u32 {
            let address = IpAddr::V4(n.into());
            let _ = throttle.begin(n.to_string(), Some(address), secs(0));
        }
        assert!(throttle.lock().len() <= CAPACITY);
    }
}
