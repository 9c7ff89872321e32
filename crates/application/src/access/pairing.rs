//! Pairing tokens: shown as a QR code, each logs one device in, once, within a minute.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use majordomo_domain::{Timestamp, UserId};

use super::digest::sha256;
use crate::ports::api_key_repository::Digest;

/// How long a pairing token works.
pub(super) const LIFETIME: Duration = Duration::from_mins(1);
/// Tokens that wait to be used at most; more are made only by somebody who never scans one.
const CAPACITY: usize = 1000;

/// Who a device becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Paired {
    /// The operator, by a session token.
    Operator,
    /// This user, by a login token, while their tokens have this version.
    User(UserId, u32),
}

/// The tokens that wait to be used. They are kept in memory only: a restart ends them.
#[derive(Default)]
pub(super) struct PairingTokens {
    waiting: Mutex<HashMap<Digest, (Timestamp, Paired)>>,
}

impl PairingTokens {
    /// Remembers a token made of `secret`. Its form is a session token's, which clients pass on unread.
    pub(super) fn issue(&self, secret: &str, paired: Paired, now: Timestamp) -> String {
        let expires_at = now.plus(LIFETIME);
        let token = format!("{}:{secret}", expires_at.as_secs());
        let mut waiting = self.lock();
        if waiting.len() >= CAPACITY {
            waiting.retain(|_, (end, _)| now < *end);
        }
        if waiting.len() >= CAPACITY {
            waiting.clear();
        }
        waiting.insert(sha256(&token), (expires_at, paired));
        token
    }

    /// Whether a token of this digest waits; it goes on waiting.
    pub(super) fn is_waiting(&self, digest: &Digest) -> bool {
        self.lock().contains_key(digest)
    }

    /// Uses a token up.
    pub(super) fn take(&self, digest: &Digest, now: Timestamp) -> Option<Paired> {
        let (end, paired) = self.lock().remove(digest)?;
        (now < end).then_some(paired)
    }

    /// Ends all tokens.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, (Timestamp, Paired)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_once_and_for_a_minute() {
        let (tokens, start) = (PairingTokens::default(), Timestamp::from_secs(100));
        let token = tokens.issue("a", Paired::Operator, start);
        assert_eq!(token, "160:a");
        let digest = sha256(&token);
        let in_time = Timestamp::from_secs(159);
        assert_eq!(tokens.take(&digest, in_time), Some(Paired::Operator));
        assert_eq!(tokens.take(&digest, in_time), None);
        let late = sha256(&tokens.issue("b", Paired::Operator, start));
        assert_eq!(tokens.take(&late, Timestamp::from_secs(160)), None);
    }

    #[test]
    fn the_tokens_that_wait_are_bounded() {
        let tokens = PairingTokens::default();
        for number in 0..3 * CAPACITY {
            tokens.issue(
                &number.to_string(),
                Paired::Operator,
                Timestamp::from_secs(0),
            );
        }
        assert!(tokens.lock().len() <= CAPACITY);
    }
}
