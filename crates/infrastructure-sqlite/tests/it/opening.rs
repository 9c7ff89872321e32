//! Opening, locking, migrating, and files that cannot be used.

use std::fs;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use majordomo_application::ports::RepositoryError;
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteStore, StoreError};
use majordomo_testkit::builders::{session_id, turn, user};

use crate::test_store;

fn error_of(config: &SqliteConfig) -> StoreError {
    match SqliteStore::open(config) {
        Ok(_) => panic!("the database was opened"),
        Err(error) => error,
    }
}

#[test]
fn a_second_owner_is_told_who_has_the_file() {
    let test = test_store();
    let error = error_of(&test.config);
    let pid = std::process::id();
    assert!(matches!(error, StoreError::Locked { holder: Some(holder), .. } if holder == pid));
    assert!(error.to_string().contains(&format!("process {pid}")));
    assert!(SqliteStore::pending(&test.config).unwrap().is_empty());
    test.store.close();
    SqliteStore::open(&test.config).unwrap();
}

#[tokio::test]
async fn what_was_stored_is_there_again() {
    let test = test_store();
    let journal = test.store.journal();
    journal
        .accept(turn("alice", "trip", 1, "hello"))
        .await
        .unwrap();
    test.store.close();
    let late = journal.accept(turn("alice", "trip", 2, "late")).await;
    assert!(matches!(late, Err(RepositoryError::Unavailable(_))));

    let store = SqliteStore::open(&test.config).unwrap();
    let session = store
        .sessions()
        .find(&user("alice"), &session_id("trip"))
        .await;
    assert_eq!(session.unwrap().unwrap().message_count, 1);
}

#[tokio::test]
async fn a_damaged_unfinished_run_does_not_hide_the_others() {
    let test = test_store();
    let journal = test.store.journal();
    for number in 1..=2 {
        let turn = turn("alice", "trip", number, "hello");
        journal.accept(turn).await.unwrap();
    }
    let unfinished = journal.unfinished().await.unwrap();
    assert_eq!(unfinished.len(), 2);
    test.store.close();
    let damaged = unfinished[0].id.as_str();
    let damage = format!("UPDATE runs SET kind = 'nonsense' WHERE id = '{damaged}'");
    execute(&test.config.path, &damage);

    let store = SqliteStore::open(&test.config).unwrap();
    let left = store.journal().unfinished().await.unwrap();
    assert_eq!(left, unfinished[1..]);
}

#[test]
fn pending_migrations_are_named_without_making_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(folder.path().join("new.sqlite3"));
    let pending = SqliteStore::pending(&config).unwrap();
    assert!(!pending.is_empty());
    assert!(!config.path.exists());
    assert_eq!(SqliteStore::migrate(&config).unwrap(), pending);
    assert!(SqliteStore::pending(&config).unwrap().is_empty());
    assert!(SqliteStore::migrate(&config).unwrap().is_empty());
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let test = test_store();
    test.store.close();
    execute(
        &test.config.path,
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')",
    );
    let error = error_of(&test.config);
    assert!(
        matches!(&error, StoreError::NewerSchema { versions } if versions == &["99990101000000"])
    );
}

#[test]
fn files_that_are_no_database_are_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(folder.path().join("text.sqlite3"));
    let text = "this is no database, but something of value\n".repeat(200);
    fs::write(&config.path, &text).unwrap();
    let error = error_of(&config);
    assert!(error.to_string().contains("not a database"), "{error}");
    assert_eq!(fs::read_to_string(&config.path).unwrap(), text);
}

#[test]
fn a_missing_folder_is_named() {
    let config = SqliteConfig::new("/nonexistent/folder/majordomo.sqlite3");
    let error = error_of(&config);
    assert!(matches!(error, StoreError::Open { .. }));
    assert!(error.to_string().contains("/nonexistent/folder"), "{error}");
}

#[cfg(unix)]
#[test]
fn the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let test = test_store();
    let mode = fs::metadata(&test.config.path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

fn execute(path: &Path, sql: &str) {
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute(sql).unwrap();
}
