//! The audit log against somebody who writes to the file.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use majordomo_application::ports::RepositoryError;
use majordomo_domain::{AuditRecord, Timestamp};
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteStore};
use majordomo_testkit::tampering;

use crate::test_store;

#[tokio::test]
async fn tampering_with_the_file_is_found() {
    let test = test_store();
    let path = test.config.path.to_str().unwrap().to_owned();
    tampering::tampering_is_found(test.store.audit(), async |sql: &str| {
        let mut connection = SqliteConnection::establish(&path).unwrap();
        connection
            .batch_execute(&format!("PRAGMA busy_timeout = 5000; {sql}"))
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_file_in_use_can_be_inspected_and_not_written() {
    let test = test_store();
    let record = AuditRecord::of_system("test.act", Timestamp::EPOCH);
    test.store.audit().append(&record).await.unwrap();
    let inspected = SqliteStore::inspect(&test.config).unwrap().audit();
    assert_eq!(inspected.page(0, 10).await.unwrap().len(), 1);
    test.store.audit().append(&record).await.unwrap();
    assert_eq!(inspected.page(0, 10).await.unwrap().len(), 2);
    let refused = inspected.append(&record).await;
    assert!(matches!(refused, Err(RepositoryError::Unavailable(_))));
}

#[test]
fn what_is_not_there_is_not_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(folder.path().join("missing.sqlite3"));
    assert!(SqliteStore::inspect(&config).is_err());
    assert!(!config.path.exists());
}
