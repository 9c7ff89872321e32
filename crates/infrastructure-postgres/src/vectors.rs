//! Vectors that PostgreSQL compares itself, where it has the extension pgvector.
//!
//! A table beside the stored vectors holds them as pgvector reads them. It is derived: no migration knows it, no archive
//! holds it, and where it is not there vectors are compared in the process. Who stores vectors looks for it once their
//! rows are locked, and who makes it locks the same table before: so no vector is missed in between.

mod graphs;

use std::fmt::Write;
use std::sync::{Arc, Weak};
use std::time::Duration;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, Float, Nullable, Text};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use majordomo_application::ports::{Durability, RepositoryError, VectorSpace};

use self::graphs::Graphs;
use crate::backend::{Conn, encode_text, is_connection_lost, is_deadlock};
use crate::connect::Connector;
use crate::database::Database;
use crate::migrations::LOCK;
use crate::repositories::memory_vectors::decode;
use crate::repositories::{NearRow, Outcome, QueryError};

/// Vectors that are filled in at once.
const BATCH: i64 = 500;
/// How long filling in rests after a failure.
const REST: Duration = Duration::from_mins(1);
/// The most numbers in a vector that the extension takes.
const MAX_DIMENSION: usize = 16_000;
/// What a search, in milliseconds, may take the server: nobody waits for it longer.
const SEARCH_LIMIT: u32 = 2_000;

/// Says of the table that no vector is missing in it.
const MARK_AS_FILLED: &str = "COMMENT ON TABLE memory_vector_index IS 'filled'";
const MARK_AS_LACKING: &str = "COMMENT ON TABLE memory_vector_index IS NULL";

/// The table. It goes with the vectors it was made of.
const MAKE_TABLE: &str = "CREATE EXTENSION IF NOT EXISTS vector; \
    DROP TABLE IF EXISTS memory_vector_index; \
    CREATE TABLE memory_vector_index ( \
        owner TEXT COLLATE \"C\" NOT NULL, \
        revision BIGINT NOT NULL, \
        model TEXT NOT NULL, \
        dimension BIGINT NOT NULL, \
        is_memory BOOLEAN NOT NULL, \
        embedding vector NOT NULL, \
        PRIMARY KEY (owner, revision), \
        FOREIGN KEY (owner, revision) REFERENCES memory_vectors (owner, revision) ON DELETE CASCADE \
    ); \
    CREATE INDEX memory_vector_index_kinds ON memory_vector_index (owner, is_memory)";

/// Whether the table is there, with its vectors: they go when the extension is dropped, and the rest stays.
#[derive(QueryId)]
struct TableIsThere;

impl Query for TableIsThere {
    type SqlType = Bool;
}

impl QueryFragment<Pg> for TableIsThere {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT EXISTS (SELECT FROM pg_attribute WHERE attname = 'embedding' \
             AND attrelid = to_regclass('memory_vector_index') AND NOT attisdropped)",
        );
        Ok(())
    }
}

/// Whether, besides, no vector is missing in it.
#[derive(QueryId)]
struct TableIsFilled;

impl Query for TableIsFilled {
    type SqlType = Bool;
}

impl QueryFragment<Pg> for TableIsFilled {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        TableIsThere.walk_ast(out.reborrow())?;
        out.push_sql(
            " AND coalesce(obj_description(to_regclass('memory_vector_index'), 'pg_class') = 'filled', false)",
        );
        Ok(())
    }
}

#[derive(QueryId)]
struct ExtensionIsInstalled;

impl Query for ExtensionIsInstalled {
    type SqlType = Bool;
}

impl QueryFragment<Pg> for ExtensionIsInstalled {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')");
        Ok(())
    }
}

/// Makes the table where the extension is to be had, and begins to fill in what was stored before. Where it cannot be
/// made, this says why, and everything else goes on.
pub(crate) async fn prepare(database: &Arc<Database>, connector: Connector) {
    let made = database.write(Durability::Flushed, (), |conn, ()| Box::pin(make(conn)));
    match made.await {
        Ok(true) => {
            tokio::spawn(fill(Arc::downgrade(database)));
            tokio::spawn(graphs::keep(connector, Arc::downgrade(database)));
        }
        Ok(false) => {}
        Err(error) => {
            warn(
                &error,
                "pgvector cannot be used: vectors are compared in this process only",
            );
        }
    }
}

