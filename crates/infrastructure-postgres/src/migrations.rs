//! Brings a database to the schema of this program.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::store::StoreError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Names the advisory lock that one migrating process holds: "majordom" as a number.
pub(crate) const LOCK: i64 = 0x6d61_6a6f_7264_6f6d;
/// How often and how long another process's migration is waited for: a minute.
const LOCK_TRIES: u32 = 600;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// diesel's migrations work on blocking connections.
pub(crate) type Blocking = AsyncConnectionWrapper<AsyncPgConnection>;
type AnyMigration = Box<dyn Migration<Pg>>;

/// Applies what is missing and names it.
pub(crate) async fn apply(connection: AsyncPgConnection) -> Result<Vec<String>, StoreError> {
    blocking(connection, |connection| {
        if missing(&applied_versions(connection)?)?.is_empty() {
            return Ok(Vec::new());
        }
        take_lock(connection)?;
        connection
            .batch_execute("SET statement_timeout TO 0")
            .map_err(|error| failed("", error.to_string()))?;
        // Another process may have applied them meanwhile.
        let missing = missing(&applied_versions(connection)?)?;
        run(connection, &missing)?;
        // The lock ends with the connection.
        Ok(missing.iter().map(name_of).collect())
    })
    .await
}

/// The names of the migrations the database lacks.
pub(crate) async fn pending(connection: AsyncPgConnection) -> Result<Vec<String>, StoreError> {
    blocking(connection, |connection| {
        let missing = missing(&applied_versions(connection)?)?;
        Ok(missing.iter().map(name_of).collect())
    })
    .await
}

/// Versions of the migrations that made the database.
pub(crate) fn applied(connection: &mut Blocking) -> Result<Vec<String>, StoreError> {
    applied_versions(connection)
}

/// Refuses versions that this program does not know.
pub(crate) fn check_known(versions: &[String]) -> Result<(), StoreError> {
    missing(versions).map(drop)
}

/// Undoes all migrations, and removes what is derived from their tables.
pub(crate) fn revert(connection: &mut Blocking) -> Result<(), StoreError> {
    connection
        .batch_execute("DROP TABLE IF EXISTS memory_vector_index")
        .map_err(|error| failed("", error.to_string()))?;
    connection
        .revert_all_migrations(MIGRATIONS)
        .map(drop)
        .map_err(|error| failed("", error.to_string()))
}

/// Applies the migrations with these versions to an empty database.
pub(crate) fn apply_only(connection: &mut Blocking, versions: &[String]) -> Result<(), StoreError> {
    let mut wanted = missing(&[])?;
    wanted.retain(|migration| versions.contains(&version_of(migration)));
    run(connection, &wanted)
}

/// Applies what is missing.
pub(crate) fn apply_missing(connection: &mut Blocking) -> Result<(), StoreError> {
    let missing = missing(&applied_versions(connection)?)?;
    run(connection, &missing)
}

fn run(connection: &mut Blocking, migrations: &[AnyMigration]) -> Result<(), StoreError> {
    // Makes diesel's table where there is none.
    connection
        .applied_migrations()
        .map_err(|error| failed("", error.to_string()))?;
    for migration in migrations {
        connection
            .run_migration(migration)
            .map_err(|error| failed(&name_of(migration), error.to_string()))?;
    }
    Ok(())
}

/// Undoes all migrations: for tests of the way down.
#[cfg(test)]
pub(crate) async fn revert_all(connection: AsyncPgConnection) {
    blocking(connection, revert).await.unwrap();
}

async fn blocking<T: Send + 'static>(
    connection: AsyncPgConnection,
    work: impl FnOnce(&mut Blocking) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(move || work(&mut Blocking::from(connection)))
        .await
        .unwrap_or_else(|error| Err(failed("", error.to_string())))
}

pub(crate) fn take_lock(connection: &mut Blocking) -> Result<(), StoreError> {
    #[derive(QueryableByName)]
    struct Locked {
        #[diesel(sql_type = Bool)]
        locked: bool,
    }
    for _ in 0..LOCK_TRIES {
        let taken: Locked =
            diesel::sql_query(format!("SELECT pg_try_advisory_lock({LOCK}) AS locked"))
                .get_result(connection)
                .map_err(|error| failed("", error.to_string()))?;
        if taken.locked {
            return Ok(());
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(StoreError::Locked)
}

fn missing(applied: &[String]) -> Result<Vec<AnyMigration>, StoreError> {
    let mut missing: Vec<AnyMigration> = MigrationSource::<Pg>::migrations(&MIGRATIONS)
        .map_err(|error| failed("", error.to_string()))?;
    let known: Vec<String> = missing.iter().map(version_of).collect();
    let unknown: Vec<String> = applied
        .iter()
        .filter(|version| !known.contains(version))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(StoreError::NewerSchema { versions: unknown });
    }
    missing.retain(|migration| !applied.contains(&version_of(migration)));
    missing.sort_by_key(version_of);
    Ok(missing)
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Reads diesel's own table, without making it where there is none.
fn applied_versions(connection: &mut Blocking) -> Result<Vec<String>, StoreError> {
    let failed = |error: diesel::result::Error| failed("", error.to_string());
    let tables: Vec<Version> = diesel::sql_query(
        "SELECT 'found' AS version WHERE to_regclass('__diesel_schema_migrations') IS NOT NULL",
    )
    .load(connection)
    .map_err(failed)?;
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let versions: Vec<Version> = diesel::sql_query(
        "SELECT version::text AS version FROM __diesel_schema_migrations ORDER BY version",
    )
    .load(connection)
    .map_err(failed)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

fn failed(migration: &str, reason: String) -> StoreError {
    StoreError::Migration {
        migration: migration.to_owned(),
        reason,
    }
}

fn name_of(migration: &AnyMigration) -> String {
    migration.name().to_string()
}

fn version_of(migration: &AnyMigration) -> String {
    migration.name().version().to_string()
}

#[cfg(test)]
mod tests;
