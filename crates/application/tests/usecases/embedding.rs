//! What is remembered becomes vectors in the background, whatever happens to the embedder meanwhile.

mod stored_vectors;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use majordomo_application::Caller;
use majordomo_application::chat::{ImportedSession, NewConversation, NewMessage};
use majordomo_application::memory::{
    Embedding, EmbeddingPorts, EmbeddingProgress, Found, MemoryChange, MemoryHit, MemoryImport,
    MemoryLimits, MemoryPorts, MemorySearch, MemoryService, NewMemory,
};
use majordomo_application::ports::{
    CheckState, Embedder, EmbeddingRole, Embeddings, HealthCheck, MemoryVectors, ModelError,
    ModelErrorKind, RunJournal as _, Severity, VectorCounts, VectorSpace,
};
use majordomo_domain::{CredentialKind, Role, Scope, Scopes, UserRole};
use majordomo_testkit::builders::{answer, at, remembering, session_id, turn, user};
use majordomo_testkit::{
    FailingStore, FixedClock, Gate, HashingEmbedder, InMemoryStore, SequentialIds, Stores,
};

use crate::support;

/// Knows what three kinds of things are about, whatever words say so.
pub(crate) struct Topics;

#[async_trait]
impl Embedder for Topics {
    fn model(&self) -> &'static str {
        "topics"
    }

    async fn embed(&self, texts: &[String], _: EmbeddingRole) -> Result<Embeddings, ModelError> {
        let topics = [["car", "vehicle"], ["dinner", "meal"], ["cat", "feline"]];
        let about = |text: &String| {
            let holds = |words: &[&str; 2]| words.iter().any(|word| text.contains(word));
            topics
                .iter()
                .map(|words| f32::from(u8::from(holds(words))) + 0.01)
                .collect()
        };
        Ok(Embeddings {
            vectors: texts.iter().map(about).collect(),
            input_tokens: None,
        })
    }

    fn max_batch(&self) -> usize {
        8
    }
}

/// Refuses every text with a certain word, and each batch that holds one.
struct Fussy(HashingEmbedder);

#[async_trait]
impl Embedder for Fussy {
    fn model(&self) -> &str {
        self.0.model()
    }

    async fn embed(&self, texts: &[String], role: EmbeddingRole) -> Result<Embeddings, ModelError> {
        if texts.iter().any(|text| text.contains("forbidden")) {
            return Err(ModelError::new(
                ModelErrorKind::Refused,
                "I will not read this",
            ));
        }
        self.0.embed(texts, role).await
    }

    fn max_batch(&self) -> usize {
        self.0.max_batch()
    }
}

/// A memory with an embedder over a storage that may fail.
struct World {
    store: Arc<InMemoryStore>,
    failing: Arc<FailingStore>,
    clock: Arc<FixedClock>,
    embedding: Arc<Embedding>,
    memory: Arc<MemoryService>,
}

impl World {
    fn over(store: Arc<InMemoryStore>, embedder: Arc<dyn Embedder>) -> Self {
        Self::within(MemoryLimits::default(), store, embedder)
    }

