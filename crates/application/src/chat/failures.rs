//! The turns that failed a moment ago, for those who look at what the agent does.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomo_domain::{Run, Timestamp, UserId};

/// Failures remembered at most, over all users.
const HELD: usize = 256;
/// How long a failure is told of.
const TOLD_FOR: Duration = Duration::from_mins(1);

/// A turn that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) run: Run,
    /// Why, in words fit for the user.
    pub(crate) words: String,
    pub(crate) at: Timestamp,
}

/// The latest failures, oldest first.
#[derive(Default)]
pub(super) struct Failures(Mutex<VecDeque<Failure>>);

impl Failures {
    pub(super) fn note(&self, failure: Failure) {
        let mut held = self.held();
        if held.len() == HELD {
            held.pop_front();
        }
        held.push_back(failure);
    }

    /// The user's failures of the last minute: the latest of each session.
    pub(super) fn of(&self, user: &UserId, now: Timestamp) -> Vec<Failure> {
        let mut found: Vec<Failure> = Vec::new();
        for failure in self.held().iter().rev() {
            if now.since(failure.at) >= TOLD_FOR {
                break;
            }
            let known = |known: &Failure| known.run.session == failure.run.session;
            if failure.run.owner == *user && !found.iter().any(known) {
                found.push(failure.clone());
            }
        }
        found
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use majordomo_domain::{MessageId, RunId, RunKind, RunOptions, RunStatus, SessionId};

    use super::*;

    fn failure(owner: &str, session: &str, words: &str, secs: i64) -> Failure {
        Failure {
            run: Run {
                id: RunId::parse("run").unwrap(),
                owner: UserId::parse(owner).unwrap(),
                kind: RunKind::ChatTurn,
                session: SessionId::parse(session).unwrap(),
                message: MessageId::parse("message").unwrap(),
                options: RunOptions::default(),
                status: RunStatus::Failed,
                created_at: Timestamp::EPOCH,
                finished_at: None,
            },
            words: words.to_owned(),
            at: at(secs),
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_micros(secs * 1_000_000)
    }

    #[test]
    fn the_latest_of_each_session_is_told_for_a_minute_to_its_user() {
        let failures = Failures::default();
        failures.note(failure("a", "s", "old", 0));
        failures.note(failure("a", "s", "first", 60));
        failures.note(failure("b", "s", "other", 61));
        failures.note(failure("a", "s", "second", 62));
        failures.note(failure("a", "t", "third", 63));
        let words = |secs| -> Vec<String> {
            let user = UserId::parse("a").unwrap();
            let told = failures.of(&user, at(secs)).into_iter();
            told.map(|failure| failure.words).collect()
        };
        assert_eq!(words(64), ["third", "second"]);
        assert_eq!(words(122), ["third"]);
        assert!(words(123).is_empty());
    }

    #[test]
    fn they_do_not_pile_up() {
        let failures = Failures::default();
        for number in 0..300 {
            failures.note(failure("a", &format!("s{number}"), "x", 0));
        }
        assert_eq!(failures.held().len(), HELD);
    }
}
