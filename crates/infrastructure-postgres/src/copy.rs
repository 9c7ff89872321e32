//! Copies of a whole database.

use std::time::Duration;

use async_trait::async_trait;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};
use majordomo_application::ports::{CopyError, CopyStep, DatabaseCopy};
use tokio::sync::mpsc;

use crate::backend::decode_text;
use crate::catalog::{self, Blocking, ForeignKeys};
use crate::connect::Connector;
use crate::migrations;
use crate::repositories::{export, failed, in_transaction, index_text, load, receive_schema};
use crate::store::{PostgresConfig, StoreError, connect};

/// Messages that are indexed together.
const INDEXED: &str = "500";
/// How often and how long other connections are waited for: two seconds.
const OTHERS_TRIES: u32 = 20;
const OTHERS_PAUSE: Duration = Duration::from_millis(100);

/// Copies the database. Servers may be at work while it is read; none may be while it is filled.
pub struct PostgresCopy {
    config: PostgresConfig,
}

impl PostgresCopy {
    /// Of this database.
    pub const fn new(config: PostgresConfig) -> Self {
        Self { config }
    }

    async fn run(
        &self,
        work: impl FnOnce(&mut Blocking) -> Result<(), CopyError> + Send + 'static,
    ) -> Result<(), CopyError> {
        let connector = Connector::new(&self.config).map_err(unavailable)?;
        let connection = connect(&connector).await.map_err(unavailable)?;
        let work = move || {
            let mut connection = Blocking::from(connection);
            connection
                .batch_execute("SET statement_timeout TO 0; SET lock_timeout TO '30s'")
                .map_err(failed)?;
            work(&mut connection)
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(CopyError::Database(Box::new(error))))
    }
}

#[async_trait]
impl DatabaseCopy for PostgresCopy {
    async fn export(&self, to: mpsc::Sender<CopyStep>) -> Result<(), CopyError> {
        self.run(move |connection| in_transaction(connection, |connection| read(connection, &to)))
            .await
    }

    async fn import(
        &self,
        mut from: mpsc::Receiver<CopyStep>,
        replace: bool,
    ) -> Result<(), CopyError> {
        self.run(move |connection| {
            await_others(connection)?;
            migrations::take_lock(connection).map_err(unavailable)?;
            in_transaction(connection, |connection| {
                write(connection, &mut from, replace)
            })
        })
        .await
    }
}

/// Refuses a database in use. Connections of a server that has just ended are given a moment to end, too.
fn await_others(connection: &mut Blocking) -> Result<(), CopyError> {
    #[derive(QueryableByName)]
    struct Others {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    for _ in 0..OTHERS_TRIES {
        let others: Others = diesel::sql_query(
            "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = 'majordomo' AND pid <> pg_backend_pid()",
        )
        .get_result(connection)
        .map_err(failed)?;
        if others.count == 0 {
            return Ok(());
        }
        std::thread::sleep(OTHERS_PAUSE);
    }
    let reason = "the database is in use by a server; stop it first".to_owned();
    Err(CopyError::Unavailable(reason))
}

/// Sees the database as it was when it began.
fn read(connection: &mut Blocking, to: &mpsc::Sender<CopyStep>) -> Result<(), CopyError> {
    connection
        .batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .map_err(failed)?;
    let migrations = migrations::applied(connection).map_err(unavailable)?;
    if migrations.is_empty() {
        let reason = "the database has no tables of this program".to_owned();
        return Err(CopyError::Unavailable(reason));
    }
    migrations::check_known(&migrations).map_err(unavailable)?;
    export(connection, migrations, to)
}

fn write(
    connection: &mut Blocking,
    from: &mut mpsc::Receiver<CopyStep>,
    replace: bool,
) -> Result<(), CopyError> {
    let schema = receive_schema(from)?;
    migrations::check_known(&schema.migrations).map_err(unavailable)?;
    if catalog::is_occupied(connection)? && !replace {
        return Err(CopyError::Occupied);
    }
    migrations::revert(connection).map_err(unavailable)?;
    migrations::apply_only(connection, &schema.migrations).map_err(unavailable)?;
    let keys = ForeignKeys::take_off(connection)?;
    load(connection, &schema, from)?;
    index(connection)?;
    keys.put_on(connection)?;
    catalog::advance_counters(connection)?;
    migrations::apply_missing(connection).map_err(unavailable)?;
    connection.batch_execute("ANALYZE").map_err(failed)
}

#[derive(QueryableByName)]
struct Message {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = Text)]
    text: String,
}

/// Makes all messages findable, the oldest first.
fn index(connection: &mut Blocking) -> Result<(), CopyError> {
    connection
        .batch_execute(
            "DECLARE unindexed NO SCROLL CURSOR FOR \
             SELECT id, owner, text FROM messages ORDER BY created_at, id",
        )
        .map_err(failed)?;
    loop {
        let messages: Vec<Message> = diesel::sql_query(format!("FETCH {INDEXED} FROM unindexed"))
            .load(connection)
            .map_err(failed)?;
        if messages.is_empty() {
            return connection.batch_execute("CLOSE unindexed").map_err(failed);
        }
        let (mut ids, mut owners, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages {
            ids.push(message.id);
            owners.push(message.owner);
            words.push(index_text(&decode_text(message.text)));
        }
        diesel::sql_query(
            "INSERT INTO message_search (message_id, owner, words) \
             SELECT id, owner, to_tsvector('majordomo', words) \
             FROM unnest($1, $2, $3) AS message (id, owner, words)",
        )
        .bind::<Array<Text>, _>(&ids)
        .bind::<Array<Text>, _>(&owners)
        .bind::<Array<Text>, _>(&words)
        .execute(connection)
        .map_err(failed)?;
    }
}

fn unavailable(error: StoreError) -> CopyError {
    match error {
        StoreError::NewerSchema { versions } => CopyError::NewerSchema { versions },
        other => CopyError::Unavailable(other.to_string()),
    }
}
