//! Rows of `runs`, and batches of events: rows of `run_events`.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use majordomo_application::ports::RepositoryError;
use majordomo_domain::{
    MessageId, Run, RunEvent, RunId, RunKind, RunStatus, SessionId, Timestamp, UserId,
};

use super::codec;
use super::error::{Outcome, corrupt, micros, to_stored};
use super::schema::{run_events, runs};
use crate::backend::Conn;

/// A row of `runs`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = runs, treat_none_as_default_value = false)]
pub(super) struct RunRow {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) kind: String,
    pub(super) session_id: String,
    pub(super) message_id: String,
    pub(super) options: Option<String>,
    pub(super) status: String,
    pub(super) created_at: i64,
    pub(super) finished_at: Option<i64>,
    pub(super) last_seq: i64,
}

impl RunRow {
    /// The row of a run with its events so far.
    pub(super) fn of(run: &Run, events: Option<&Batch>) -> Result<Self, RepositoryError> {
        Ok(Self {
            id: run.id.as_str().to_owned(),
            owner: run.owner.as_str().to_owned(),
            kind: run.kind.as_str().to_owned(),
            session_id: run.session.as_str().to_owned(),
            message_id: run.message.as_str().to_owned(),
            options: codec::encode_options(&run.options)
                .map_err(|error| RepositoryError::Other(Box::new(error)))?,
            status: run.status.as_str().to_owned(),
            created_at: run.created_at.as_micros(),
            finished_at: micros(run.finished_at),
            last_seq: events.map_or(0, |batch| batch.last),
        })
    }
}

impl TryFrom<RunRow> for Run {
    type Error = RepositoryError;

    fn try_from(row: RunRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("runs", column, &row.id);
        Ok(Self {
            id: RunId::parse(row.id.as_str()).map_err(|_| bad("id"))?,
            owner: UserId::parse(row.owner).map_err(|_| bad("owner"))?,
            kind: RunKind::parse(&row.kind).ok_or_else(|| bad("kind"))?,
            session: SessionId::parse(row.session_id).map_err(|_| bad("session_id"))?,
            message: MessageId::parse(row.message_id).map_err(|_| bad("message_id"))?,
            options: codec::decode_options(row.options.as_deref()).map_err(|_| bad("options"))?,
            status: RunStatus::parse(&row.status).ok_or_else(|| bad("status"))?,
            created_at: Timestamp::from_micros(row.created_at),
            finished_at: row.finished_at.map(Timestamp::from_micros),
        })
    }
}

/// A batch of events that follow one another.
pub(super) struct Batch {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) payload: String,
}

impl Batch {
    /// Encodes `events`; `None` when there are none, `Conflict` when they do not follow one another.
    pub(super) fn of(events: &[RunEvent]) -> Result<Option<Self>, RepositoryError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(None);
        };
        let gapless = (first.seq..)
            .zip(events)
            .all(|(seq, event)| event.seq == seq);
        if !gapless {
            return Err(RepositoryError::Conflict);
        }
        let payload = codec::encode_events(events)
            .map_err(|error| RepositoryError::Other(Box::new(error)))?;
        Ok(Some(Self {
            first: to_stored(first.seq),
            last: to_stored(last.seq),
            payload,
        }))
    }

    pub(super) async fn insert(&self, conn: &mut Conn, run: &str) -> Outcome<()> {
        diesel::insert_into(run_events::table)
            .values((
                run_events::run_id.eq(run),
                run_events::first_seq.eq(self.first),
                run_events::last_seq.eq(self.last),
                run_events::payload.eq(&self.payload),
            ))
            .execute(conn)
            .await?;
        Ok(())
    }
}