    fn within(
        limits: MemoryLimits,
        store: Arc<InMemoryStore>,
        embedder: Arc<dyn Embedder>,
    ) -> Self {
        let failing = Arc::new(FailingStore::around(&Stores::of(store.clone())));
        let clock = Arc::new(FixedClock::default());
        let embedding = Embedding::new(EmbeddingPorts {
            embedder,
            vectors: failing.clone(),
            memories: failing.clone(),
            turns: failing.clone(),
            clock: clock.clone(),
        });
        let memory = MemoryService::new(MemoryPorts {
            memories: store.clone(),
            turns: store.clone(),
            audit_log: store.clone(),
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::new()),
        });
        let memory = memory.within(limits).with_embedding(embedding.clone());
        let memory = Arc::new(memory);
        Self {
            store,
            failing,
            clock,
            embedding,
            memory,
        }
    }

    /// An empty one that is at work.
    fn started(embedder: Arc<dyn Embedder>) -> Self {
        let world = Self::over(Arc::new(InMemoryStore::new()), embedder);
        world.embedding.start();
        world
    }

    async fn remember(&self, owner: &str, text: &str) -> majordomo_domain::Memory {
        let stored = self.memory.create(&caller(owner), remembering(text)).await;
        stored.unwrap().memory
    }

    async fn search(&self, owner: &str, text: &str) -> Vec<MemoryHit> {
        let search = MemorySearch {
            text: text.to_owned(),
            limit: 5,
            turns: true,
        };
        self.memory.search(&caller(owner), &search).await.unwrap()
    }

    async fn texts(&self, owner: &str, text: &str) -> Vec<String> {
        let hits = self.search(owner, text).await;
        hits.into_iter().map(|hit| text_of(&hit)).collect()
    }

    /// Waits until nothing is left to be embedded. Time passes by itself while everything waits.
    async fn settle(&self) {
        while self.embedding.state().is_behind {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn counts(&self, owner: &str) -> VectorCounts {
        self.progress(owner).await.embedded
    }

    async fn progress(&self, owner: &str) -> EmbeddingProgress {
        let overview = self.memory.overview(&caller(owner)).await.unwrap();
        overview.embedding.unwrap()
    }
}

fn text_of(hit: &MemoryHit) -> String {
    match &hit.found {
        Found::Memory(memory) => memory.content.clone(),
        Found::Turn(turn) => turn.text.clone(),
    }
}

fn caller(name: &str) -> Caller {
    let (role, scopes) = (UserRole::Member, Scopes::from_iter([Scope::Memory]));
    Caller::new(user(name), role, scopes, CredentialKind::Login)
}

fn imports(batch: Vec<NewMemory>) -> Vec<MemoryImport> {
    batch.into_iter().map(MemoryImport::from).collect()
}

const fn counts(memories: u64, turns: u64) -> VectorCounts {
    VectorCounts { memories, turns }
}

#[tokio::test(start_paused = true)]
async fn what_means_the_same_is_found_in_other_words() {
    let world = World::started(Arc::new(Topics));
    world
        .remember("ann", "The blue car is parked outside")
        .await;
    world.remember("ann", "Soup was served at the dinner").await;
    world.remember("bob", "A red car").await;
    world.settle().await;
    let hits = world.search("ann", "where did I leave my vehicle?").await;
    assert_eq!(text_of(&hits[0]), "The blue car is parked outside");
    assert_eq!((hits[0].words_rank, hits[0].meaning_rank), (None, Some(1)));
    assert!(hits[0].similarity.unwrap() > 0.99, "{hits:?}");
    assert!(hits[1].similarity.unwrap() < 0.1, "{hits:?}");
    assert!(hits.iter().all(|hit| !text_of(hit).contains("red")));
    // What both rankings put first is first.
    let hits = world.search("ann", "soup for a meal").await;
    assert_eq!(text_of(&hits[0]), "Soup was served at the dinner");
    assert_eq!(
        (hits[0].words_rank, hits[0].meaning_rank),
        (Some(1), Some(1))
    );
}

#[tokio::test(start_paused = true)]
async fn without_an_embedder_nothing_has_a_place_by_meaning() {
    let world = World::over(Arc::new(InMemoryStore::new()), Arc::new(Topics));
    let plain = MemoryService::new(MemoryPorts {
        memories: world.store.clone(),
        turns: world.store.clone(),
        audit_log: world.store.clone(),
        clock: world.clock.clone(),
        ids: Arc::new(SequentialIds::new()),
    });
    plain
        .create(&caller("ann"), remembering("A blue car"))
        .await
        .unwrap();
    let search = MemorySearch {
        text: "car".to_owned(),
        limit: 5,
        turns: true,
    };
    let hits = plain.search(&caller("ann"), &search).await.unwrap();
    assert_eq!((hits[0].words_rank, hits[0].meaning_rank), (Some(1), None));
    assert_eq!(hits[0].similarity, None);
    let overview = plain.overview(&caller("ann")).await.unwrap();
    assert_eq!(overview.embedding, None);
}

#[tokio::test(start_paused = true)]
async fn storing_goes_on_while_the_embedder_is_away_and_it_catches_up() {
    let embedder = Arc::new(HashingEmbedder::new("hash", 64));
    embedder.fail_with(ModelErrorKind::Unavailable);
    let world = World::started(embedder.clone());
    for number in 0..40 {
        world
            .remember("ann", &format!("note {number} of mine, number {number}"))
            .await;
    }
    tokio::time::sleep(Duration::from_mins(10)).await;
    let state = world.embedding.state();
    assert!(state.is_behind && state.failure.is_some(), "{state:?}");
    let health = HealthCheck::run(&*world.embedding).await;
    assert!(
        matches!(health, CheckState::Issue(Severity::Warning, _)),
        "{health:?}"
    );
    // A minute at most between two attempts.
    assert!((10..20).contains(&embedder.calls().len()));
    assert_eq!(world.texts("ann", "number 7").await.len(), 5);
    embedder.recover();
    tokio::time::sleep(Duration::from_mins(1)).await;
    world.settle().await;
    assert_eq!(world.counts("ann").await, counts(40, 0));
    let state = world.embedding.state();
    assert_eq!((state.failure, state.dimension), (None, Some(64)));
    assert_eq!(
        HealthCheck::run(&*world.embedding).await,
        CheckState::Healthy
    );
}

#[tokio::test(start_paused = true)]
async fn a_search_does_not_wait_for_a_silent_embedder() {
    let embedder = Arc::new(HashingEmbedder::new("hash", 64));
    let world = World::started(embedder.clone());
    world.remember("ann", "Green tea in the morning").await;
    world.settle().await;
    embedder.wait_for(&Gate::closed());
    let asked = embedder.calls().len();
    let begun = tokio::time::Instant::now();
    assert_eq!(world.texts("ann", "tea").await.len(), 1);
    assert_eq!(begun.elapsed(), Duration::from_millis(300));
    assert_eq!(world.texts("ann", "tea").await.len(), 1);
    assert_eq!(begun.elapsed(), Duration::from_millis(300));
    assert_eq!(embedder.calls().len(), asked + 1);
    world.clock.advance(Duration::from_secs(6));
    world.search("ann", "tea").await;
    assert_eq!(embedder.calls().len(), asked + 2);
}

#[tokio::test(start_paused = true)]
async fn a_process_goes_on_where_the_last_one_stopped() {
    let embedder = Arc::new(HashingEmbedder::new("hash", 64).with_max_batch(4));
    let world = World::started(embedder.clone());
    for number in 0..10 {
        world
            .remember("ann", &format!("note {number} of mine, number {number}"))
            .await;
    }
    world.settle().await;
    let gate = Gate::closed();
    embedder.wait_for(&gate);
    world.remember("ann", "The last one").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.embedding.stop().await;
    assert_eq!(world.counts("ann").await, counts(10, 0));
    let embedder = Arc::new(HashingEmbedder::new("hash", 64).with_max_batch(4));
    let again = World::over(world.store.clone(), embedder.clone());
    again.embedding.start();
    again.settle().await;
    assert_eq!(again.counts("ann").await, counts(11, 0));
    let texts: Vec<String> = embedder
        .calls()
        .into_iter()
        .flat_map(|call| call.texts)
        .collect();
    assert_eq!(texts, ["memory", "The last one"]);
}

#[tokio::test(start_paused = true)]
async fn another_model_embeds_everything_anew() {
    let world = World::started(Arc::new(HashingEmbedder::new("small", 16)));
    for number in 0..300 {
        world
            .remember("ann", &format!("note {number} of mine, number {number}"))
            .await;
    }
    world.settle().await;
    world.embedding.stop().await;
    let again = World::over(
        world.store.clone(),
        Arc::new(HashingEmbedder::new("large", 32)),
    );
    again.embedding.start();
    again.settle().await;
    assert_eq!(again.counts("ann").await, counts(300, 0));
    let old = VectorSpace {
        model: "small".to_owned(),
        dimension: 16,
    };
    let kept = MemoryVectors::count(&*world.store, &user("ann"), &old).await;
    assert_eq!(kept.unwrap(), counts(0, 0));
    let hits = again.search("ann", "note 7 of mine, number 7").await;
    assert_eq!(hits[0].meaning_rank, Some(1), "{hits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rewritten_memory_is_embedded_anew() {
    let world = World::started(Arc::new(Topics));
    let memory = world.remember("ann", "A blue car").await;
    world.settle().await;
    assert_eq!(world.search("ann", "vehicle").await.len(), 1);
    let change = MemoryChange {
        content: Some("A black cat".to_owned()),
        tags: None,
    };
    world
        .memory
        .update(&caller("ann"), &memory.id, change)
        .await
        .unwrap();
    world.settle().await;
    let hits = world.search("ann", "feline").await;
    assert!(hits[0].similarity.unwrap() > 0.99, "{hits:?}");
    assert_eq!(world.counts("ann").await, counts(1, 0));
    world
        .memory
        .delete(&caller("ann"), &memory.id)
        .await
        .unwrap();
    assert_eq!(world.search("ann", "feline").await.len(), 0);
    assert_eq!(world.counts("ann").await, counts(0, 0));
}

#[tokio::test(start_paused = true)]
async fn only_the_text_that_is_refused_stays_without_a_vector() {
    let world = World::started(Arc::new(Fussy(HashingEmbedder::new("hash", 64))));
    let texts = [
        "one apple",
        "a forbidden thing",
        "two pears",
        "three plums",
        "four figs",
    ];
    let batch = texts.iter().map(|text| remembering(text)).collect();
    world
        .memory
        .import(&caller("ann"), imports(batch))
        .await
        .unwrap();
    world.settle().await;
    let progress = world.progress("ann").await;
    assert_eq!(progress.embedded, counts(4, 0));
    assert_eq!(progress.embeddable, counts(5, 0));
    assert_eq!(world.embedding.state().failure, None);
    assert_eq!(world.texts("ann", "forbidden").await, ["a forbidden thing"]);
}

/// However many texts are refused one after the other, those behind them have their turn.
#[tokio::test(start_paused = true)]
async fn many_refused_texts_do_not_hold_up_the_others() {
    let world = World::started(Arc::new(Fussy(HashingEmbedder::new("hash", 64))));
    let refused = (0..40).map(|number| remembering(&format!("forbidden thing {number}")));
    let others = (0..5).map(|number| remembering(&format!("an apple {number}")));
    let batch = imports(refused.chain(others).collect());
    world.memory.import(&caller("ann"), batch).await.unwrap();
    world.settle().await;
    assert_eq!(world.counts("ann").await, counts(5, 0));
    assert_eq!(world.embedding.state().failure, None);
}

#[tokio::test(start_paused = true)]
async fn a_failing_storage_is_tried_again() {
    let world = World::over(
        Arc::new(InMemoryStore::new()),
        Arc::new(HashingEmbedder::new("hash", 64)),
    );
    for method in [
        "memory_vectors.missing",
        "memory_vectors.store",
        "memories.find",
    ] {
        world.failing.fail(method, 1);
    }
    world.failing.lose_answer("memory_vectors.store", 2);
    world.remember("ann", "One thing").await;
    world.embedding.start();
    tokio::time::sleep(Duration::from_mins(1)).await;
    world.settle().await;
    assert_eq!(world.counts("ann").await, counts(1, 0));
    assert_eq!(world.texts("ann", "thing").await, ["One thing"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_is_found_by_its_meaning_too() {
    let world = World::over(Arc::new(InMemoryStore::new()), Arc::new(Topics));
    let said = turn("ann", "trip", 1, "The car broke down");
    world.store.accept(said.clone()).await.unwrap();
    world
        .store
        .finish(answer(&said, "What a pity"))
        .await
        .unwrap();
    world.embedding.start();
    world.settle().await;
    assert_eq!(world.counts("ann").await, counts(0, 2));
    let hits = world.search("ann", "vehicle").await;
    assert_eq!(text_of(&hits[0]), "The car broke down");
    assert_eq!(world.search("bob", "vehicle").await.len(), 0);
    // Nobody told of what other processes store: it is found after a while.
    let later = turn("ann", "trip", 2, "Dinner was cold");
    world.store.accept(later.clone()).await.unwrap();
    tokio::time::sleep(Duration::from_mins(11)).await;
    assert_eq!(world.counts("ann").await, counts(0, 3));
}

/// It does not wait for the next look at all that is stored.
#[tokio::test(start_paused = true)]
async fn an_imported_conversation_is_embedded_at_once() {
    let world = World::started(Arc::new(Topics));
    world.remember("ann", "One thing").await;
    world.settle().await;
    let options = support::Options {
        store: world.store.clone(),
        ..support::Options::default()
    };
    let door = support::World::with([], options);
    door.chat.remember_with(world.memory.clone());
    let said = |name: &str, text: &str| NewMessage {
        name: name.to_owned(),
        role: Role::User,
        text: text.to_owned(),
        created_at: at(-1_000_000),
    };
    let instructions = NewMessage {
        role: Role::System,
        ..said("0", "Be brief")
    };
    let talk = |messages| NewConversation {
        session: session_id("old"),
        title: None,
        created_at: None,
        messages,
    };
    let ann = support::caller("ann");
    let first = vec![said("1", "The car broke down")];
    let all = vec![
        instructions,
        said("1", "The car broke down"),
        said("2", "Dinner was cold"),
    ];
    for (messages, stored, known, turns) in [(first, 1, 0, 1), (all, 2, 1, 2)] {
        let imported = door.sessions.import(&ann, vec![talk(messages)]).await;
        let expected = ImportedSession {
            session: session_id("old"),
            stored,
            known,
        };
        assert_eq!(imported.unwrap(), [expected]);
        world.settle().await;
        assert_eq!(world.counts("ann").await, counts(1, turns));
    }
    assert_eq!(world.texts("ann", "vehicle").await[0], "The car broke down");
}

#[tokio::test(start_paused = true)]
async fn more_than_can_be_told_is_embedded_all_the_same() {
    let world = World::started(Arc::new(
        HashingEmbedder::new("hash", 8).with_max_batch(500),
    ));
    let batch = |from: u32| {
        (from..from + 3_000)
            .map(|number| remembering(&format!("note {number}")))
            .collect()
    };
    world
        .memory
        .import(&caller("ann"), imports(batch(0)))
        .await
        .unwrap();
    world
        .memory
        .import(&caller("ann"), imports(batch(3_000)))
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(world.counts("ann").await, counts(6_000, 0));
}
