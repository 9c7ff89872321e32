//! What SQLite does its own way: the connection, search statements, the meaning of errors.

use std::borrow::Cow;
use std::error::Error;

use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;
use diesel::{QueryResult, SqliteConnection};
use diesel_async::RunQueryDsl;
use diesel_async::sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper};
use futures_util::future::BoxFuture;
use majordomo_application::ports::{RepositoryError, VectorSpace};

pub(crate) use crate::database::Database;
use crate::indexing::owner_word;
use crate::repositories::{Candidate, NearRow, Outcome, QueryError};

/// The backend's name in health reports.
pub(crate) const NAME: &str = "sqlite";

/// How much of a message is read for ranking and snippets, in characters.
const RANKED_CHARS: i64 = 16_000;

/// A connection that works on the thread that uses it: database threads are there to be blocked.
pub(crate) type Conn = SyncConnectionWrapper<SqliteConnection, Inline>;

/// Runs blocking work at once, on the calling thread.
pub(crate) struct Inline;

impl SpawnBlocking for Inline {
    fn spawn_blocking<'a, R>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync + 'static>>>
    where
        R: Send + 'static,
    {
        Box::pin(std::future::ready(Ok(task())))
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// Text as it is stored: SQLite keeps every character.
pub(crate) fn encode_text(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

/// The inverse of [`encode_text`].
pub(crate) fn decode_text(text: String) -> String {
    text
}

/// What an error means to the application.
pub(crate) fn classify(error: QueryError) -> RepositoryError {
    let error = match error {
        QueryError::Repository(error) => return error,
        QueryError::Statement(error) => error,
    };
    match &error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
            RepositoryError::Conflict
        }
        DieselError::DatabaseError(_, info) if is_unavailable(info.message()) => {
            RepositoryError::Unavailable(Box::new(error))
        }
        _ => RepositoryError::Other(Box::new(error)),
    }
}

/// Whether SQLite's own words for an error say that the file cannot be used now. diesel does not pass the code on.
fn is_unavailable(message: &str) -> bool {
    [
        "database or disk is full",
        "database is locked",
        "disk I/O error",
        "attempt to write a readonly database",
        "unable to open database file",
        "out of memory",
    ]
    .iter()
    .any(|known| message.contains(known))
}

/// Nothing to do: the writer puts messages into the search index later, many at a time.
pub(crate) async fn index_inserted_message(
    _conn: &mut Conn,
    _owner: &str,
    _message: &str,
    _text: &str,
) -> Outcome<()> {
    Ok(())
}

/// The newest messages of `owner` that hold every word, `newest` of them at most.
pub(crate) async fn candidates(
    conn: &mut Conn,
    owner: &str,
    words: &[String],
    last_is_prefix: bool,
    newest: u32,
) -> Outcome<Vec<Candidate>> {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let star = if last_is_prefix { " *" } else { "" };
    let found = FindCandidates {
        expression: format!(
            "{{text}} : ({}{star}) AND {{owner}} : \"{}\"",
            quoted.join(" AND "),
            owner_word(owner),
        ),
        owner,
        newest: i64::from(newest),
    };
    Ok(found.load(conn).await?)
}

/// Asks the index for row numbers, newest first, and reads only those rows. The owner is checked again at the row.
struct FindCandidates<'a> {
    expression: String,
    owner: &'a str,
    newest: i64,
}

impl Query for FindCandidates<'_> {
    type SqlType = (Text, Text, Text, Text, BigInt, Text, Text, BigInt);
}

impl QueryId for FindCandidates<'_> {
    type QueryId = FindCandidates<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Sqlite> for FindCandidates<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT m.id, m.session_id, m.role, substr(m.text, 1, ");
        out.push_bind_param::<BigInt, _>(&RANKED_CHARS)?;
        out.push_sql(
            "), m.created_at, s.title, s.channel, s.updated_at \
             FROM (SELECT rowid AS found FROM message_search WHERE message_search MATCH ",
        );
        out.push_bind_param::<Text, _>(&self.expression)?;
        out.push_sql(" ORDER BY rowid DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.newest)?;
        out.push_sql(
            ") CROSS JOIN messages m ON m.row_id = found \
             CROSS JOIN sessions s ON s.owner = m.owner AND s.id = m.session_id WHERE m.owner = ",
        );
        out.push_bind_param::<Text, _>(self.owner)?;
        Ok(())
    }
}

/// Nothing to do: one writer at a time changes the database.
pub(crate) async fn lock_open_runs(_: &mut Conn, _owner: &str, _session: &str) -> Outcome<()> {
    Ok(())
}

/// Nothing to do: SQLite cannot compare vectors.
pub(crate) async fn index_vectors(
    _: &mut Conn,
    _owner: &str,
    _stored: &[(i64, &[f32])],
) -> Outcome<()> {
    Ok(())
}

/// `None`: SQLite cannot compare vectors.
pub(crate) async fn nearest_vectors(
    _: &mut Conn,
    _owner: &str,
    _space: &VectorSpace,
    _question: &[f32],
    _turns: bool,
    _limit: u32,
) -> Outcome<Option<Vec<NearRow>>> {
    Ok(None)
}

/// The size of the database in bytes.
pub(crate) async fn size_in_bytes(conn: &mut Conn) -> Outcome<i64> {
    Ok(DatabaseSize.get_result::<i64>(conn).await?)
}

#[derive(QueryId)]
struct DatabaseSize;

impl Query for DatabaseSize {
    type SqlType = BigInt;
}

impl QueryFragment<Sqlite> for DatabaseSize {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
        Ok(())
    }
}
