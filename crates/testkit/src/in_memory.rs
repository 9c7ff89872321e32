//! All storage ports over one state in memory. Correct rather than fast: it is what the databases are compared with.

mod api_keys;
mod audit;
mod journal;
mod memories;
mod oauth;
mod search;
mod self_audit;
mod sessions;
mod settings;
mod usage;
mod users;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use majordomo_application::ports::api_key_repository::Digest;
use majordomo_application::ports::settings_repository::StoredSetting;
use majordomo_application::ports::{
    RepositoryError, StorageHealth, StorageStatus, UserWithPassword,
};
use majordomo_domain::{
    ApiKey, Message, Run, RunEvent, RunId, SelfAuditReport, Session, SessionId, Timestamp, UserId,
};

/// A store that lives as long as the test. Every method is one step under one lock, so it is a transaction.
#[derive(Default)]
pub struct InMemoryStore {
    state: Mutex<State>,
    compares_vectors: bool,
}

#[derive(Default)]
struct State {
    conversations: BTreeMap<(UserId, SessionId), Conversation>,
    journals: BTreeMap<RunId, Journal>,
    keys: BTreeMap<Digest, ApiKey>,
    users: BTreeMap<UserId, UserWithPassword>,
    audit: audit::Log,
    self_audit: BTreeMap<String, SelfAuditReport>,
    oauth: oauth::Grants,
    books: usage::Books,
    remembered: memories::Remembered,
    settings: BTreeMap<(UserId, String), StoredSetting>,
    /// Whether the journal was written and not flushed since.
    unflushed: bool,
}

/// A session and what was said in it.
struct Conversation {
    session: Session,
    /// Position of the newest message there ever was: clearing does not free positions.
    last_seq: u64,
    messages: Vec<Message>,
    /// When messages were last imported into it.
    imported_at: Option<Timestamp>,
}

/// A run and what happened in it.
struct Journal {
    run: Run,
    events: Vec<RunEvent>,
}

impl InMemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether all that stands in the journal would outlive the machine.
    pub fn is_flushed(&self) -> bool {
        !self.state().unflushed
    }

    /// The same that compares vectors, too.
    #[must_use]
    pub const fn comparing_vectors(mut self) -> Self {
        self.compares_vectors = true;
        self
    }

    /// The state. A test that panicked while it held the lock has failed already, so its poison is ignored.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn conversation(&self, owner: &UserId, id: &SessionId) -> Option<&Conversation> {
        self.conversations.get(&(owner.clone(), id.clone()))
    }

    fn conversation_mut(&mut self, owner: &UserId, id: &SessionId) -> Option<&mut Conversation> {
        self.conversations.get_mut(&(owner.clone(), id.clone()))
    }

    /// Forgets the runs of a session.
    fn forget_runs(&mut self, owner: &UserId, session: &SessionId) {
        self.journals
            .retain(|_, j| j.run.owner != *owner || j.run.session != *session);
    }
}

impl Conversation {
    /// Stores a message at the next position, which is returned.
    fn push(&mut self, message: Message) -> u64 {
        self.last_seq += 1;
        self.session.message_count += 1;
        self.session.updated_at = message.created_at;
        let seq = self.last_seq;
        self.messages.push(Message { seq, ..message });
        seq
    }
}

impl Journal {
    /// Appends all of `events` or none: `Conflict` unless they follow the stored ones without gap.
    fn append(&mut self, events: Vec<RunEvent>) -> Result<(), RepositoryError> {
        let next = self.events.last().map_or(1, |last| last.seq + 1);
        if (next..).zip(&events).any(|(seq, event)| event.seq != seq) {
            return Err(RepositoryError::Conflict);
        }
        self.events.extend(events);
        Ok(())
    }
}

/// A limit or offset as a number of items.
fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[async_trait]
impl StorageHealth for InMemoryStore {
    async fn check(&self) -> Result<StorageStatus, RepositoryError> {
        let state = self.state();
        let texts = state.conversations.values().flat_map(|c| &c.messages);
        let bytes: usize = texts.map(|message| message.text.len()).sum();
        Ok(StorageStatus {
            backend: "memory",
            size_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        })
    }
}
