//! Puts messages into the search index, many at a time.
//!
//! The index writes a small sorted file for every transaction that touches it and later merges them, which would cost a
//! stored message more than all else. So the writer indexes when many messages wait or when it is idle, and a search
//! first asks it to catch up. What is not yet indexed is simply newer than what is, also after a crash.

use diesel::QueryResult;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;
use diesel_async::RunQueryDsl;

use crate::backend::Conn;
use crate::repositories::{Outcome, index_text};

/// Messages that are indexed together: about two milliseconds of work.
pub(crate) const BATCH: i64 = 64;
/// Batches one search waits for at most.
const MAX_BATCHES: usize = 32;

/// Indexes the oldest messages that are not yet indexed, [`BATCH`] at most, and returns how many there were.
pub(crate) async fn index_batch(conn: &mut Conn) -> Outcome<usize> {
    let messages: Vec<(i64, String, String)> = Unindexed.load(conn).await?;
    for (row, owner, text) in &messages {
        IndexMessage {
            row: *row,
            owner: owner_word(owner),
            words: index_text(text),
        }
        .execute(conn)
        .await?;
    }
    Ok(messages.len())
}

/// Indexes what is not yet indexed.
pub(crate) async fn catch_up(conn: &mut Conn) -> Outcome<()> {
    for _ in 0..MAX_BATCHES {
        if index_batch(conn).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// The one word by which the index knows an owner. It ends in a digit, which no stemmer removes.
pub(crate) fn owner_word(owner: &str) -> String {
    use std::fmt::Write;
    let mut word = String::with_capacity(owner.len() * 2 + 1);
    for byte in owner.bytes() {
        // Writing to a String cannot fail.
        let _ = write!(word, "{byte:02x}");
    }
    word.push('0');
    word
}

/// Finds what is not yet indexed. Statements here have types of their own, because plain SQL is not cached by diesel.
#[derive(QueryId)]
struct Unindexed;

impl Query for Unindexed {
    type SqlType = (BigInt, Text, Text);
}

impl QueryFragment<Sqlite> for Unindexed {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "SELECT row_id, owner, text FROM messages WHERE row_id > \
             (SELECT coalesce(max(id), 0) FROM message_search_docsize) ORDER BY row_id LIMIT ",
        );
        out.push_bind_param::<BigInt, _>(&BATCH)
    }
}

#[derive(QueryId)]
struct IndexMessage {
    row: i64,
    owner: String,
    words: String,
}

impl QueryFragment<Sqlite> for IndexMessage {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO message_search (rowid, owner, text) VALUES (");
        out.push_bind_param::<BigInt, _>(&self.row)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.owner)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.words)?;
        out.push_sql(")");
        Ok(())
    }
}
