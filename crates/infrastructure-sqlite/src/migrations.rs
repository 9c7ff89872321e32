//! Brings a database file to the schema of this program.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::store::StoreError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

type AnyMigration = Box<dyn Migration<Sqlite>>;

/// Applies what is missing and names it. A file with data is copied first.
pub(crate) fn apply(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<Vec<String>, StoreError> {
    let applied = applied_versions(connection)?;
    let missing = missing(&applied)?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    if !applied.is_empty() {
        snapshot(connection, path, &missing)?;
    }
    run(connection, &missing)?;
    Ok(missing.iter().map(name_of).collect())
}

/// The names of the migrations the database lacks.
pub(crate) fn pending(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let missing = missing(&applied_versions(connection)?)?;
    Ok(missing.iter().map(name_of).collect())
}

/// The names of all migrations.
pub(crate) fn all() -> Result<Vec<String>, StoreError> {
    Ok(missing(&[])?.iter().map(name_of).collect())
}

/// Versions of the migrations that made the database.
pub(crate) fn applied(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    applied_versions(connection)
}

/// Refuses versions that this program does not know.
pub(crate) fn check_known(versions: &[String]) -> Result<(), StoreError> {
    missing(versions).map(drop)
}

/// Applies the migrations with these versions to an empty database.
pub(crate) fn apply_only(
    connection: &mut SqliteConnection,
    versions: &[String],
) -> Result<(), StoreError> {
    let mut wanted = missing(&[])?;
    wanted.retain(|migration| versions.contains(&version_of(migration)));
    run(connection, &wanted)
}

/// Applies what is missing. The file is not copied before.
pub(crate) fn apply_missing(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let missing = missing(&applied_versions(connection)?)?;
    run(connection, &missing)
}

fn run(connection: &mut SqliteConnection, migrations: &[AnyMigration]) -> Result<(), StoreError> {
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
pub(crate) fn revert_all(connection: &mut SqliteConnection) {
    connection.revert_all_migrations(MIGRATIONS).unwrap();
}

fn missing(applied: &[String]) -> Result<Vec<AnyMigration>, StoreError> {
    let mut missing: Vec<AnyMigration> = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
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
fn applied_versions(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let unreadable = |error: diesel::result::Error| StoreError::Unreadable {
        reason: error.to_string(),
    };
    let tables: Vec<Version> = diesel::sql_query(
        "SELECT name AS version FROM sqlite_schema WHERE name = '__diesel_schema_migrations'",
    )
    .load(connection)
    .map_err(unreadable)?;
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let versions: Vec<Version> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations ORDER BY version")
            .load(connection)
            .map_err(unreadable)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

/// Copies the database to `<path>.before-<version>.bak`, replacing an older copy of the same name.
fn snapshot(
    connection: &mut SqliteConnection,
    path: &Path,
    missing: &[AnyMigration],
) -> Result<(), StoreError> {
    let version = missing.first().map(version_of).unwrap_or_default();
    let mut copy = path.as_os_str().to_owned();
    copy.push(format!(".before-{version}.bak"));
    let copy = PathBuf::from(copy);
    let failed = |reason: String| StoreError::Snapshot {
        path: copy.clone(),
        reason,
    };
    if copy.exists() {
        std::fs::remove_file(&copy).map_err(|error| failed(error.to_string()))?;
    }
    // An empty file may be written to, and keeps its permissions.
    crate::lock::private_file(&copy).map_err(|error| failed(error.to_string()))?;
    let quoted = copy.to_string_lossy().replace('\'', "''");
    connection
        .batch_execute(&format!("VACUUM INTO '{quoted}'"))
        .map_err(|error| failed(error.to_string()))
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
