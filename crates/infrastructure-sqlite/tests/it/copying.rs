//! Whole copies of a file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use majordomo_application::ports::{CopyStep, DatabaseCopy as _};
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteCopy, SqliteStore};
use majordomo_testkit::builders::{answer, turn};
use majordomo_testkit::copying;
use tokio::sync::mpsc;

use crate::test_store;

#[tokio::test]
async fn a_copy_is_the_same_and_can_be_used() {
    let test = test_store();
    copying::fill(&*test.store.journal()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(folder.path().join("copy.sqlite3"));
    let target = SqliteCopy::new(config.clone());
    copying::a_copy_is_the_same(&SqliteCopy::new(test.config.clone()), &target).await;
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("restoring"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let store = SqliteStore::open(&config).unwrap();
    copying::the_copy_can_be_used(&*store.sessions()).await;
}

#[tokio::test]
async fn a_failed_import_changes_nothing() {
    let test = test_store();
    copying::fill(&*test.store.journal()).await;
    test.store.close();
    copying::a_failed_import_changes_nothing(&SqliteCopy::new(test.config.clone())).await;
}

#[tokio::test]
async fn a_database_in_use_is_not_replaced_and_a_replaced_one_is_kept() {
    let test = test_store();
    copying::fill(&*test.store.journal()).await;
    let copy = SqliteCopy::new(test.config.clone());
    let steps = copying::export(&copy).await;
    let refused = copying::import(&copy, steps.clone(), true).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("in use by process")
    );

    let late = turn("carol", "late", 1, "only in the old one");
    test.store.journal().accept(late).await.unwrap();
    test.store.close();
    copying::import(&copy, steps.clone(), true).await.unwrap();
    assert_eq!(
        copying::rows(&copying::export(&copy).await),
        copying::rows(&steps)
    );
    let mut kept = test.config.path.clone().into_os_string();
    kept.push(".before-restore.bak");
    let kept = SqliteCopy::new(SqliteConfig::new(kept));
    let old = copying::rows(&copying::export(&kept).await);
    assert_eq!(
        old["messages"].len(),
        copying::rows(&steps)["messages"].len() + 1
    );
}

/// The server writes while it is copied: the copy is what it was at one moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_shows_one_moment() {
    let test = test_store();
    let journal = test.store.journal();
    copying::fill(&*journal).await;
    let over = Arc::new(AtomicBool::new(false));
    let writes = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                number += 1;
                let turn = turn("carol", "trip", number, "while it is copied");
                journal.accept(turn.clone()).await.unwrap();
                journal.finish(answer(&turn, "yes")).await.unwrap();
            }
            number
        }
    });
    for _ in 0..5 {
        let (sender, mut receiver) = mpsc::channel(1);
        let copy = SqliteCopy::new(test.config.clone());
        let export = tokio::spawn(async move { copy.export(sender).await });
        let mut steps = Vec::new();
        while let Some(step) = receiver.recv().await {
            // Slower than the writer, so that it writes between the tables.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            steps.push(step);
        }
        export.await.unwrap().unwrap();
        assert_eq!(steps.last(), Some(&CopyStep::Complete));
        let rows = copying::rows(&steps);
        // Every answer belongs to a finished run with its events: were they of different moments, they would differ.
        let finished = rows["runs"]
            .iter()
            .filter(|row| row.contains("completed"))
            .count();
        let answers = rows["messages"]
            .iter()
            .filter(|row| row.contains("assistant"))
            .count();
        assert_eq!(finished, answers);
    }
    over.store(true, Ordering::Relaxed);
    assert!(writes.await.unwrap() > 0);
}
