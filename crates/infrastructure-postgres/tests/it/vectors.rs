//! Vectors that the database compares: where it can, from when on it can, and when it no longer can.

use std::time::Duration;

use futures_util::future::join_all;
use majordomo_application::ports::{NearVector, NewVector, RememberedId, VectorSpace};
use majordomo_infrastructure_postgres::{PostgresConfig, PostgresCopy, PostgresStore};
use majordomo_testkit::builders::{memory, user};
use majordomo_testkit::postgres::PostgresCluster;
use majordomo_testkit::{InMemoryStore, Stores, copying};

use crate::{opened, stores};

const DIMENSION: usize = 24;

mod contract {
    use super::{InMemoryStore, PostgresCluster, Stores, opened, stores};

    majordomo_testkit::memory_contract_tests!(async {
        match PostgresCluster::with_pgvector() {
            Some(cluster) => stores(&cluster, &opened(&cluster).await).await,
            // Nothing to test here; the in-memory store keeps the suites honest.
            None => Stores::of(std::sync::Arc::new(InMemoryStore::new())),
        }
    });
}

fn space(model: &str) -> VectorSpace {
    VectorSpace {
        model: model.to_owned(),
        dimension: u32::try_from(DIMENSION).unwrap(),
    }
}

/// A vector that looks random and is the same every time.
fn vector(seed: u32) -> Vec<f32> {
    let mut state = u64::from(seed) * 2_654_435_761 + 88_172_645_463_325_252;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f32::from(u16::try_from(state >> 48).unwrap()) / 32_768.0 - 1.0
    };
    (0..DIMENSION).map(|_| next()).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

