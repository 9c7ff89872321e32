//! Sessions and the reading of their messages.

mod import;

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{
    Durability, ImportedConversation, MessageWindow, RepositoryError, SearchHit, SearchQuery,
    SessionRepository,
};
use majordomo_domain::{
    AuditRecord, Channel, Message, MessageId, Session, SessionId, SessionTitle, Timestamp, UserId,
};

use super::audit;
use super::error::{Outcome, corrupt};
use super::messages::MessageRow;
use super::schema::{messages, runs, sessions};
use super::search;
use crate::backend::{self, Conn, Database};

/// A row of `sessions`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub(super) struct SessionRow {
    pub(super) owner: String,
    pub(super) id: String,
    pub(super) title: String,
    pub(super) title_chosen: bool,
    pub(super) channel: String,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) message_count: i64,
    pub(super) last_seq: i64,
    pub(super) model: Option<String>,
    /// When messages of another system were last stored in it.
    pub(super) imported_at: Option<i64>,
}

impl SessionRow {
    /// The row of a session before its first message.
    pub(super) fn begin(session: &Session) -> Self {
        Self {
            owner: session.owner.as_str().to_owned(),
            id: session.id.as_str().to_owned(),
            title: backend::encode_text(session.title.as_str()).into_owned(),
            title_chosen: session.title.is_chosen(),
            channel: session.channel.as_str().to_owned(),
            created_at: session.created_at.as_micros(),
            updated_at: session.updated_at.as_micros(),
            message_count: 0,
            last_seq: 0,
            model: session
                .model
                .as_deref()
                .map(|model| backend::encode_text(model).into_owned()),
            imported_at: None,
        }
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = RepositoryError;

    fn try_from(row: SessionRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("sessions", column, &row.id);
        Ok(Self {
            id: SessionId::parse(row.id.as_str()).map_err(|_| bad("id"))?,
            owner: UserId::parse(row.owner).map_err(|_| bad("owner"))?,
            title: SessionTitle::stored(backend::decode_text(row.title), row.title_chosen),
            channel: Channel::parse(&row.channel).ok_or_else(|| bad("channel"))?,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            message_count: u64::try_from(row.message_count).map_err(|_| bad("message_count"))?,
            model: row.model.map(backend::decode_text),
        })
    }
}

/// Stores sessions in a database.
pub struct DieselSessionRepository {
    db: Arc<Database>,
}

impl DieselSessionRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

type SessionKey = (UserId, SessionId);

fn key(owner: &UserId, id: &SessionId) -> SessionKey {
    (owner.clone(), id.clone())
}

/// Selects one session of an owner's. A macro, because the type of the query is diesel's own.
macro_rules! one {
    ($key:expr) => {
        sessions::table.find(($key.0.as_str(), $key.1.as_str()))
    };
}

async fn delete(conn: &mut Conn, key: &SessionKey, record: &AuditRecord) -> Outcome<bool> {
    backend::lock_open_runs(conn, key.0.as_str(), key.1.as_str()).await?;
    let deleted = diesel::delete(one!(key)).execute(conn).await?;
    if deleted > 0 {
        audit::append(conn, record).await?;
    }
    Ok(deleted > 0)
}

async fn clear(conn: &mut Conn, key: &SessionKey, record: &AuditRecord) -> Outcome<bool> {
    backend::lock_open_runs(conn, key.0.as_str(), key.1.as_str()).await?;
    let found = diesel::update(one!(key))
        .set(sessions::message_count.eq(0))
        .execute(conn)
        .await?;
    if found == 0 {
        return Ok(false);
    }
    let (owner, id) = (key.0.as_str(), key.1.as_str());
    let of_session = messages::owner.eq(owner).and(messages::session_id.eq(id));
    diesel::delete(messages::table.filter(of_session))
        .execute(conn)
        .await?;
    let of_session = runs::owner.eq(owner).and(runs::session_id.eq(id));
    diesel::delete(runs::table.filter(of_session))
        .execute(conn)
        .await?;
    audit::append(conn, record).await?;
    Ok(true)
}

#[async_trait]
impl SessionRepository for DieselSessionRepository {
    async fn find(
        &self,
        owner: &UserId,
        id: &SessionId,
    ) -> Result<Option<Session>, RepositoryError> {
        self.db
            .read(key(owner, id), |conn, key| {
                Box::pin(async move {
                    let row: Option<SessionRow> = one!(key)
                        .select(SessionRow::as_select())
                        .first(conn)
                        .await
                        .optional()?;
                    Ok(row.map(Session::try_from).transpose()?)
                })
            })
            .await
    }

