//! The journal of runs.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::{
    Accepted, Answer, Durability, NewTurn, RepositoryError, RunJournal,
};
use majordomo_domain::{
    MessageId, Run, RunEvent, RunId, RunStatus, Session, SessionId, SessionTitle, UserId,
};

use super::cached::Cached;
use super::error::{Outcome, corrupt, to_stored};
use super::run_rows::{Batch, RunRow};
use super::schema::{messages, run_events, runs, sessions};
use super::sessions::SessionRow;
use super::{codec, messages as message_rows, usage};
use crate::backend::{self, Conn, Database};

async fn accept(conn: &mut Conn, turn: &NewTurn) -> Outcome<Accepted> {
    let batch = Batch::of(&turn.events)?;
    let session = count_user_message(conn, turn).await?;
    let seq = session.last_seq;
    let row = RunRow::of(&turn.run, batch.as_ref())?;
    insert_run(conn, row, batch).await?;
    message_rows::insert(conn, &session.owner, &session.id, seq, &turn.message).await?;
    Ok(Accepted {
        session: Session::try_from(session)?,
        seq: u64::try_from(seq).unwrap_or_default(),
    })
}

/// Stores a run with its events so far.
async fn insert_run(conn: &mut Conn, row: RunRow, batch: Option<Batch>) -> Outcome<()> {
    let id = row.id.clone();
    diesel::insert_into(runs::table)
        .values(row)
        .execute(conn)
        .await?;
    if let Some(batch) = batch {
        batch.insert(conn, &id).await?;
    }
    Ok(())
}

/// The row of the session that a turn begins, its message counted.
fn begun(turn: &NewTurn) -> SessionRow {
    let session = &turn.session;
    let title = if session.title.is_chosen() {
        session.title.clone()
    } else {
        SessionTitle::derive(&turn.message.text)
    };
    SessionRow {
        title: backend::encode_text(title.as_str()).into_owned(),
        title_chosen: title.is_chosen(),
        updated_at: turn.message.created_at.as_micros(),
        message_count: 1,
        last_seq: 1,
        ..SessionRow::begin(session)
    }
}

/// Stores a turn that begins its session, with its end. Each row is written once.
async fn record(conn: &mut Conn, turn: &NewTurn, answer: &Answer) -> Outcome<()> {
    let mut session = begun(turn);
    if let Some(message) = &answer.message {
        session.message_count += 1;
        session.last_seq += 1;
        session.updated_at = message.created_at.as_micros();
    }
    let (owner, id) = (session.owner.clone(), session.id.clone());
    diesel::insert_into(sessions::table)
        .values(session)
        .execute(conn)
        .await?;
    let batch = Batch::of(&answer.events)?;
    let row = RunRow {
        status: answer.status.as_str().to_owned(),
        finished_at: Some(answer.finished_at.as_micros()),
        ..RunRow::of(&turn.run, batch.as_ref())?
    };
    insert_run(conn, row, batch).await?;
    message_rows::insert(conn, &owner, &id, 1, &turn.message).await?;
    if let Some(message) = &answer.message {
        message_rows::insert(conn, &owner, &id, 2, message).await?;
    }
    usage::insert(conn, &answer.calls).await
}

/// Begins the session of a turn, or counts the turn's message into it. The first message gives the title.
async fn count_user_message(conn: &mut Conn, turn: &NewTurn) -> Outcome<SessionRow> {
    let takes_title = sessions::title_chosen
        .eq(false)
        .and(sessions::message_count.eq(0));
    let count = diesel::insert_into(sessions::table)
        .values(begun(turn))
        .on_conflict((sessions::owner, sessions::id))
        .do_update()
        .set((
            sessions::message_count.eq(sessions::message_count + 1),
            sessions::last_seq.eq(sessions::last_seq + 1),
            sessions::updated_at.eq(excluded(sessions::updated_at)),
            sessions::title
                .eq(case_when(takes_title, excluded(sessions::title)).otherwise(sessions::title)),
        ))
        .returning(SessionRow::as_returning());
    Ok(Cached(count).get_result(conn).await?)
}

async fn start(conn: &mut Conn, run: &RunId, events: &[RunEvent]) -> Outcome<()> {
    let start = diesel::update(runs::table.find(run.as_str()))
        .filter(runs::finished_at.is_null())
        .set(runs::status.eq(RunStatus::Running.as_str()));
    conflict_unless(Cached(start).execute(conn).await? > 0)?;
    append(conn, run, events).await
}

