//! Whole copies of a database.

use majordomo_infrastructure_postgres::{PostgresConfig, PostgresCopy, PostgresStore};
use majordomo_testkit::builders::{answer, turn};
use majordomo_testkit::copying;
use majordomo_testkit::postgres::PostgresCluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_the_same_and_can_be_used() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let source = PostgresConfig::new(cluster.database().await);
    let store = PostgresStore::open(&source).await.unwrap();
    copying::fill(&*store.journal()).await;
    let target = PostgresConfig::new(cluster.database().await);
    let (from, to) = (PostgresCopy::new(source), PostgresCopy::new(target.clone()));
    copying::a_copy_is_the_same(&from, &to).await;
    let store = PostgresStore::open(&target).await.unwrap();
    copying::the_copy_can_be_used(&*store.sessions()).await;
    // Its counters and references are in order: it goes on as any other database.
    let turn = turn("alice", "trip", 99, "after the restore");
    store.journal().accept(turn.clone()).await.unwrap();
    store
        .journal()
        .finish(answer(&turn, "indeed"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_import_changes_nothing() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let config = PostgresConfig::new(cluster.database().await);
    let store = PostgresStore::open(&config).await.unwrap();
    copying::fill(&*store.journal()).await;
    let copy = PostgresCopy::new(config.clone());
    let steps = copying::export(&copy).await;
    let refused = copying::import(&copy, steps, true).await.unwrap_err();
    assert!(refused.to_string().contains("in use"), "{refused}");
    drop(store);
    copying::a_failed_import_changes_nothing(&PostgresCopy::new(config)).await;
}
