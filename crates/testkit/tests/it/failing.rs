//! A failing store fails exactly where it was told to.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::ports::{
    Durability, RepositoryError, RunJournal as _, SessionRepository as _, StorageHealth as _,
};
use majordomo_testkit::builders::{session_id, text_event, turn, user};
use majordomo_testkit::{FailingStore, InMemoryStore, Stores};

// A store that is never told to fail behaves like the one behind it.
majordomo_testkit::contract_tests!(async {
    let stores = Stores::of(Arc::new(InMemoryStore::new()));
    Stores::of(Arc::new(FailingStore::around(&stores)))
});

fn store() -> FailingStore {
    FailingStore::around(&Stores::of(Arc::new(InMemoryStore::new())))
}

fn is_unavailable<T>(result: Result<T, RepositoryError>) -> bool {
    matches!(result, Err(RepositoryError::Unavailable(_)))
}

#[tokio::test]
async fn the_chosen_call_fails_and_stores_nothing() {
    let store = store();
    let turn = turn("alice", "trip", 1, "hello");
    store.accept(turn.clone()).await.unwrap();
    store.fail("journal.append", 2);
    let append = |seq| {
        let events = vec![text_event(seq, "piece")];
        store.append(&turn.run.id, events, Durability::Written)
    };
    append(2).await.unwrap();
    assert!(is_unavailable(append(3).await));
    append(3).await.unwrap();
    assert_eq!(store.events(&turn.run.id, 0, 10).await.unwrap().len(), 3);
    assert_eq!(store.calls(), 5);
}

#[tokio::test]
async fn a_lost_answer_hides_a_stored_turn() {
    let store = store();
    store.lose_answer("journal.accept", 1);
    let turn = turn("alice", "trip", 1, "hello");
    assert!(is_unavailable(store.accept(turn.clone()).await));
    let again = store.accept(turn).await;
    assert!(matches!(again, Err(RepositoryError::Conflict)));
}

#[tokio::test]
async fn a_store_that_is_down_refuses_everything_until_it_is_up() {
    let store = store();
    store.set_down(true);
    let (alice, trip) = (user("alice"), session_id("trip"));
    assert!(is_unavailable(store.check().await));
    let found = majordomo_application::ports::SessionRepository::find(&store, &alice, &trip);
    assert!(is_unavailable(found.await));
    assert!(is_unavailable(store.list(&alice, 1, 0).await));
    store.set_down(false);
    assert!(store.check().await.is_ok());
}

#[tokio::test]
async fn a_stalled_store_answers_when_it_goes_on() {
    let store = Arc::new(store());
    store.set_stalled(true);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.check().await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    store.set_stalled(false);
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    answer.unwrap().unwrap().unwrap();
}
