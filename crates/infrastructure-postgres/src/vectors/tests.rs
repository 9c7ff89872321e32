//! Graphs of vectors: made where they are missing, asked for the nearest, made again where one was not finished.

use majordomo_application::ports::{NewVector, RememberedId};
use majordomo_testkit::builders::{memory, user};
use majordomo_testkit::postgres::PostgresCluster;

use super::*;
use crate::store::{PostgresConfig, PostgresStore};

const COUNT: u32 = 600;

/// A vector on a spiral: its neighbours are those with the next numbers.
fn vector(number: u32) -> Vec<f32> {
    let angle = f64::from(number) * 0.005;
    let numbers = [angle.cos(), angle.sin(), (angle * 3.0).cos(), 1.0];
    numbers.map(to_f32).to_vec()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "a test needs few digits"
)]
fn to_f32(number: f64) -> f32 {
    number as f32
}

async fn fill_with_vectors(store: &PostgresStore, space: &VectorSpace) {
    let owner = user("ann");
    let new: Vec<_> = (0..COUNT).map(|n| memory("ann", n, "text")).collect();
    let inserted = store.memories().insert(&owner, &new, u64::MAX, None).await;
    inserted.unwrap();
    let stored = store.memories().changes(&owner, 0, COUNT).await.unwrap();
    let vectors: Vec<NewVector> = stored
        .into_iter()
        .zip(0..)
        .map(|(memory, number)| NewVector {
            of: RememberedId::Memory(memory.id),
            revision: memory.revision,
            vector: vector(number),
        })
        .collect();
    let storing = store.memory_vectors();
    storing.store(&owner, space, &vectors).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_is_made_once_used_and_mended() {
    let Some(cluster) = PostgresCluster::with_pgvector() else {
        return;
    };
    let config = PostgresConfig::new(cluster.database().await);
    let database = config.url.rsplit('/').next().unwrap();
    let client = cluster.client(database).await;
    // So few vectors would be compared one after the other.
    let settings = format!(
        "ALTER DATABASE {database} SET enable_seqscan TO off; \
         ALTER DATABASE {database} SET enable_sort TO off"
    );
    client.batch_execute(&settings).await.unwrap();
    let store = PostgresStore::open(&config).await.unwrap();
    let space = VectorSpace {
        model: "spiral".to_owned(),
        dimension: 4,
    };
    fill_with_vectors(&store, &space).await;
    let owner = user("ann");
    let nearest = async || {
        let vectors = store.memory_vectors();
        let question = vector(300);
        let asked = vectors.nearest(&owner, &space, &question, true, 100);
        asked.await.unwrap().unwrap()
    };
    let exact = nearest().await;
    let connector = Connector::new(&config).unwrap();
    let graphs = async || {
        let rows = client
            .query("SELECT indisvalid, indexrelid FROM pg_index WHERE indexrelid::regclass::text LIKE 'vectors_%'", &[])
            .await
            .unwrap();
        rows.iter()
            .map(|row| (row.get::<_, bool>(0), row.get::<_, u32>(1)))
            .collect::<Vec<_>>()
    };
    let make = async |least| {
        let mut conn = connector.connect().await.unwrap();
        graphs::make_missing(&mut conn, least).await.unwrap();
    };
    make(i64::from(COUNT) + 1).await;
    assert_eq!(graphs().await, []);
    make(i64::from(COUNT)).await;
    let made = graphs().await;
    assert!(made.len() == 1 && made[0].0, "{made:?}");
    let found = nearest().await;
    assert!(found.is_sorted_by(|a, b| a.similarity >= b.similarity));
    let common = found.iter().filter(|near| exact.contains(near)).count();
    assert!(common >= 98 && found.len() == 100, "{common}");
    make(i64::from(COUNT)).await;
    assert_eq!(graphs().await, made);
    let breaking =
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text LIKE 'vectors_%'";
    client.batch_execute(breaking).await.unwrap();
    make(i64::from(COUNT)).await;
    let mended = graphs().await;
    assert!(
        mended.len() == 1 && mended[0].0 && mended[0].1 != made[0].1,
        "{mended:?}"
    );
    // Statistics come with the next statement after a second.
    let scans =
        "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE 'vectors_memories_4_%'";
    for _ in 0..20 {
        nearest().await;
        let row = client.query_one(scans, &[]).await.unwrap();
        if row.get::<_, i64>(0) > 0 {
            make(i64::from(COUNT) * 3).await;
            assert_eq!(graphs().await, [], "it is not worth its room any more");
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("the graph is not used");
}
