//! What was said is memory, as long as it is there.

use super::*;

#[tokio::test]
async fn messages_are_memory_too_until_they_are_deleted() {
    let world = world();
    let said = turn("ann", "trip", 1, "We saw a kingfisher at the lake");
    world.store.accept(said.clone()).await.unwrap();
    assert_eq!(
        world.texts("ann", "kingfisher").await,
        ["We saw a kingfisher at the lake"]
    );
    world
        .store
        .finish(answer(&said, "Kingfishers dive for fish"))
        .await
        .unwrap();
    assert_eq!(world.texts("ann", "kingfisher").await.len(), 2);
    assert_eq!(world.texts("bob", "kingfisher").await.len(), 0);
    let ann = user("ann");
    SessionRepository::delete(&*world.store, &ann, &session_id("trip"), &erasure())
        .await
        .unwrap();
    assert_eq!(world.texts("ann", "kingfisher").await.len(), 0);
}

/// What was said long ago in another system is found as soon as it is imported, also after its session was deleted and
/// imported again.
#[tokio::test]
async fn an_imported_conversation_is_memory_at_once() {
    let world = world();
    let recent = turn("ann", "trip", 500, "We saw a heron");
    world.store.accept(recent).await.unwrap();
    assert_eq!(world.texts("ann", "kingfisher").await.len(), 0);
    let talk = session("ann", "old");
    let said = Message {
        created_at: at(-1_000_000),
        ..message(&talk, "m", "A kingfisher dives")
    };
    let talk = ImportedConversation {
        session: talk,
        messages: vec![said],
    };
    for hour in 1..3 {
        world.store.import(&talk, at(hour * 3_600)).await.unwrap();
        assert_eq!(
            world.texts("ann", "kingfisher").await,
            ["A kingfisher dives"]
        );
        let (ann, old) = (user("ann"), session_id("old"));
        SessionRepository::delete(&*world.store, &ann, &old, &erasure())
            .await
            .unwrap();
        assert_eq!(world.texts("ann", "kingfisher").await.len(), 0);
    }
}

/// A time that is still to come must not stand for what was looked at.
#[tokio::test]
async fn what_claims_to_be_of_the_future_hides_nothing() {
    let world = world();
    let talk = session("ann", "old");
    let said = Message {
        created_at: at(100_000_000),
        ..message(&talk, "m", "A kingfisher will dive")
    };
    let talk = ImportedConversation {
        session: talk,
        messages: vec![said],
    };
    world.store.import(&talk, at(0)).await.unwrap();
    assert_eq!(world.texts("ann", "kingfisher").await.len(), 1);
    let later = turn("ann", "new", 1_000, "We saw a heron");
    world.store.accept(later).await.unwrap();
    assert_eq!(world.texts("ann", "heron").await, ["We saw a heron"]);
    // Nor must a clock that is set back.
    let ahead = turn("ann", "ahead", 50_000, "An owl called");
    world.store.accept(ahead).await.unwrap();
    world.clock.set(at(60_000));
    assert_eq!(world.texts("ann", "owl").await, ["An owl called"]);
    world.clock.set(at(10_000));
    let after = turn("ann", "after", 9_000, "A wren sang");
    world.store.accept(after).await.unwrap();
    assert_eq!(world.texts("ann", "wren").await, ["A wren sang"]);
}

#[tokio::test]
async fn a_session_that_is_begun_again_is_read_anew() {
    let world = world();
    for number in 1..4 {
        let said = turn("ann", "trip", number, "We saw a heron");
        world.store.accept(said).await.unwrap();
    }
    assert_eq!(world.texts("ann", "heron").await.len(), 3);
    let (ann, trip) = (user("ann"), session_id("trip"));
    SessionRepository::delete(&*world.store, &ann, &trip, &erasure())
        .await
        .unwrap();
    let mut again = turn("ann", "trip", 5, "A kingfisher dives");
    again.session.created_at = at(5);
    world.store.accept(again).await.unwrap();
    assert_eq!(
        world.texts("ann", "kingfisher").await,
        ["A kingfisher dives"]
    );
}

#[tokio::test]
async fn what_is_gone_takes_nobodys_place() {
    let world = world();
    let ann = caller("ann");
    let memory = remembering("A heron has long legs and other things to tell of");
    world.memory.create(&ann, memory).await.unwrap();
    for number in 1..60 {
        let said = turn("ann", "trip", number, "heron heron");
        world.store.accept(said).await.unwrap();
    }
    assert_eq!(world.texts("ann", "heron").await, ["heron heron"; 5]);
    let (owner, trip) = (user("ann"), session_id("trip"));
    SessionRepository::delete(&*world.store, &owner, &trip, &erasure())
        .await
        .unwrap();
    assert_eq!(world.texts("ann", "heron").await.len(), 1);
}

/// More sessions than are read at once were active at the same moment.
#[tokio::test]
async fn sessions_of_one_moment_are_all_read() {
    let world = world();
    for number in 0..1_100 {
        let talk = session("ann", &format!("s{number}"));
        let said = message(&talk, &format!("m{number}"), &format!("word{number}"));
        let talk = ImportedConversation {
            session: talk,
            messages: vec![said],
        };
        world.store.import(&talk, at(7)).await.unwrap();
    }
    for number in [0, 499, 500, 700, 1_099] {
        let word = format!("word{number}");
        assert_eq!(world.texts("ann", &word).await[0], word);
    }
}