    async fn list(
        &self,
        owner: &UserId,
        limit: u32,
        offset: u32,
    ) -> Result<(Vec<Session>, u64), RepositoryError> {
        self.db
            .read(
                (owner.clone(), limit, offset),
                |conn, (owner, limit, offset)| {
                    Box::pin(async move {
                        let own = sessions::table.filter(sessions::owner.eq(owner.as_str()));
                        let rows: Vec<SessionRow> = own
                            .order((sessions::updated_at.desc(), sessions::id.asc()))
                            .limit(i64::from(*limit))
                            .offset(i64::from(*offset))
                            .select(SessionRow::as_select())
                            .load(conn)
                            .await?;
                        let total: i64 = own.count().get_result(conn).await?;
                        let total = u64::try_from(total).unwrap_or_default();
                        let sessions: Result<_, RepositoryError> =
                            rows.into_iter().map(Session::try_from).collect();
                        Ok((sessions?, total))
                    })
                },
            )
            .await
    }

    async fn rename(
        &self,
        owner: &UserId,
        id: &SessionId,
        title: &SessionTitle,
    ) -> Result<bool, RepositoryError> {
        let input = (key(owner, id), title.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (key, title)| {
                Box::pin(async move {
                    let changed = diesel::update(one!(key))
                        .set((
                            sessions::title.eq(backend::encode_text(title.as_str())),
                            sessions::title_chosen.eq(title.is_chosen()),
                        ))
                        .execute(conn)
                        .await?;
                    Ok(changed > 0)
                })
            })
            .await
    }

    async fn set_model(
        &self,
        owner: &UserId,
        id: &SessionId,
        model: Option<&str>,
    ) -> Result<bool, RepositoryError> {
        let input = (key(owner, id), model.map(str::to_owned));
        self.db
            .write(Durability::Flushed, input, |conn, (key, model)| {
                Box::pin(async move {
                    let changed = diesel::update(one!(key))
                        .set(sessions::model.eq(model.as_deref().map(backend::encode_text)))
                        .execute(conn)
                        .await?;
                    Ok(changed > 0)
                })
            })
            .await
    }

    async fn delete(
        &self,
        owner: &UserId,
        id: &SessionId,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let input = (key(owner, id), record.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (key, record)| {
                Box::pin(delete(conn, key, record))
            })
            .await
    }

    async fn clear(
        &self,
        owner: &UserId,
        id: &SessionId,
        record: &AuditRecord,
    ) -> Result<bool, RepositoryError> {
        let input = (key(owner, id), record.clone());
        self.db
            .write(Durability::Flushed, input, |conn, (key, record)| {
                Box::pin(clear(conn, key, record))
            })
            .await
    }

    async fn messages(
        &self,
        owner: &UserId,
        id: &SessionId,
        window: MessageWindow,
    ) -> Result<Vec<Message>, RepositoryError> {
        self.db
            .read((key(owner, id), window), |conn, (key, window)| {
                Box::pin(async move {
                    let before = window.before.map_or(i64::MAX, super::error::to_stored);
                    let rows: Vec<MessageRow> = messages::table
                        .filter(messages::owner.eq(key.0.as_str()))
                        .filter(messages::session_id.eq(key.1.as_str()))
                        .filter(messages::seq.lt(before))
                        .order(messages::seq.desc())
                        .limit(i64::from(window.limit))
                        .select(MessageRow::as_select())
                        .load(conn)
                        .await?;
                    let oldest_first: Result<_, RepositoryError> =
                        rows.into_iter().rev().map(Message::try_from).collect();
                    Ok(oldest_first?)
                })
            })
            .await
    }

    async fn import(
        &self,
        conversation: &ImportedConversation,
        at: Timestamp,
    ) -> Result<Vec<MessageId>, RepositoryError> {
        let input = (conversation.clone(), at);
        self.db
            .write(Durability::Flushed, input, |conn, (conversation, at)| {
                Box::pin(import::import(conn, conversation, *at))
            })
            .await
    }

    async fn search(
        &self,
        owner: &UserId,
        query: &SearchQuery,
    ) -> Result<Vec<SearchHit>, RepositoryError> {
        let words = super::words::query_words(&query.text);
        if words.is_empty() || query.limit == 0 {
            return Ok(Vec::new());
        }
        self.db.catch_up_search().await;
        self.db
            .read(
                (owner.clone(), words, query.limit),
                |conn, (owner, words, limit)| Box::pin(search::run(conn, owner, words, *limit)),
            )
            .await
    }
}
