//! Stored messages as memory reads them.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{RepositoryError, SessionMark, TurnRepository};
use majordomo_domain::{MemoryTurn, MessageId, Role, RunId, SessionId, Timestamp, UserId};

use super::cached::{Cached, padded};
use super::error::{Outcome, corrupt, to_stored};
use super::schema::{messages, sessions};
use crate::backend::{self, Conn, Database};

/// A message as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = messages)]
struct TurnRow {
    id: String,
    owner: String,
    session_id: String,
    seq: i64,
    role: String,
    text: String,
    created_at: i64,
    run_id: Option<String>,
}

impl TryFrom<TurnRow> for MemoryTurn {
    type Error = RepositoryError;

    fn try_from(row: TurnRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("messages", column, &row.id);
        let run = row.run_id.map(RunId::parse).transpose();
        Ok(Self {
            message: MessageId::parse(row.id.as_str()).map_err(|_| bad("id"))?,
            session: SessionId::parse(row.session_id).map_err(|_| bad("session_id"))?,
            seq: u64::try_from(row.seq).map_err(|_| bad("seq"))?,
            role: Role::parse(&row.role).ok_or_else(|| bad("role"))?,
            created_at: Timestamp::from_micros(row.created_at),
            text: backend::decode_text(row.text),
            run: run.map_err(|_| bad("run_id"))?,
        })
    }
}

fn from_rows(rows: Vec<TurnRow>) -> Outcome<Vec<MemoryTurn>> {
    let turns: Result<_, RepositoryError> = rows.into_iter().map(MemoryTurn::try_from).collect();
    Ok(turns?)
}

/// Id, when it was begun, position of the newest message, when it was changed and imported into.
type MarkRow = (String, i64, i64, i64, Option<i64>);

fn mark(
    (id, begun_at, last_seq, changed_at, imported_at): MarkRow,
) -> Result<SessionMark, RepositoryError> {
    let bad = |column| corrupt("sessions", column, &id);
    Ok(SessionMark {
        session: SessionId::parse(id.as_str()).map_err(|_| bad("id"))?,
        begun_at: Timestamp::from_micros(begun_at),
        last_seq: u64::try_from(last_seq).map_err(|_| bad("last_seq"))?,
        changed_at: Timestamp::from_micros(changed_at),
        imported_at: imported_at.map(Timestamp::from_micros),
    })
}

fn marks(rows: Vec<MarkRow>) -> Outcome<Vec<SessionMark>> {
    let marks: Result<_, RepositoryError> = rows.into_iter().map(mark).collect();
    Ok(marks?)
}

/// Sessions that were active at `since` or later.
async fn active(
    conn: &mut Conn,
    owner: &UserId,
    since: Timestamp,
    limit: u32,
) -> Outcome<Vec<SessionMark>> {
    let rows: Vec<MarkRow> = sessions::table
        .filter(sessions::owner.eq(owner.as_str()))
        .filter(sessions::updated_at.ge(since.as_micros()))
        .order((sessions::updated_at.asc(), sessions::id.desc()))
        .limit(i64::from(limit))
        .select((
            sessions::id,
            sessions::created_at,
            sessions::last_seq,
            sessions::updated_at,
            sessions::imported_at,
        ))
        .load(conn)
        .await?;
    marks(rows)
}

/// Sessions that were imported into at `since` or later: what was said in them may be much older.
async fn imported(
    conn: &mut Conn,
    owner: &UserId,
    since: Timestamp,
    limit: u32,
) -> Outcome<Vec<SessionMark>> {
    let rows: Vec<MarkRow> = sessions::table
        .filter(sessions::owner.eq(owner.as_str()))
        .filter(sessions::imported_at.ge(since.as_micros()))
        .order((sessions::imported_at.asc(), sessions::id.desc()))
        .limit(i64::from(limit))
        .select((
            sessions::id,
            sessions::created_at,
            sessions::last_seq,
            sessions::imported_at.assume_not_null(),
            sessions::imported_at,
        ))
        .load(conn)
        .await?;
    marks(rows)
}

/// Reads messages from a database.
pub struct DieselTurnRepository {
    db: Arc<Database>,
}

impl DieselTurnRepository {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl TurnRepository for DieselTurnRepository {
    async fn sessions(
        &self,
        owner: &UserId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionMark>, RepositoryError> {
        self.db
            .read(
                (owner.clone(), since, limit),
                |conn, (owner, since, limit)| {
                    Box::pin(async move {
                        let mut rows = active(conn, owner, *since, *limit).await?;
                        rows.extend(imported(conn, owner, *since, *limit).await?);
                        rows.sort_by(|a, b| {
                            let longest = a.changed_at.cmp(&b.changed_at);
                            longest.then_with(|| b.session.cmp(&a.session))
                        });
                        rows.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
                        Ok(rows)
                    })
                },
            )
            .await
    }

    async fn turns(
        &self,
        owner: &UserId,
        session: &SessionId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<MemoryTurn>, RepositoryError> {
        let input = (owner.clone(), session.clone(), after, limit);
        self.db
            .read(input, |conn, (owner, session, after, limit)| {
                Box::pin(async move {
                    let rows: Vec<TurnRow> = messages::table
                        .filter(messages::owner.eq(owner.as_str()))
                        .filter(messages::session_id.eq(session.as_str()))
                        .filter(messages::seq.gt(to_stored(*after)))
                        .filter(messages::role.ne(Role::System.as_str()))
                        .filter(messages::text.ne(""))
                        .order(messages::seq)
                        .limit(i64::from(*limit))
                        .select(TurnRow::as_select())
                        .load(conn)
                        .await?;
                    from_rows(rows)
                })
            })
            .await
    }

    async fn existing(
        &self,
        owner: &UserId,
        sessions: &[SessionId],
    ) -> Result<Vec<SessionId>, RepositoryError> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        self.db
            .read(
                (owner.clone(), sessions.to_vec()),
                |conn, (owner, asked)| {
                    Box::pin(async move {
                        let ids: Vec<String> = sessions::table
                            .filter(sessions::owner.eq(owner.as_str()))
                            .filter(sessions::id.eq_any(asked.iter().map(SessionId::as_str)))
                            .select(sessions::id)
                            .load(conn)
                            .await?;
                        let ids: Result<_, RepositoryError> = ids
                            .into_iter()
                            .map(|id| {
                                SessionId::parse(id.as_str())
                                    .map_err(|_| corrupt("sessions", "id", &id))
                            })
                            .collect();
                        Ok(ids?)
                    })
                },
            )
            .await
    }

    async fn find(
        &self,
        owner: &UserId,
        ids: &[MessageId],
    ) -> Result<Vec<MemoryTurn>, RepositoryError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.db
            .read((owner.clone(), ids.to_vec()), |conn, (owner, ids)| {
                Box::pin(async move {
                    // The owner is compared here: SQLite would read all that the owner has instead of these.
                    let ids = padded(ids.iter().map(MessageId::as_str));
                    let named = messages::table
                        .filter(messages::id.eq_any(ids))
                        .select(TurnRow::as_select());
                    let mut rows: Vec<TurnRow> = Cached(named).load(conn).await?;
                    rows.retain(|row| row.owner == owner.as_str());
                    from_rows(rows)
                })
            })
            .await
    }
}
