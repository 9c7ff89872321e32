//! Group commit: writes share a transaction and nothing else.

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use futures_util::future::join_all;
use majordomo_application::ports::{RepositoryError, SearchQuery};
use majordomo_testkit::builders::{turn, user};

use crate::test_store;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_write_takes_no_other_with_it() {
    let test = test_store();
    let journal = test.store.journal();
    let taken = turn("alice", "taken", 1, "hello");
    journal.accept(taken.clone()).await.unwrap();
    // Put at once, so that they meet in the queue: every third one repeats a taken run.
    let writes = (0..90_u32).map(|number| {
        let mut turn = turn("alice", &format!("session-{number}"), 1, "hello");
        if number % 3 == 0 {
            turn.run.id = taken.run.id.clone();
        }
        journal.accept(turn)
    });
    for (number, result) in join_all(writes).await.into_iter().enumerate() {
        let conflict = matches!(result, Err(RepositoryError::Conflict));
        assert_eq!(conflict, number % 3 == 0, "write {number}: {result:?}");
        assert_eq!(result.is_ok(), number % 3 != 0);
    }
    let (_, total) = test
        .store
        .sessions()
        .list(&user("alice"), 1, 0)
        .await
        .unwrap();
    assert_eq!(total, 61);
    let query = SearchQuery {
        text: "hello".to_owned(),
        limit: 200,
    };
    let hits = test.store.sessions().search(&user("alice"), &query).await;
    assert_eq!(hits.unwrap().len(), 61);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_instead_of_growing() {
    let test = test_store();
    let journal = test.store.journal();
    // Another connection holds the write lock, so the writer waits and the queue fills.
    let mut other = SqliteConnection::establish(test.config.path.to_str().unwrap()).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let writes = (0..3_000_u32).map(|number| {
        let journal = journal.clone();
        async move {
            let turn = turn("alice", &format!("s{number}"), 1, "hello");
            match journal.accept(turn).await {
                Ok(_) => true,
                Err(RepositoryError::Unavailable(_)) => false,
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    let all = tokio::spawn(join_all(writes.collect::<Vec<_>>()));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    other.batch_execute("COMMIT").unwrap();
    let stored = all
        .await
        .unwrap()
        .into_iter()
        .filter(|stored| *stored)
        .count();
    assert!((1_024..3_000).contains(&stored), "{stored} were stored");
    let (_, total) = test
        .store
        .sessions()
        .list(&user("alice"), 1, 0)
        .await
        .unwrap();
    assert_eq!(total, stored as u64);
}
