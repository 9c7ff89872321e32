//! Identifiers that a test can foresee.

use std::sync::atomic::{AtomicU64, Ordering};

use majordomo_application::ports::IdGenerator;
use majordomo_domain::{ApiKeyId, MemoryId, MessageId, RunId, SessionId, UserId};

/// Counts from 1, each kind of identifier by itself: `message-1`, `message-2`, `run-1`. API key ids and short session ids
/// have the lengths of real ones; the `n`th secret is `n` as 32 big-endian bytes.
#[derive(Debug, Default)]
pub struct SequentialIds {
    sessions: AtomicU64,
    messages: AtomicU64,
    memories: AtomicU64,
    runs: AtomicU64,
    keys: AtomicU64,
    users: AtomicU64,
    secrets: AtomicU64,
}

impl SequentialIds {
    /// A generator whose next identifier of every kind is the first.
    pub fn new() -> Self {
        Self::default()
    }
}

fn next(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::SeqCst) + 1
}

#[expect(
    clippy::unwrap_used,
    reason = "letters, digits and hyphens are always an identifier"
)]
impl IdGenerator for SequentialIds {
    fn session_id(&self) -> SessionId {
        SessionId::parse(format!("session-{}", next(&self.sessions))).unwrap()
    }

    fn short_session_id(&self) -> SessionId {
        SessionId::parse(format!("{:012x}", next(&self.sessions))).unwrap()
    }

    fn message_id(&self) -> MessageId {
        MessageId::parse(format!("message-{}", next(&self.messages))).unwrap()
    }

    fn run_id(&self) -> RunId {
        RunId::parse(format!("run-{}", next(&self.runs))).unwrap()
    }

    fn memory_id(&self) -> MemoryId {
        MemoryId::parse(format!("memory-{}", next(&self.memories))).unwrap()
    }

    fn api_key_id(&self) -> ApiKeyId {
        ApiKeyId::parse(format!("{:016x}", next(&self.keys))).unwrap()
    }

    fn user_id(&self) -> UserId {
        UserId::parse(format!("user-{}", next(&self.users))).unwrap()
    }

    fn secret(&self) -> [u8; 32] {
        let mut secret = [0; 32];
        let number = next(&self.secrets).to_be_bytes();
        for (to, from) in secret.iter_mut().rev().zip(number.into_iter().rev()) {
            *to = from;
        }
        secret
    }
}