/// Stores memories with these numbers and gives them the vectors.
async fn remember(
    store: &PostgresStore,
    owner: &str,
    model: &str,
    new: Vec<(u32, Vec<f32>)>,
) -> Vec<NewVector> {
    let (memories, owner_id) = (store.memories(), user(owner));
    let texts: Vec<_> = new.iter().map(|(n, _)| memory(owner, *n, "text")).collect();
    let inserted = memories.insert(&owner_id, &texts, u64::MAX, None).await;
    inserted.unwrap();
    let ids: Vec<_> = texts.into_iter().map(|memory| memory.id).collect();
    let stored = memories.find(&owner_id, &ids).await.unwrap();
    let vectors: Vec<NewVector> = new
        .into_iter()
        .zip(ids)
        .map(|((_, vector), id)| NewVector {
            revision: stored.iter().find(|m| m.id == id).unwrap().revision,
            of: RememberedId::Memory(id),
            vector,
        })
        .collect();
    store
        .memory_vectors()
        .store(&owner_id, &space(model), &vectors)
        .await
        .unwrap();
    vectors
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<(u32, Vec<f32>)> {
    numbers.map(|number| (number, vector(number))).collect()
}

async fn nearest(store: &PostgresStore, owner: &str, limit: u32) -> Option<Vec<NearVector>> {
    let (owner, space, question) = (user(owner), space("small"), vector(4_711));
    let vectors = store.memory_vectors();
    let asked = vectors.nearest(&owner, &space, &question, true, limit);
    asked.await.unwrap()
}

/// Waits until so many of ann's vectors are compared.
async fn filled_in(store: &PostgresStore, count: usize) {
    for _ in 0..200 {
        // Nothing is compared before all are there.
        if let Some(near) = nearest(store, "ann", 10_000).await {
            assert_eq!(near.len(), count);
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what was stored before is never filled in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nearest_are_those_with_the_largest_cosines() {
    let Some(cluster) = PostgresCluster::with_pgvector() else {
        return;
    };
    let store = opened(&cluster).await;
    let hers = remember(&store, "ann", "small", numbered(0..300)).await;
    remember(&store, "ann", "other", numbered(300..310)).await;
    remember(&store, "bob", "small", numbered(310..320)).await;
    let question = vector(4_711);
    let mut expected: Vec<(&RememberedId, f32)> = hers
        .iter()
        .map(|new| (&new.of, cosine(&question, &new.vector)))
        .collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    for limit in [10, 1_000] {
        let near = nearest(&store, "ann", limit).await.unwrap();
        assert_eq!(near.len(), hers.len().min(usize::try_from(limit).unwrap()));
        for (near, (id, cosine)) in near.iter().zip(&expected) {
            assert_eq!(
                (&near.of, true),
                (*id, (near.similarity - cosine).abs() < 1e-5)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_without_direction_or_too_long_are_stored_and_not_compared() {
    let Some(cluster) = PostgresCluster::with_pgvector() else {
        return;
    };
    let store = opened(&cluster).await;
    let nothing = vec![0.0; DIMENSION];
    let odd = vec![(1, nothing.clone()), (2, vec![f32::NAN; DIMENSION])];
    remember(&store, "ann", "small", odd).await;
    remember(&store, "ann", "small", numbered(3..4)).await;
    assert_eq!(nearest(&store, "ann", 10).await.unwrap().len(), 1);
    let (owner, small, vectors) = (user("ann"), space("small"), store.memory_vectors());
    let near = vectors.nearest(&owner, &small, &nothing, true, 10);
    assert_eq!(near.await.unwrap(), None);
    let long = VectorSpace {
        dimension: 16_001,
        ..space("long")
    };
    let stored = remember(&store, "ann", "small", numbered(4..5)).await;
    let vector = vec![1.0; 16_001];
    let new = NewVector {
        vector: vector.clone(),
        ..stored[0].clone()
    };
    vectors.store(&owner, &long, &[new]).await.unwrap();
    assert_eq!(vectors.count(&owner, &long).await.unwrap().memories, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_extension_may_go_and_come_back() {
    let Some(cluster) = PostgresCluster::with_pgvector() else {
        return;
    };
    let config = PostgresConfig::new(cluster.database().await);
    let store = PostgresStore::open(&config).await.unwrap();
    remember(&store, "ann", "small", numbered(0..10)).await;
    assert_eq!(nearest(&store, "ann", 3).await.unwrap().len(), 3);
    let database = config.url.rsplit('/').next().unwrap();
    let client = cluster.client(database).await;
    client
        .batch_execute("DROP EXTENSION vector CASCADE")
        .await
        .unwrap();
    assert_eq!(nearest(&store, "ann", 3).await, None);
    remember(&store, "ann", "small", numbered(10..1_200)).await;
    let again = PostgresStore::open(&config).await.unwrap();
    filled_in(&again, 1_200).await;
    // Whoever was there all the time knows it, too, and adds to it.
    remember(&store, "ann", "small", numbered(1_200..1_201)).await;
    assert_eq!(nearest(&store, "ann", 2_000).await.unwrap().len(), 1_201);
}

/// As where the extension is listed and its library is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_that_pgvector_does_not_take_are_stored_all_the_same() {
    let Some(cluster) = PostgresCluster::with_pgvector() else {
        return;
    };
    let config = PostgresConfig::new(cluster.database().await);
    let store = PostgresStore::open(&config).await.unwrap();
    let database = config.url.rsplit('/').next().unwrap();
    let client = cluster.client(database).await;
    client
        .batch_execute("ALTER TABLE memory_vector_index ADD CONSTRAINT none CHECK (false)")
        .await
        .unwrap();
    remember(&store, "ann", "small", numbered(0..5)).await;
    assert_eq!(nearest(&store, "ann", 3).await, None);
    client
        .batch_execute("ALTER TABLE memory_vector_index DROP CONSTRAINT none")
        .await
        .unwrap();
    remember(&store, "ann", "small", numbered(5..6)).await;
    assert_eq!(nearest(&store, "ann", 3).await, None);
    let store = PostgresStore::open(&config).await.unwrap();
    filled_in(&store, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_create_the_extension_goes_on_without() {
    let Some(cluster) = PostgresCluster::with_pgvector() else {
        return;
    };
    let address = cluster.database().await;
    let database = address.rsplit('/').next().unwrap();
    let client = cluster.client(database).await;
    let role = format!(
        "CREATE ROLE plain_{database} LOGIN; GRANT ALL ON SCHEMA public TO plain_{database}"
    );
    client.batch_execute(&role).await.unwrap();
    let plain = format!("postgres://plain_{database}@");
    let config = PostgresConfig::new(address.replace("postgres://postgres@", &plain));
    let store = PostgresStore::open(&config).await.unwrap();
    remember(&store, "ann", "small", numbered(0..5)).await;
    assert_eq!(nearest(&store, "ann", 3).await, None);
    client
        .batch_execute("CREATE EXTENSION vector")
        .await
        .unwrap();
    let store = PostgresStore::open(&config).await.unwrap();
    filled_in(&store, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_database_at_once() {
    let Some(cluster) = PostgresCluster::with_pgvector() else {
        return;
    };
    let config = PostgresConfig::new(cluster.database().await);
    let opened = join_all((0..6).map(|_| PostgresStore::open(&config))).await;
    for (store, number) in opened.into_iter().zip(0..) {
        let store = store.unwrap();
        remember(&store, "ann", "small", numbered(number..number + 1)).await;
        let near = nearest(&store, "ann", 10).await.unwrap();
        assert_eq!(near.len(), usize::try_from(number).unwrap() + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_without_it_and_make_it_anew() {
    let Some(cluster) = PostgresCluster::with_pgvector() else {
        return;
    };
    let source = PostgresConfig::new(cluster.database().await);
    let target = PostgresConfig::new(cluster.database().await);
    for (config, numbers) in [(&source, 0..7), (&target, 7..9)] {
        let store = PostgresStore::open(config).await.unwrap();
        remember(&store, "ann", "small", numbered(numbers)).await;
    }
    let exported = copying::export(&PostgresCopy::new(source)).await;
    let copy = PostgresCopy::new(target.clone());
    copying::import(&copy, exported, true).await.unwrap();
    assert_eq!(PostgresStore::pending(&target).await.unwrap(), [""; 0]);
    let store = PostgresStore::open(&target).await.unwrap();
    filled_in(&store, 7).await;
}
