//! The caller's sessions.

mod import;
mod within;

use std::sync::Arc;

use majordomo_domain::{Message, Role, Scope, Session, SessionId, SessionTitle};

use super::error::ChatError;
use super::service::ChatService;
use crate::caller::Caller;
use crate::error::FieldError;
use crate::ports::{
    AuditLog, IdGenerator, MessageWindow, SearchHit, SearchQuery, SessionRepository,
};

pub use import::{ImportedSession, MAX_MESSAGE_CHARS, MAX_MESSAGES, NewConversation, NewMessage};

/// Sessions or hits given at once at most.
const MAX_LIMIT: u32 = 500;
/// Messages read at once for an export.
const EXPORT_PAGE: u32 = 1000;
/// Longest query, in characters.
const MAX_QUERY: usize = 1000;

/// A page of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPage {
    /// Last active first.
    pub sessions: Vec<Session>,
    /// How many there are in all.
    pub total: u64,
}

/// A page of sessions with their previews.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewPage {
    /// Last active first, each with the beginning of its newest message; empty where there is none.
    pub sessions: Vec<(Session, String)>,
    /// How many there are in all.
    pub total: u64,
}

/// Lists, reads, renames, searches and deletes sessions.
pub struct SessionService {
    sessions: Arc<dyn SessionRepository>,
    audit: Arc<dyn AuditLog>,
    ids: Arc<dyn IdGenerator>,
    chat: Arc<ChatService>,
}

impl SessionService {
    /// A service over the stored sessions; exports are recorded in `audit`; `chat` is told to stop what runs in a session that goes.
    pub fn new(
        sessions: Arc<dyn SessionRepository>,
        audit: Arc<dyn AuditLog>,
        ids: Arc<dyn IdGenerator>,
        chat: Arc<ChatService>,
    ) -> Self {
        Self {
            sessions,
            audit,
            ids,
            chat,
        }
    }

    /// An id under which a session can begin. Nothing is stored until its first message.
    pub fn reserve(&self, caller: &Caller) -> Result<SessionId, ChatError> {
        caller.require_change(Scope::Sessions)?;
        Ok(self.ids.short_session_id())
    }

    /// A page of the caller's sessions, last active first.
    pub async fn list(
        &self,
        caller: &Caller,
        limit: u32,
        offset: u32,
    ) -> Result<SessionPage, ChatError> {
        caller.require(Scope::Sessions)?;
        let (sessions, total) = self
            .sessions
            .list(&caller.user, limit.clamp(1, MAX_LIMIT), offset)
            .await?;
        Ok(SessionPage { sessions, total })
    }

    /// As [`list`](Self::list), with previews.
    pub async fn list_with_previews(
        &self,
        caller: &Caller,
        limit: u32,
        offset: u32,
    ) -> Result<PreviewPage, ChatError> {
        let page = self.list(caller, limit, offset).await?;
        let mut sessions = Vec::with_capacity(page.sessions.len());
        for session in page.sessions {
            let preview = self.preview(caller, &session.id).await?;
            sessions.push((session, preview.unwrap_or_default()));
        }
        Ok(PreviewPage {
            sessions,
            total: page.total,
        })
    }

    /// One session.
    pub async fn get(&self, caller: &Caller, id: &SessionId) -> Result<Session, ChatError> {
        caller.require(Scope::Sessions)?;
        self.sessions
            .find(&caller.user, id)
            .await?
            .ok_or(ChatError::SessionNotFound)
    }

    /// The newest messages of a session, oldest first; empty when there is none.
    pub async fn history(
        &self,
        caller: &Caller,
        id: &SessionId,
        limit: u32,
    ) -> Result<Vec<Message>, ChatError> {
        caller.require(Scope::Sessions)?;
        let window = MessageWindow::newest(limit.clamp(1, MAX_LIMIT));
        Ok(self.sessions.messages(&caller.user, id, window).await?)
    }

    /// The beginning of a session's newest message: what a list shows below the title.
    pub async fn preview(
        &self,
        caller: &Caller,
        id: &SessionId,
    ) -> Result<Option<String>, ChatError> {
        let messages = self.history(caller, id, 1).await?;
        Ok(messages
            .into_iter()
            .next_back()
            .map(|message| message.text.chars().take(200).collect()))
    }

    /// A session with all its messages, oldest first. Recorded: it may leave the server.
    pub async fn export(
        &self,
        caller: &Caller,
        id: &SessionId,
    ) -> Result<(Session, Vec<Message>), ChatError> {
        let session = self.get(caller, id).await?;
        let record = caller
            .record("session.export", self.chat.clock().now())
            .on("session", id);
        self.audit.append(&record).await?;
        let mut pages = Vec::new();
        let mut window = MessageWindow::newest(EXPORT_PAGE);
        loop {
            let page = self.sessions.messages(&caller.user, id, window).await?;
            let whole = page.len() < EXPORT_PAGE as usize;
            window.before = page.first().map(|message| message.seq);
            pages.push(page);
            if whole || window.before.is_none() {
                break;
            }
        }
        let messages = pages.into_iter().rev().flatten();
        let messages = messages
            .filter(|message| message.role != Role::System)
            .collect();
        Ok((session, messages))
    }

    /// Gives a session a title that stays.
    pub async fn rename(
        &self,
        caller: &Caller,
        id: &SessionId,
        title: &str,
    ) -> Result<(), ChatError> {
        caller.require_change(Scope::Sessions)?;
        let title = SessionTitle::choose(title)?;
        found(self.sessions.rename(&caller.user, id, &title).await?)
    }

    /// Deletes a session with all its messages; what runs in it is stopped.
    pub async fn delete(&self, caller: &Caller, id: &SessionId) -> Result<(), ChatError> {
        caller.require_change(Scope::Sessions)?;
        let record = caller
            .record("session.delete", self.chat.clock().now())
            .on("session", id);
        let delete = self.sessions.delete(&caller.user, id, &record);
        found(self.chat.while_stopped(&caller.user, id, delete).await?)
    }

    /// Searches the caller's messages for words, best first. An empty query finds nothing.
    pub async fn search(
        &self,
        caller: &Caller,
        text: &str,
        limit: u32,
    ) -> Result<Vec<SearchHit>, ChatError> {
        caller.require(Scope::Sessions)?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        if text.chars().count() > MAX_QUERY {
            let error = format!("must not be longer than {MAX_QUERY} characters");
            return Err(ChatError::Invalid(FieldError::new("q", error)));
        }
        let query = SearchQuery {
            text: text.to_owned(),
            limit: limit.clamp(1, MAX_LIMIT),
        };
        Ok(self.sessions.search(&caller.user, &query).await?)
    }
}

fn found(found: bool) -> Result<(), ChatError> {
    if found {
        Ok(())
    } else {
        Err(ChatError::SessionNotFound)
    }
}
