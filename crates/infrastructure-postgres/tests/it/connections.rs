//! Addresses, lost connections, limits.

use std::time::Duration;

use futures_util::future::join_all;
use majordomo_application::ports::RepositoryError;
use majordomo_infrastructure_postgres::{PostgresConfig, PostgresStore, StoreError};
use majordomo_testkit::builders::{answer, erasure, session_id, turn, user};
use majordomo_testkit::postgres::PostgresCluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_are_replaced() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let config = PostgresConfig::new(cluster.database().await);
    let store = PostgresStore::open(&config).await.unwrap();
    let (journal, sessions) = (store.journal(), store.sessions());
    let begins = (1..=16).map(|number| journal.accept(turn("alice", "trip", number, "hello")));
    for result in join_all(begins).await {
        result.unwrap();
    }
    for number in 20..30_u32 {
        cluster.disconnect_all(&config.url).await;
        let turn = turn("alice", "trip", number, "hello");
        journal.accept(turn.clone()).await.unwrap();
        cluster.disconnect_all(&config.url).await;
        sessions
            .find(&user("alice"), &session_id("trip"))
            .await
            .unwrap();
        journal.finish(answer(&turn, "reply")).await.unwrap();
    }
    let session = sessions.find(&user("alice"), &session_id("trip")).await;
    assert_eq!(session.unwrap().unwrap().message_count, 36);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_and_clearing_while_answers_end_is_no_error() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let store = PostgresStore::open(&PostgresConfig::new(cluster.database().await))
        .await
        .unwrap();
    let (journal, sessions) = (store.journal(), store.sessions());
    for round in 0..20_u32 {
        let name = format!("trip-{round}");
        let mut ends = Vec::new();
        for number in 1..=3 {
            let turn = turn("alice", &name, number, "hello");
            journal.accept(turn.clone()).await.unwrap();
            ends.push(journal.finish(answer(&turn, "reply")));
        }
        let (owner, id, record) = (user("alice"), session_id(&name), erasure());
        let removal = async {
            match round % 2 {
                0 => sessions.delete(&owner, &id, &record).await,
                _ => sessions.clear(&owner, &id, &record).await,
            }
        };
        let (ends, removed) = tokio::join!(join_all(ends), removal);
        for end in ends {
            end.unwrap();
        }
        assert!(removed.unwrap());
    }
    assert_eq!(journal.unfinished().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_in_time_and_without_the_password() {
    let config = PostgresConfig {
        connect_timeout: Duration::from_secs(2),
        ..PostgresConfig::new("postgres://user:hunter2@127.0.0.1:1/none")
    };
    let error = PostgresStore::pending(&config).await.unwrap_err();
    assert!(matches!(error, StoreError::Connect { .. }));
    assert!(!format!("{error:?} {error} {config:?}").contains("hunter2"));

    let malformed = PostgresConfig::new("postgres://user:hunter2@host:port/none");
    let error = PostgresStore::pending(&malformed).await.unwrap_err();
    assert!(matches!(error, StoreError::Address { .. }));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_pool_is_unavailable_in_time() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let address = cluster.database().await;
    let config = PostgresConfig {
        max_connections: 1,
        connect_timeout: Duration::from_millis(500),
        statement_timeout: Duration::from_millis(1_500),
        ..PostgresConfig::new(address.clone())
    };
    let store = PostgresStore::open(&PostgresConfig::new(address.clone()))
        .await
        .unwrap();
    store
        .journal()
        .accept(turn("alice", "trip", 1, "hello"))
        .await
        .unwrap();
    let store = PostgresStore::open(&config).await.unwrap();
    let name = address.rsplit('/').next().unwrap();
    let blocker = cluster.client(name).await;
    blocker
        .batch_execute("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let (owner, id, sessions) = (user("alice"), session_id("trip"), store.sessions());
    let (slow, refused) = tokio::join!(sessions.find(&owner, &id), sessions.find(&owner, &id));
    for result in [slow, refused] {
        assert!(
            matches!(result, Err(RepositoryError::Unavailable(_))),
            "{result:?}"
        );
    }
    blocker.batch_execute("ROLLBACK").await.unwrap();
    assert!(sessions.find(&owner, &id).await.unwrap().is_some());
}
