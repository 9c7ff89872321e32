//! What is found where the process has no room for the vectors: by those in storage, and by words when that cannot be.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::memory::MemoryLimits;
use majordomo_testkit::InMemoryStore;

use super::{Topics, World, caller, text_of};

const CAR: &str = "The blue car is parked outside";
const SOUP: &str = "Soup was served at the dinner";
/// Has no word of what it asks for.
const WHERE: &str = "where did I leave my vehicle?";

/// A world that may hold so many bytes of vectors, with two memories.
async fn world(vector_bytes: usize, store: InMemoryStore) -> World {
    let limits = MemoryLimits {
        vector_bytes,
        ..MemoryLimits::default()
    };
    let world = World::within(limits, Arc::new(store), Arc::new(Topics));
    world.embedding.start();
    world.remember("ann", SOUP).await;
    world.settle().await;
    world.remember("ann", CAR).await;
    world.remember("bob", "A red car").await;
    world.settle().await;
    world
}

async fn recalled(world: &World, question: &str) -> Option<String> {
    let recalled = world.memory.recall(&caller("ann"), question, 100_000).await;
    // The next turn comes when storage may be asked again.
    world.clock.advance(Duration::from_secs(2));
    recalled.map(|recollection| recollection.text)
}

#[tokio::test(start_paused = true)]
async fn storage_compares_what_the_process_has_no_room_for() {
    for vector_bytes in [0, 1] {
        let world = world(vector_bytes, InMemoryStore::new().comparing_vectors()).await;
        let hits = world.search("ann", WHERE).await;
        assert_eq!(text_of(&hits[0]), CAR);
        assert_eq!((hits[0].words_rank, hits[0].meaning_rank), (None, Some(1)));
        assert!(hits[0].similarity.unwrap() > 0.99, "{hits:?}");
        assert!(hits.iter().all(|hit| !text_of(hit).contains("red")));
        let recalled = recalled(&world, WHERE).await.unwrap();
        assert!(recalled.contains(CAR) && !recalled.contains(SOUP));
    }
}

#[tokio::test(start_paused = true)]
async fn storage_is_not_asked_while_there_is_room() {
    let mut calls = Vec::new();
    for vector_bytes in [1_000, 0] {
        let world = world(vector_bytes, InMemoryStore::new().comparing_vectors()).await;
        world.search("ann", WHERE).await;
        let before = world.failing.calls();
        let hits = world.search("ann", WHERE).await;
        calls.push(world.failing.calls() - before);
        assert_eq!(text_of(&hits[0]), CAR);
    }
    // The index that holds no vectors does not ask for new ones of memories and of messages either.
    assert_eq!(calls[0], calls[1] + 1, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn where_storage_cannot_compare_the_vectors_at_hand_are_compared() {
    let world = world(1, InMemoryStore::new()).await;
    let hits = world.search("ann", "who served the meal?").await;
    assert_eq!((text_of(&hits[0]).as_str(), hits.len()), (SOUP, 1));
    assert_eq!(hits[0].meaning_rank, Some(1));
    let hits = world.search("ann", "the parked vehicle").await;
    assert_eq!(text_of(&hits[0]), CAR);
    assert_eq!((hits[0].words_rank, hits[0].meaning_rank), (Some(1), None));
}

#[tokio::test(start_paused = true)]
async fn a_search_that_storage_fails_goes_by_words() {
    let world = world(0, InMemoryStore::new().comparing_vectors()).await;
    world.failing.fail("memory_vectors.nearest", 1);
    let hits = world.search("ann", "the parked vehicle").await;
    assert_eq!((text_of(&hits[0]).as_str(), hits.len()), (CAR, 1));
    assert_eq!((hits[0].words_rank, hits[0].meaning_rank), (Some(1), None));
    world.failing.set_stalled(true);
    let begun = tokio::time::Instant::now();
    assert_eq!(world.texts("ann", "the parked vehicle").await, [CAR]);
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn turns_do_not_wait_for_storage_that_was_slow() {
    let world = world(0, InMemoryStore::new().comparing_vectors()).await;
    let parked = "parked outside";
    let asked = || world.failing.calls();
    world.failing.set_stalled(true);
    let before = asked();
    assert!(recalled(&world, parked).await.unwrap().contains(CAR));
    assert_eq!(asked(), before + 1);
    world.failing.set_stalled(false);
    assert_eq!(recalled(&world, WHERE).await, None);
    assert_eq!(asked(), before + 1);
    world.search("ann", parked).await;
    assert!(recalled(&world, WHERE).await.unwrap().contains(CAR));
    assert_eq!(asked(), before + 3);
}
