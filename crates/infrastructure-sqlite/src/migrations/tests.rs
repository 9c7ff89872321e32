//! The way up, down and up again, and the copy before it.

use super::*;
use crate::database::{Role, connect};
use crate::store::SqliteConfig;

fn schema(connection: &mut SqliteConnection) -> Vec<String> {
    let rows: Vec<Version> = diesel::sql_query(
        "SELECT type || ' ' || name || ': ' || coalesce(sql, '') AS version FROM sqlite_schema \
         WHERE name <> '__diesel_schema_migrations' ORDER BY 1",
    )
    .load(connection)
    .unwrap();
    rows.into_iter().map(|row| row.version).collect()
}

#[test]
fn down_undoes_up() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(folder.path().join("test.sqlite3"));
    let mut connection = connect(&config.path, Role::Writer).unwrap();
    let names = apply(&mut connection, &config.path).unwrap();
    assert_eq!(names, all().unwrap());
    let up = schema(&mut connection);
    revert_all(&mut connection);
    let left: Vec<String> = schema(&mut connection)
        .into_iter()
        .filter(|entry| !entry.contains("__diesel_schema_migrations"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    apply(&mut connection, &config.path).unwrap();
    assert_eq!(schema(&mut connection), up);
}

#[test]
fn a_file_with_data_is_copied_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a test.sqlite3");
    let mut connection = connect(&path, Role::Writer).unwrap();
    // A database whose only known migration is not applied but another one is.
    let migrations = MigrationSource::<Sqlite>::migrations(&MIGRATIONS).unwrap();
    connection
        .batch_execute("CREATE TABLE keepsake (note TEXT); INSERT INTO keepsake VALUES ('kept')")
        .unwrap();
    snapshot(&mut connection, &path, &migrations).unwrap();
    // The same copy again replaces the first.
    snapshot(&mut connection, &path, &migrations).unwrap();
    let version = version_of(&migrations[0]);
    let copy = folder
        .path()
        .join(format!("it's a test.sqlite3.before-{version}.bak"));
    let mut copied = connect(&copy, Role::Inspector).unwrap();
    let notes: Vec<Version> = diesel::sql_query("SELECT note AS version FROM keepsake")
        .load(&mut copied)
        .unwrap();
    assert_eq!(notes[0].version, "kept");
}
