//! HNSW graphs over the vectors, one for each length that many of them have: they answer in a tenth of the time that
//! comparing all of an owner's takes, and miss next to none. Making one takes minutes, so it is made beside the work of
//! the server, by one server at a time.

use std::sync::Weak;
use std::time::Duration;

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{BigInt, Bool};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use crate::backend::Conn;
use crate::connect::Connector;
use crate::database::Database;

/// Fewer vectors of one length are compared quickly enough without.
const LEAST: i64 = 100_000;
/// How long a server has been open before it makes graphs, so that commands do not, and how often it looks again.
const REVIEW: Duration = Duration::from_mins(10);
/// The most numbers in a vector that a graph takes.
const MAX_DIMENSION: i64 = 2_000;
/// Names the advisory lock of whoever makes graphs: "majorvec" as a number.
const LOCK: i64 = 0x6d61_6a6f_7276_6563;

/// How a graph is searched in a transaction: further than for the few nearest, and on until there are enough of one owner.
pub(super) const SEARCH: &str =
    "SET LOCAL hnsw.ef_search = 200; SET LOCAL hnsw.iterative_scan = 'relaxed_order'";

/// What the graph of vectors of this length is called.
pub(super) fn name(dimension: i64) -> String {
    format!("memory_vector_index_{dimension}")
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

#[derive(QueryableByName)]
struct Length {
    #[diesel(sql_type = BigInt)]
    dimension: i64,
}

async fn ask(conn: &mut Conn, question: &str) -> Result<Option<bool>, DieselError> {
    let rows: Vec<Yes> = diesel::sql_query(question).load(conn).await?;
    Ok(rows.into_iter().next().map(|row| row.yes))
}

/// Makes the graphs that are missing of every length that `least` vectors have. The connection is of no use afterwards.
pub(super) async fn make_missing(conn: &mut Conn, least: i64) -> Result<(), DieselError> {
    // Older ones of the extension stop before there are enough of one owner.
    let is_able = "SELECT string_to_array(extversion, '.')::int[] >= '{0,8}' AS yes \
         FROM pg_extension WHERE extname = 'vector'";
    if ask(conn, is_able).await? != Some(true) {
        return Ok(());
    }
    let lock = format!("SELECT pg_try_advisory_lock({LOCK}) AS yes");
    if ask(conn, &lock).await? != Some(true) {
        return Ok(());
    }
    // The last one, where the server knows it, ends the work when this process does.
    conn.batch_execute(
        "SET statement_timeout TO 0; \
         SELECT set_config(name, '1000', false) FROM pg_settings WHERE name = 'client_connection_check_interval'",
    )
    .await?;
    let lengths: Vec<Length> = diesel::sql_query(
        "SELECT dimension FROM memory_vector_index WHERE dimension <= $1 \
         GROUP BY dimension HAVING count(*) >= $2",
    )
    .bind::<BigInt, _>(MAX_DIMENSION)
    .bind::<BigInt, _>(least)
    .load(conn)
    .await?;
    for Length { dimension } in lengths {
        make(conn, dimension).await?;
    }
    Ok(())
}

async fn make(conn: &mut Conn, dimension: i64) -> Result<(), DieselError> {
    let name = name(dimension);
    let is_whole =
        format!("SELECT indisvalid AS yes FROM pg_index WHERE indexrelid = to_regclass('{name}')");
    match ask(conn, &is_whole).await? {
        Some(true) => return Ok(()),
        // Somebody ended before it was done.
        Some(false) => {
            conn.batch_execute(&format!("DROP INDEX CONCURRENTLY {name}"))
                .await?;
        }
        None => {}
    }
    tracing::info!(dimension, "PostgreSQL makes an index of vectors");
    conn.batch_execute(&format!(
        "CREATE INDEX CONCURRENTLY {name} ON memory_vector_index \
         USING hnsw ((embedding::vector({dimension})) vector_cosine_ops) WHERE dimension = {dimension}"
    ))
    .await?;
    tracing::info!(dimension, "the index of vectors is made");
    Ok(())
}
