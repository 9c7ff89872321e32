//! The audit log against somebody who writes to the file.

use std::sync::Arc;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use majordomo_application::Caller;
use majordomo_application::audit::AuditService;
use majordomo_application::ports::{AuditLog, RepositoryError};
use majordomo_domain::{AuditRecord, CredentialKind, Timestamp};
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteStore};
use majordomo_testkit::audit::InMemoryAuditVault;
use majordomo_testkit::{FixedClock, tampering};

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

/// `majordomo backup` records itself beside a server that owns the file: whoever appends holds the file's one write lock
/// from reading the last entry to writing the next, so both go into one chain and none is lost.
#[tokio::test]
async fn two_processes_that_append_make_one_chain() {
    const EACH: usize = 100;

    let test = test_store();
    let append = |log: Arc<dyn AuditLog>, action: &'static str| async move {
        for _ in 0..EACH {
            let record = AuditRecord::of_system(action, Timestamp::EPOCH);
            log.append(&record).await.unwrap();
        }
    };
    let beside = SqliteStore::beside(&test.config).unwrap().audit();
    let server = test.store.audit();
    let appending = [
        tokio::spawn(append(server.clone(), "server.act")),
        tokio::spawn(append(server.clone(), "server.act")),
        tokio::spawn(append(beside, "beside.act")),
    ];
    for appended in appending {
        appended.await.unwrap();
    }
    let entries = server.page(0, 1000).await.unwrap();
    let beside = entries.iter().filter(|entry| entry.action == "beside.act");
    assert_eq!((entries.len(), beside.count()), (3 * EACH, EACH));
    let service = AuditService::new(
        server,
        Arc::new(InMemoryAuditVault::default()),
        Arc::new(FixedClock::default()),
    );
    let operator = Caller::operator(CredentialKind::CommandLine);
    let report = service.verify(&operator, &[]).await.unwrap();
    assert!(report.is_intact(), "{report:?}");
}
