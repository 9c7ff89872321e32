//! Storage of sessions and their messages, and search over them.

use async_trait::async_trait;
use majordomo_domain::{
    AuditRecord, Message, MessageId, Role, Session, SessionId, SessionTitle, Timestamp, UserId,
};

use super::RepositoryError;

/// Which messages of a session to read: the newest `limit` with a position below `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageWindow {
    /// Only messages with a smaller `seq`; `None` starts at the newest.
    pub before: Option<u64>,
    /// At most this many.
    pub limit: u32,
}

impl MessageWindow {
    /// The newest `limit` messages.
    pub const fn newest(limit: u32) -> Self {
        Self {
            before: None,
            limit,
        }
    }
}

/// A full-text search over the owner's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// Plain words as a person types them. MUST be treated as text: no query syntax reaches the index.
    pub text: String,
    /// At most this many hits.
    pub limit: u32,
}

/// One message that matches.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    /// The session it belongs to.
    pub session: SessionId,
    /// That session's title.
    pub title: String,
    /// That session's channel name.
    pub channel: String,
    /// When that session was last active.
    pub last_activity: Timestamp,
    /// The message.
    pub message: MessageId,
    /// Who said it.
    pub role: Role,
    /// The part of the text around the first match, at most 200 characters, cut on character boundaries.
    pub snippet: String,
    /// Where the query's words stand in `snippet`, as `(start, end)` in characters, in order, not overlapping.
    pub highlights: Vec<(usize, usize)>,
    /// When it was said.
    pub created_at: Timestamp,
    /// Larger is better; comparable within one answer only.
    pub score: f64,
}

impl SearchHit {
    /// The message of the session, with what is shown of it and how well it matches.
    pub fn of(
        session: &Session,
        message: &Message,
        (snippet, highlights): (String, Vec<(usize, usize)>),
        score: f64,
    ) -> Self {
        Self {
            session: session.id.clone(),
            title: session.title.as_str().to_owned(),
            channel: session.channel.as_str().to_owned(),
            last_activity: session.updated_at,
            message: message.id.clone(),
            role: message.role,
            snippet,
            highlights,
            created_at: message.created_at,
            score,
        }
    }
}

/// A conversation of another system, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedConversation {
    /// The session; its counts and the time of its last activity are made of the messages.
    pub session: Session,
    /// What was said, in order, with the times it was said at. Their positions are given by storage.
    pub messages: Vec<Message>,
}

/// Stores sessions and reads their messages. Every method sees the owner's rows only: another owner's session does
/// not exist. Messages of conversations held here are written by the [`RunJournal`](super::RunJournal).
#[async_trait]
pub trait SessionRepository: Send + Sync {
    /// The session, or `None`.
    async fn find(
        &self,
        owner: &UserId,
        id: &SessionId,
    ) -> Result<Option<Session>, RepositoryError>;
    /// The owner's sessions, last active first, at most `limit` after skipping `offset`, and the count of all.
    async fn list(
        &self,
        owner: &UserId,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<Session>, u64), RepositoryError>;
    /// Replaces the title; `false` when there is no such session.
    async fn rename(
        &self,
        owner: &UserId,
        id: &SessionId,
        title: &SessionTitle,
    ) -> Result<bool, RepositoryError>;
    /// Sets or clears the session's own model; `false` when there is no such session.
    async fn set_model(
        &self,
        owner: &UserId,
        id: &SessionId,
        model: Option<&str>,
    ) -> Result<bool, RepositoryError>;
    /// Deletes the session with its messages, runs and journals, and appends `record` to the audit log, in one
    /// transaction; `false`, and nothing appended, when there is none. MUST leave nothing of it in the search index.
    async fn delete(
        &self,
        owner: &UserId,
        id: &SessionId,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
    /// Deletes the session's messages, runs and journals, keeps the session and appends `record` to the audit log, in
    /// one transaction; `false`, and nothing appended, when there is none.
    async fn clear(
        &self,
        owner: &UserId,
        id: &SessionId,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError>;
    /// A window of the session's messages, oldest first; empty when there is no such session.
    async fn messages(
        &self,
        owner: &UserId,
        id: &SessionId,
        window: MessageWindow,
    ) -> Result<Vec<Message>, RepositoryError>;
    /// Stores a conversation of another system, in one transaction, and names the messages that are new; without
    /// messages it begins the session, unless it is there. Messages whose
    /// ids are there stay as they are; the others take the positions behind the last one. A session that is there keeps
    /// its title and its model; its last activity moves forward only. `at` is now: what reads sessions by the time of
    /// their change MUST find it by `at`, unless nothing was new. MUST have reached the disk when it answers.
    async fn import(
        &self,
        conversation: &ImportedConversation,
        at: Timestamp,
    ) -> Result<Vec<MessageId>, RepositoryError>;
    /// The owner's messages that hold the query's words (every word; prefixes match for the last), best first.
    /// MUST stay fast at 1,000,000 messages: where very many match, only the newest candidates are ranked.
    async fn search(
        &self,
        owner: &UserId,
        query: &SearchQuery,
    ) -> Result<Vec<SearchHit>, RepositoryError>;
}
