//! What PostgreSQL does its own way: the connection, text, search statements, the meaning of errors.

use std::borrow::Cow;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{BigInt, Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use majordomo_application::ports::RepositoryError;

pub(crate) use crate::database::Database;
use crate::repositories::schema::runs;
use crate::repositories::{Candidate, Outcome, QueryError, index_text};
pub(crate) use crate::vectors::{index_vectors, nearest_vectors};

/// The backend's name in health reports.
pub(crate) const NAME: &str = "postgres";

/// How much of a message is read for ranking and snippets, in characters.
const RANKED_CHARS: i32 = 16_000;

/// A connection.
pub(crate) type Conn = AsyncPgConnection;

/// Begins an escape in stored text. Unicode sets this code point aside for a program's own use.
const ESCAPE: char = '\u{10FFFE}';

/// Text as it is stored. PostgreSQL refuses the character U+0000, which is therefore escaped.
pub(crate) fn encode_text(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut stored = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\0' => stored.extend([ESCAPE, '0']),
            ESCAPE => stored.extend([ESCAPE, '1']),
            c => stored.push(c),
        }
    }
    Cow::Owned(stored)
}

/// The inverse of [`encode_text`].
pub(crate) fn decode_text(stored: String) -> String {
    if !stored.contains(ESCAPE) {
        return stored;
    }
    let mut text = String::with_capacity(stored.len());
    let mut chars = stored.chars();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE if chars.next() == Some('0') => text.push('\0'),
            c => text.push(c),
        }
    }
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
        _ if is_connection_lost(&error) || is_unavailable(&error) => {
            RepositoryError::Unavailable(Box::new(error))
        }
        _ => RepositoryError::Other(Box::new(error)),
    }
}

/// Whether the connection is gone, so that another one may do better.
pub(crate) fn is_connection_lost(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, info) => says(
            info.message(),
            &[
                "terminating connection",
                "connection closed",
                "the database system is",
            ],
        ),
        _ => false,
    }
}

/// Whether another transaction was in the way and has won.
pub(crate) fn is_deadlock(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        DieselError::DatabaseError(_, info) => says(info.message(), &["deadlock detected"]),
        _ => false,
    }
}

fn is_unavailable(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => true,
        DieselError::DatabaseError(_, info) => says(
            info.message(),
            &[
                "canceling statement due to",
                "No space left on device",
                "could not extend file",
                "too many clients",
                "remaining connection slots",
                "out of memory",
                "deadlock detected",
            ],
        ),
        _ => false,
    }
}

/// Whether the server's message holds one of its known sentences. diesel does not pass the error's code on.
fn says(message: &str, sentences: &[&str]) -> bool {
    sentences.iter().any(|sentence| message.contains(sentence))
}

/// Makes the message that was just inserted findable.
pub(crate) async fn index_inserted_message(
    conn: &mut Conn,
    owner: &str,
    message: &str,
    text: &str,
) -> Outcome<()> {
    IndexMessage {
        owner,
        message,
        words: index_text(text),
    }
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a message to the index. A statement of its own type, because plain SQL is not cached by diesel.
struct IndexMessage<'a> {
    owner: &'a str,
    message: &'a str,
    words: String,
}

impl QueryId for IndexMessage<'_> {
    type QueryId = IndexMessage<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for IndexMessage<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO message_search (message_id, owner, words) VALUES (");
        out.push_bind_param::<Text, _>(self.message)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(self.owner)?;
        out.push_sql(", to_tsvector('majordomo', ");
        out.push_bind_param::<Text, _>(&self.words)?;
        out.push_sql("))");
        Ok(())
    }
}

/// The newest messages of `owner` that hold every word, `newest` of them at most.
pub(crate) async fn candidates(
    conn: &mut Conn,
    owner: &str,
    words: &[String],
    last_is_prefix: bool,
    newest: u32,
) -> Outcome<Vec<Candidate>> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let star = if last_is_prefix { ":*" } else { "" };
    let found = FindCandidates {
        expression: format!("{}{star}", quoted.join(" & ")),
        owner,
        newest: i64::from(newest),
    };
    Ok(found.load(conn).await?)
}

/// Asks the index for messages, newest first, and reads only those rows.
struct FindCandidates<'a> {
    expression: String,
    owner: &'a str,
    newest: i64,
}

impl QueryId for FindCandidates<'_> {
    type QueryId = FindCandidates<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for FindCandidates<'_> {
    type SqlType = (Text, Text, Text, Text, BigInt, Text, Text, BigInt);
}

impl QueryFragment<Pg> for FindCandidates<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT m.id, m.session_id, m.role, left(m.text, ");
        out.push_bind_param::<Integer, _>(&RANKED_CHARS)?;
        out.push_sql(
            "), m.created_at, s.title, s.channel, s.updated_at \
             FROM (SELECT message_id FROM message_search WHERE owner = ",
        );
        out.push_bind_param::<Text, _>(self.owner)?;
        out.push_sql(" AND words @@ to_tsquery('majordomo', ");
        out.push_bind_param::<Text, _>(&self.expression)?;
        out.push_sql(") ORDER BY row_id DESC LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.newest)?;
        out.push_sql(
            ") found JOIN messages m ON m.id = found.message_id \
             JOIN sessions s ON s.owner = m.owner AND s.id = m.session_id",
        );
        Ok(())
    }
}

/// Waits for those who are ending the session's runs, before the session itself is locked: whoever ends a run locks the
/// run first and its session then, and would otherwise wait for the caller as the caller waits for them.
pub(crate) async fn lock_open_runs(conn: &mut Conn, owner: &str, session: &str) -> Outcome<()> {
    runs::table
        .filter(runs::owner.eq(owner))
        .filter(runs::session_id.eq(session))
        .filter(runs::finished_at.is_null())
        .order(runs::id)
        .select(runs::id)
        .for_no_key_update()
        .load::<String>(conn)
        .await?;
    Ok(())
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

impl QueryFragment<Pg> for DatabaseSize {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT pg_database_size(current_database())");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_can_be_stored() {
        for text in [
            "",
            "plain",
            "a\0b\0",
            "\u{10FFFE}",
            "\u{10FFFE}0\0\u{10FFFE}1",
        ] {
            let stored = encode_text(text).into_owned();
            assert!(!stored.contains('\0'));
            assert_eq!(decode_text(stored), text);
        }
    }
}