async fn append(conn: &mut Conn, run: &RunId, events: &[RunEvent]) -> Outcome<()> {
    let Some(batch) = Batch::of(events)? else {
        return Ok(());
    };
    let take_positions = diesel::update(runs::table.find(run.as_str()))
        .filter(runs::last_seq.eq(batch.first - 1))
        .filter(runs::finished_at.is_null())
        .set(runs::last_seq.eq(batch.last));
    conflict_unless(Cached(take_positions).execute(conn).await? > 0)?;
    batch.insert(conn, run.as_str()).await
}

/// The run is gone, has ended, or its next position is another one: others have changed it.
fn conflict_unless(changed: bool) -> Result<(), RepositoryError> {
    changed.then_some(()).ok_or(RepositoryError::Conflict)
}

async fn finish(conn: &mut Conn, answer: &Answer) -> Outcome<()> {
    let Some((owner, session)) = end_run(conn, answer).await? else {
        return keep_calls_of_deleted(conn, answer).await;
    };
    if let Some(message) = &answer.message {
        let count = diesel::update(sessions::table.find((&owner, &session)))
            .set((
                sessions::message_count.eq(sessions::message_count + 1),
                sessions::last_seq.eq(sessions::last_seq + 1),
                sessions::updated_at.eq(message.created_at.as_micros()),
            ))
            .returning(sessions::last_seq);
        let seq: i64 = Cached(count).get_result(conn).await?;
        message_rows::insert(conn, &owner, &session, seq, message).await?;
    }
    usage::insert(conn, &answer.calls).await
}

/// What was spent stays spent when the run has been deleted with its session.
async fn keep_calls_of_deleted(conn: &mut Conn, answer: &Answer) -> Outcome<()> {
    if answer.calls.is_empty() {
        return Ok(());
    }
    let run = runs::table.find(answer.run.as_str());
    let known: i64 = run.count().get_result(conn).await?;
    if known == 0 {
        usage::insert(conn, &answer.calls).await?;
    }
    Ok(())
}

/// Ends the run with its last events and names its owner and session; `None` when it has ended already or is gone.
async fn end_run(conn: &mut Conn, answer: &Answer) -> Outcome<Option<(String, String)>> {
    let batch = Batch::of(&answer.events)?;
    let run = answer.run.as_str();
    let open = runs::table.find(run).filter(runs::finished_at.is_null());
    let change = (
        runs::status.eq(answer.status.as_str()),
        runs::finished_at.eq(Some(answer.finished_at.as_micros())),
    );
    let Some(batch) = batch else {
        let end = diesel::update(open)
            .set(change)
            .returning((runs::owner, runs::session_id));
        return Ok(Cached(end).get_result(conn).await.optional()?);
    };
    let end = diesel::update(open.filter(runs::last_seq.eq(batch.first - 1)))
        .set((change, runs::last_seq.eq(batch.last)))
        .returning((runs::owner, runs::session_id));
    let ended = Cached(end).get_result(conn).await.optional()?;
    if ended.is_some() {
        batch.insert(conn, run).await?;
        return Ok(ended);
    }
    // Of a run that is still open, other events have the positions.
    let still_open: i64 = open.count().get_result(conn).await?;
    conflict_unless(still_open == 0)?;
    Ok(None)
}

/// The run of a row; one that cannot be read must not keep the others from being taken care of.
fn readable(row: RunRow) -> Option<Run> {
    Run::try_from(row)
        .inspect_err(|error| tracing::error!(%error, "an unfinished run is left as it is"))
        .ok()
}

async fn latest_run(
    conn: &mut Conn,
    owner: &UserId,
    session: &SessionId,
    message: Option<&MessageId>,
) -> Outcome<Option<Run>> {
    let of_session = runs::table
        .filter(runs::owner.eq(owner.as_str()))
        .filter(runs::session_id.eq(session.as_str()))
        .order((runs::created_at.desc(), runs::id.desc()))
        .limit(1)
        .select(RunRow::as_select());
    let row: Option<RunRow> = match message {
        None => of_session.first(conn).await.optional()?,
        Some(message) => {
            let writer: Option<Option<String>> = messages::table
                .find(message.as_str())
                .filter(messages::owner.eq(owner.as_str()))
                .filter(messages::session_id.eq(session.as_str()))
                .select(messages::run_id)
                .first(conn)
                .await
                .optional()?;
            let of_message = runs::message_id
                .eq(message.as_str())
                .or(runs::id.eq(writer.flatten().unwrap_or_default()));
            of_session.filter(of_message).first(conn).await.optional()?
        }
    };
    Ok(row.map(Run::try_from).transpose()?)
}

