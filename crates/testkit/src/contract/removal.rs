//! What deleting and clearing a session must do.

use majordomo_application::ports::{NewTurn, SearchQuery};
use majordomo_domain::{Session, SessionTitle};

use super::Stores;
use crate::builders::{answer, at, erasure, queued, session_id, turn, user};

async fn find(stores: &Stores, owner: &str, id: &str) -> Option<Session> {
    let found = stores.sessions.find(&user(owner), &session_id(id)).await;
    found.unwrap()
}

async fn texts(stores: &Stores, owner: &str, id: &str) -> Vec<String> {
    let messages = stores.all_messages(&user(owner), &session_id(id)).await;
    messages.into_iter().map(|m| m.text).collect()
}

/// Accepts two turns, one answered and one waiting, that a test then removes.
async fn fill(stores: &Stores, owner: &str, id: &str) -> [NewTurn; 2] {
    let answered = turn(owner, id, 1, "the harbour");
    stores.journal.accept(answered.clone()).await.unwrap();
    stores
        .journal
        .finish(answer(&answered, "a lantern"))
        .await
        .unwrap();
    let waiting = queued(turn(owner, id, 2, "the harbour again"));
    stores.journal.accept(waiting.clone()).await.unwrap();
    [answered, waiting]
}

/// Fails if anything but the session itself is left of `turns`.
async fn assert_no_rows_of(stores: &Stores, turns: &[NewTurn]) {
    for turn in turns {
        let (owner, session) = (&turn.session.owner, &turn.session.id);
        let journal = &stores.journal;
        assert_eq!(stores.all_messages(owner, session).await, Vec::new());
        assert_eq!(journal.find(owner, &turn.run.id).await.unwrap(), None);
        let latest = journal.find_in_session(owner, session, None).await;
        assert_eq!(latest.unwrap(), None);
        let events = journal.events(&turn.run.id, 0, 100).await.unwrap();
        assert_eq!(events, Vec::new());
        for text in ["harbour", "lantern"] {
            let query = SearchQuery {
                text: text.to_owned(),
                limit: 10,
            };
            let hits = stores.sessions.search(owner, &query).await.unwrap();
            assert_eq!(hits, Vec::new());
        }
    }
    assert_eq!(stores.journal.unfinished().await.unwrap(), Vec::new());
}

/// Nothing is left of a deleted session: messages, runs, journals, search hits.
pub async fn deleting_removes_everything_of_the_session(stores: Stores) {
    let turns = fill(&stores, "alice", "trip").await;
    let (alice, trip) = (user("alice"), session_id("trip"));
    assert!(
        stores
            .sessions
            .delete(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    assert_eq!(find(&stores, "alice", "trip").await, None);
    let listed = stores.sessions.list(&alice, 10, 0).await.unwrap();
    assert_eq!(listed, (Vec::new(), 0));
    assert_no_rows_of(&stores, &turns).await;
    assert!(
        !stores
            .sessions
            .delete(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
}

/// Deleting and clearing touch one session of one owner.
pub async fn deleting_leaves_other_sessions_alone(stores: Stores) {
    let kept = fill(&stores, "alice", "kept").await;
    fill(&stores, "bob", "trip").await;
    fill(&stores, "alice", "trip").await;
    fill(&stores, "alice", "work").await;
    let alice = user("alice");
    let sessions = &stores.sessions;
    assert!(
        sessions
            .delete(&alice, &session_id("trip"), &erasure())
            .await
            .unwrap()
    );
    assert!(
        sessions
            .clear(&alice, &session_id("work"), &erasure())
            .await
            .unwrap()
    );
    assert_eq!(texts(&stores, "alice", "kept").await.len(), 3);
    assert_eq!(texts(&stores, "bob", "trip").await.len(), 3);
    let first = kept.first().unwrap();
    let events = stores.journal.events(&first.run.id, 0, 10).await.unwrap();
    assert_eq!(events.len(), 3);
    let query = SearchQuery {
        text: "harbour".to_owned(),
        limit: 10,
    };
    for owner in ["alice", "bob"] {
        let hits = sessions.search(&user(owner), &query).await.unwrap();
        assert_eq!(hits.len(), 2, "hits of {owner}");
    }
    assert_eq!(stores.journal.unfinished().await.unwrap().len(), 2);
}

/// The same id begins a session without a past.
pub async fn a_deleted_session_can_begin_again(stores: Stores) {
    fill(&stores, "alice", "trip").await;
    let (alice, trip) = (user("alice"), session_id("trip"));
    assert!(
        stores
            .sessions
            .delete(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    let turn = turn("alice", "trip", 1, "a fresh start");
    let accepted = stores.journal.accept(turn).await.unwrap();
    assert_eq!(accepted.seq, 1);
    assert_eq!(accepted.session.message_count, 1);
    assert_eq!(accepted.session.title.as_str(), "a fresh start");
    assert_eq!(texts(&stores, "alice", "trip").await, ["a fresh start"]);
}

/// Clearing empties the session and keeps its name, model and place of origin.
pub async fn clearing_keeps_the_session_only(stores: Stores) {
    let turns = fill(&stores, "alice", "trip").await;
    let (alice, trip) = (user("alice"), session_id("trip"));
    let title = SessionTitle::choose("Rome").unwrap();
    assert!(stores.sessions.rename(&alice, &trip, &title).await.unwrap());
    let set = stores.sessions.set_model(&alice, &trip, Some("a/b")).await;
    assert!(set.unwrap());
    assert!(
        stores
            .sessions
            .clear(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    assert_no_rows_of(&stores, &turns).await;
    let left = find(&stores, "alice", "trip").await.unwrap();
    assert_eq!(left.message_count, 0);
    assert_eq!((left.title, left.created_at), (title, at(1)));
    assert_eq!(left.model.as_deref(), Some("a/b"));
    assert!(
        stores
            .sessions
            .clear(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    let missing = session_id("missing");
    assert!(
        !stores
            .sessions
            .clear(&alice, &missing, &erasure())
            .await
            .unwrap()
    );
}

/// Cleared messages leave a gap: a position is never given to two messages of one session.
pub async fn a_cleared_session_goes_on_above_its_old_positions(stores: Stores) {
    fill(&stores, "alice", "trip").await;
    let (alice, trip) = (user("alice"), session_id("trip"));
    assert!(
        stores
            .sessions
            .clear(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    let accepted = stores
        .journal
        .accept(turn("alice", "trip", 9, "going on"))
        .await
        .unwrap();
    assert_eq!(accepted.seq, 4);
    assert_eq!(accepted.session.message_count, 1);
    let messages = stores.all_messages(&alice, &trip).await;
    assert_eq!(messages.iter().map(|m| m.seq).collect::<Vec<_>>(), [4]);
}