/// Whether the table is there now.
async fn make(conn: &mut Conn) -> Outcome<bool> {
    if TableIsThere.get_result(conn).await? {
        return Ok(true);
    }
    if !ExtensionIsInstalled.get_result::<bool>(conn).await? {
        return Ok(false);
    }
    // Both end with the transaction. Another process may make the table meanwhile.
    conn.batch_execute(&format!(
        "SELECT pg_advisory_xact_lock({LOCK}); SET LOCAL lock_timeout TO '2s'"
    ))
    .await?;
    if !TableIsThere.get_result::<bool>(conn).await? {
        conn.batch_execute(MAKE_TABLE).await?;
        fill_batch(conn, &Place::default()).await?;
        tracing::info!("PostgreSQL compares vectors, with pgvector");
    }
    Ok(true)
}

/// Fills in what was stored while the table was not there or could not take it, until the store is dropped.
async fn fill(database: Weak<Database>) {
    let mut after = Place::default();
    while let Some(database) = database.upgrade() {
        let filling = fill_some(&database, after.clone()).await;
        drop(database);
        match filling {
            Ok(Some(last)) => after = last,
            Ok(None) => return,
            Err(error) => {
                warn(&error, "vectors cannot be made known to pgvector");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// The place of a vector: its owner and its revision. Owners are never empty: the default comes before all.
type Place = (String, i64);

async fn fill_some(database: &Database, after: Place) -> Result<Option<Place>, RepositoryError> {
    let filling = database.write(Durability::Written, after, |conn, after| {
        Box::pin(fill_batch(conn, after))
    });
    filling.await
}

#[derive(QueryableByName)]
struct StoredRow {
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = BigInt)]
    revision: i64,
    #[diesel(sql_type = BigInt)]
    dimension: i64,
    #[diesel(sql_type = Binary)]
    vector: Vec<u8>,
}

/// Fills in some of what is missing behind `after` and gives the place of the last one; `None` at the end. What somebody
/// is replacing or removing just now is left to them.
async fn fill_batch(conn: &mut Conn, after: &Place) -> Outcome<Option<Place>> {
    if !TableIsThere.get_result::<bool>(conn).await? || TableIsFilled.get_result(conn).await? {
        return Ok(None);
    }
    let rows: Vec<StoredRow> = diesel::sql_query(
        "SELECT v.owner, v.revision, v.dimension, v.vector FROM memory_vectors v \
         WHERE (v.owner, v.revision) > ($1, $2) AND NOT EXISTS (SELECT FROM memory_vector_index i \
         WHERE i.owner = v.owner AND i.revision = v.revision AND (i.owner, i.revision) > ($1, $2)) \
         ORDER BY v.owner, v.revision LIMIT $3 FOR KEY SHARE OF v SKIP LOCKED",
    )
    .bind::<Text, _>(&after.0)
    .bind::<BigInt, _>(after.1)
    .bind::<BigInt, _>(BATCH)
    .load(conn)
    .await?;
    let mut entries = Entries::default();
    for row in &rows {
        let dimension = u32::try_from(row.dimension).unwrap_or_default();
        if let Some(vector) = decode(&row.vector, dimension) {
            entries.add(&row.owner, row.revision, &vector);
        }
    }
    entries.insert(conn).await?;
    let last = rows.into_iter().next_back();
    if last.is_none() {
        conn.batch_execute(MARK_AS_FILLED).await?;
    }
    Ok(last.map(|row| (row.owner, row.revision)))
}

/// What is put into the table together.
#[derive(Default)]
struct Entries<'a> {
    owners: Vec<&'a str>,
    revisions: Vec<i64>,
    embeddings: Vec<String>,
}

impl<'a> Entries<'a> {
    /// Adds a vector, unless it is one that the extension refuses or that has no direction.
    fn add(&mut self, owner: &'a str, revision: i64, vector: &[f32]) {
        let is_finite = vector.iter().all(|number| number.is_finite());
        let has_direction = vector.iter().any(|number| *number != 0.0);
        if is_finite && has_direction && vector.len() <= MAX_DIMENSION {
            self.owners.push(owner);
            self.revisions.push(revision);
            self.embeddings.push(to_text(vector));
        }
    }

    async fn insert(self, conn: &mut Conn) -> Outcome<()> {
        if self.owners.is_empty() {
            return Ok(());
        }
        diesel::sql_query(
            "INSERT INTO memory_vector_index (owner, revision, model, dimension, is_memory, embedding) \
             SELECT v.owner, v.revision, v.model, v.dimension, v.memory_id IS NOT NULL, entry.embedding::vector \
             FROM unnest($1, $2, $3) AS entry (owner, revision, embedding) \
             JOIN memory_vectors v ON v.owner = entry.owner AND v.revision = entry.revision \
             ON CONFLICT DO NOTHING",
        )
        .bind::<Array<Text>, _>(self.owners)
        .bind::<Array<BigInt>, _>(self.revisions)
        .bind::<Array<Text>, _>(self.embeddings)
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// A vector as the extension reads it.
fn to_text(vector: &[f32]) -> String {
    let mut text = String::from("[");
    for (number, separator) in vector
        .iter()
        .zip(std::iter::once("").chain(std::iter::repeat(",")))
    {
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{number}");
    }
    text.push(']');
    text
}

/// Makes vectors that were just stored known to pgvector, where it is there. Where it does not take them they are stored all
/// the same, and nothing is asked of it before a later start has filled them in.
pub(crate) async fn index_vectors(
    conn: &mut Conn,
    owner: &str,
    stored: &[(i64, &[f32])],
) -> Outcome<()> {
    if !TableIsThere.get_result::<bool>(conn).await? {
        return Ok(());
    }
    let mut entries = Entries::default();
    for (revision, vector) in stored {
        entries.add(owner, *revision, vector);
    }
    let indexed = conn
        .transaction(async |conn| entries.insert(conn).await)
        .await;
    match indexed {
        Err(QueryError::Statement(error))
            if !is_connection_lost(&error) && !is_deadlock(&error) =>
        {
            tracing::warn!(%error, "pgvector does not take vectors: they are compared in this process only");
            conn.batch_execute(MARK_AS_LACKING).await?;
            Ok(())
        }
        indexed => indexed,
    }
}

#[derive(QueryableByName)]
struct Near {
    #[diesel(sql_type = BigInt)]
    revision: i64,
    #[diesel(sql_type = Nullable<Text>)]
    memory_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    message_id: Option<String>,
    #[diesel(sql_type = Double)]
    similarity: f64,
}

/// The nearest vectors, the nearest first; `None` where pgvector is not there or does not know all. In a transaction, so that a connection is
/// closed whose answer nobody waits for any more.
pub(crate) async fn nearest_vectors(
    conn: &mut Conn,
    owner: &str,
    space: &VectorSpace,
    question: &[f32],
    turns: bool,
    limit: u32,
) -> Outcome<Option<Vec<NearRow>>> {
    // Nothing is near to what has no direction.
    if question.iter().all(|number| *number == 0.0) {
        return Ok(None);
    }
    conn.transaction(async |conn| {
        if !TableIsFilled.get_result::<bool>(conn).await? {
            return Ok(None);
        }
        conn.batch_execute(&format!("SET LOCAL statement_timeout TO {SEARCH_LIMIT}"))
            .await?;
        let graphs = Graphs::of(conn, owner, space.dimension).await?;
        if graphs.any() {
            conn.batch_execute(graphs::SEARCH).await?;
        }
        let statement = nearest_statement(&graphs, space.dimension, turns);
        let rows: Vec<Near> = diesel::sql_query(statement)
            .bind::<Text, _>(owner)
            .bind::<Text, _>(encode_text(&space.model))
            .bind::<Array<Float>, _>(question)
            .bind::<BigInt, _>(i64::from(limit))
            .load(conn)
            .await?;
        let rows = rows.into_iter().filter(|row| row.similarity.is_finite());
        let rows = rows.map(|row| (row.revision, row.memory_id, row.message_id, row.similarity));
        Ok(Some(rows.collect()))
    })
    .await
}

/// Plain SQL, which is planned anew each time: what is the quickest differs with the owner. Memories and messages are
/// sought apart, as their graphs are.
fn nearest_statement(graphs: &Graphs, dimension: u32, turns: bool) -> String {
    let of_kind = |is_memory| {
        let embedding = if graphs.has(is_memory) {
            format!("embedding::vector({dimension})")
        } else {
            "embedding".to_owned()
        };
        format!(
            "(SELECT revision, {embedding} <=> (SELECT $3::vector) AS distance \
             FROM memory_vector_index WHERE owner = $1 AND model = $2 \
             AND dimension = {dimension} AND is_memory = {is_memory} ORDER BY distance LIMIT $4)"
        )
    };
    let kinds: &[bool] = if turns { &[true, false] } else { &[true] };
    let kinds: Vec<String> = kinds.iter().map(|is_memory| of_kind(*is_memory)).collect();
    format!(
        "SELECT v.revision, v.memory_id, v.message_id, 1 - near.distance AS similarity \
         FROM (SELECT revision, distance FROM ({}) found ORDER BY distance LIMIT $4) near \
         JOIN memory_vectors v ON v.owner = $1 AND v.revision = near.revision \
         ORDER BY near.distance",
        kinds.join(" UNION ALL ")
    )
}

fn warn(error: &RepositoryError, what: &str) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(error, "{what}");
}

#[cfg(test)]
mod tests;
