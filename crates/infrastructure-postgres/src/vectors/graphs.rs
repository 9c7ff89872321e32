//! HNSW graphs over vectors, one for the memories and one for the messages of an owner who has many of one length: they
//! answer in a tenth of the time that comparing all takes, and miss next to none. A graph over the vectors of many owners
//! would miss much of what belongs to one of them. Making one takes minutes, so it is made beside the work of the server,
//! by one server at a time.

use std::sync::Weak;
use std::time::Duration;

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use crate::backend::Conn;
use crate::connect::Connector;
use crate::database::Database;

/// Fewer vectors are compared quickly enough without.
const LEAST: i64 = 100_000;
/// How long a server has been open before it makes graphs, so that commands do not, and how often it looks again.
const REVIEW: Duration = Duration::from_hours(1);
/// The most numbers in a vector that a graph takes.
const MAX_DIMENSION: i64 = 2_000;
/// Names the advisory lock of whoever makes graphs: "majorvec" as a number.
const LOCK: i64 = 0x6d61_6a6f_7276_6563;

/// How a graph is searched in a transaction: further than for the few nearest, and on until there are enough of the model.
pub(super) const SEARCH: &str =
    "SET LOCAL hnsw.ef_search = 200; SET LOCAL hnsw.iterative_scan = 'relaxed_order'";

/// The name of a graph, as an expression with the expressions of its owner and of its length in it.
fn name(is_memory: bool, owner: &str, dimension: &str) -> String {
    let kind = if is_memory { "memories" } else { "turns" };
    format!("'vectors_{kind}_' || {dimension} || '_' || md5({owner})")
}

/// Which vectors have a graph.
#[derive(QueryableByName)]
pub(super) struct Graphs {
    #[diesel(sql_type = Bool)]
    memories: bool,
    #[diesel(sql_type = Bool)]
    turns: bool,
}

impl Graphs {
    /// Those of an owner.
    pub(super) async fn of(
        conn: &mut Conn,
        owner: &str,
        dimension: u32,
    ) -> Result<Self, DieselError> {
        let [memories, turns] = [true, false].map(|is_memory| name(is_memory, "$1", "$2"));
        diesel::sql_query(format!(
            "SELECT to_regclass({memories}) IS NOT NULL AS memories, \
             to_regclass({turns}) IS NOT NULL AS turns"
        ))
        .bind::<Text, _>(owner)
        .bind::<Text, _>(dimension.to_string())
        .get_result(conn)
        .await
    }

    /// Whether there is one.
    pub(super) const fn any(&self) -> bool {
        self.memories || self.turns
    }

    /// Whether there is one of memories or of messages.
    pub(super) const fn has(&self, is_memory: bool) -> bool {
        if is_memory { self.memories } else { self.turns }
    }
}

/// Makes what graphs are worth it, until the store is dropped.
pub(super) async fn keep(connector: Connector, database: Weak<Database>) {
    loop {
        tokio::time::sleep(REVIEW).await;
        if database.strong_count() == 0 {
            return;
        }
        if let Err(error) = review(&connector).await {
            tracing::warn!(error, "vectors have no index: comparing them takes longer");
        }
    }
}

async fn review(connector: &Connector) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut conn = connector.connect().await?;
    Ok(make_missing(&mut conn, LEAST).await?)
}

#[derive(QueryableByName)]
struct Yes {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

async fn is_true(conn: &mut Conn, question: &str) -> Result<bool, DieselError> {
    let rows: Vec<Yes> = diesel::sql_query(question).load(conn).await?;
    Ok(rows.into_iter().next().is_some_and(|row| row.yes))
}

/// A graph that is missing or was not finished.
#[derive(QueryableByName)]
struct Missing {
    /// Removes what there is of it.
    #[diesel(sql_type = Text)]
    removal: String,
    #[diesel(sql_type = Text)]
    making: String,
}

/// Makes the graphs that are missing where an owner has `least` vectors of one kind and length. The connection is of no
/// use afterwards.
pub(super) async fn make_missing(conn: &mut Conn, least: i64) -> Result<(), DieselError> {
    // Older ones of the extension do not go on where the nearest are of another model.
    let is_able = "SELECT string_to_array(substring(extversion FROM '^[0-9]+[.][0-9]+'), '.')::int[] >= '{0,8}' AS yes \
         FROM pg_extension WHERE extname = 'vector'";
    let lock = format!("SELECT pg_try_advisory_lock({LOCK}) AS yes");
    if !is_true(conn, is_able).await? || !is_true(conn, &lock).await? {
        return Ok(());
    }
    conn.batch_execute("SET statement_timeout TO 0").await?;
    // Ends the work when this process does. Not every server can.
    let _ = conn
        .batch_execute("SET client_connection_check_interval TO 1000")
        .await;
    for removal in unneeded(conn, least / 2).await? {
        conn.batch_execute(&removal.sql).await?;
    }
    for graph in missing(conn, least).await? {
        conn.batch_execute(&graph.removal).await?;
        tracing::info!("PostgreSQL makes an index of a user's vectors");
        match conn.batch_execute(&graph.making).await {
            Ok(()) => tracing::info!("the index of a user's vectors is made"),
            Err(error) => {
                tracing::warn!(%error, "an index of a user's vectors cannot be made");
                conn.batch_execute(&graph.removal).await?;
            }
        }
    }
    Ok(())
}

/// What removes a graph.
#[derive(QueryableByName)]
struct Removal {
    #[diesel(sql_type = Text)]
    sql: String,
}

/// Graphs of owners who have fewer than `least` vectors of their kind and length by now.
async fn unneeded(conn: &mut Conn, least: i64) -> Result<Vec<Removal>, DieselError> {
    let [memories, turns] = [true, false].map(|is_memory| name(is_memory, "owner", "dimension"));
    diesel::sql_query(format!(
        "SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I', relname) AS sql \
         FROM pg_index JOIN pg_class ON oid = indexrelid \
         WHERE indrelid = to_regclass('memory_vector_index') AND relname ~ '^vectors_(memories|turns)_' \
         AND relname NOT IN (SELECT CASE WHEN is_memory THEN {memories} ELSE {turns} END \
         FROM memory_vector_index GROUP BY owner, dimension, is_memory HAVING count(*) >= $1)"
    ))
    .bind::<BigInt, _>(least)
    .load(conn)
    .await
}

async fn missing(conn: &mut Conn, least: i64) -> Result<Vec<Missing>, DieselError> {
    let [memories, turns] = [true, false].map(|is_memory| name(is_memory, "owner", "dimension"));
    diesel::sql_query(format!(
        "SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I', name) AS removal, \
         format('CREATE INDEX CONCURRENTLY %I ON memory_vector_index USING hnsw \
         ((embedding::vector(%s)) vector_cosine_ops) WHERE owner = %L AND dimension = %s AND is_memory = %L', \
         name, dimension, owner, dimension, is_memory) AS making \
         FROM (SELECT owner, dimension, is_memory, \
         CASE WHEN is_memory THEN {memories} ELSE {turns} END AS name FROM memory_vector_index \
         WHERE dimension <= $1 GROUP BY owner, dimension, is_memory HAVING count(*) >= $2) large \
         WHERE NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(name) AND indisvalid)"
    ))
    .bind::<BigInt, _>(MAX_DIMENSION)
    .bind::<BigInt, _>(least)
    .load(conn)
    .await
}