async fn events_after(
    conn: &mut Conn,
    run: &RunId,
    after: u64,
    limit: u32,
) -> Outcome<Vec<RunEvent>> {
    let rows: Vec<(i64, String)> = run_events::table
        .filter(run_events::run_id.eq(run.as_str()))
        .filter(run_events::last_seq.gt(to_stored(after)))
        .order(run_events::first_seq.asc())
        .limit(i64::from(limit))
        .select((run_events::first_seq, run_events::payload))
        .load(conn)
        .await?;
    let mut events = Vec::new();
    for (first, payload) in rows {
        let batch = u64::try_from(first)
            .ok()
            .and_then(|first| codec::decode_events(first, &payload))
            .ok_or_else(|| corrupt("run_events", "payload", format!("{run}/{first}")))?;
        events.extend(batch.into_iter().filter(|event| event.seq > after));
        if events.len() >= limit as usize {
            break;
        }
    }
    events.truncate(limit as usize);
    Ok(events)
}

/// Stores runs in a database.
pub struct DieselRunJournal {
    db: Arc<Database>,
}

impl DieselRunJournal {
    pub(crate) const fn new(db: Arc<Database>) -> Self {
        Self { db }
    }
}

#[async_trait]
impl RunJournal for DieselRunJournal {
    async fn accept(&self, turn: NewTurn) -> Result<Accepted, RepositoryError> {
        self.db
            .write(turn.durability, turn, |conn, turn| {
                Box::pin(accept(conn, turn))
            })
            .await
    }

    async fn record(&self, turn: NewTurn, answer: Answer) -> Result<(), RepositoryError> {
        self.db
            .write(
                Durability::Flushed,
                (turn, answer),
                |conn, (turn, answer)| Box::pin(record(conn, turn, answer)),
            )
            .await
    }

    async fn start(&self, run: &RunId, events: Vec<RunEvent>) -> Result<(), RepositoryError> {
        let input = (run.clone(), events);
        self.db
            .write(Durability::Written, input, |conn, (run, events)| {
                Box::pin(start(conn, run, events))
            })
            .await
    }

    async fn append(
        &self,
        run: &RunId,
        events: Vec<RunEvent>,
        durability: Durability,
    ) -> Result<(), RepositoryError> {
        let input = (run.clone(), events);
        self.db
            .write(durability, input, |conn, (run, events)| {
                Box::pin(append(conn, run, events))
            })
            .await
    }

    async fn finish(&self, answer: Answer) -> Result<(), RepositoryError> {
        self.db
            .write(Durability::Flushed, answer, |conn, answer| {
                Box::pin(finish(conn, answer))
            })
            .await
    }

    async fn find(&self, owner: &UserId, run: &RunId) -> Result<Option<Run>, RepositoryError> {
        self.db
            .read((owner.clone(), run.clone()), |conn, (owner, run)| {
                Box::pin(async move {
                    let row: Option<RunRow> = runs::table
                        .find(run.as_str())
                        .filter(runs::owner.eq(owner.as_str()))
                        .select(RunRow::as_select())
                        .first(conn)
                        .await
                        .optional()?;
                    Ok(row.map(Run::try_from).transpose()?)
                })
            })
            .await
    }

    async fn find_in_session(
        &self,
        owner: &UserId,
        session: &SessionId,
        message: Option<&MessageId>,
    ) -> Result<Option<Run>, RepositoryError> {
        let input = (owner.clone(), session.clone(), message.cloned());
        self.db
            .read(input, |conn, (owner, session, message)| {
                Box::pin(latest_run(conn, owner, session, message.as_ref()))
            })
            .await
    }

    async fn events(
        &self,
        run: &RunId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, RepositoryError> {
        self.db
            .read((run.clone(), after, limit), |conn, (run, after, limit)| {
                Box::pin(events_after(conn, run, *after, *limit))
            })
            .await
    }

    async fn unfinished(&self) -> Result<Vec<Run>, RepositoryError> {
        self.db
            .read((), |conn, ()| {
                Box::pin(async move {
                    let rows: Vec<RunRow> = runs::table
                        .filter(runs::finished_at.is_null())
                        .order((runs::created_at.asc(), runs::id.asc()))
                        .select(RunRow::as_select())
                        .load(conn)
                        .await?;
                    Ok(rows.into_iter().filter_map(readable).collect())
                })
            })
            .await
    }
}
