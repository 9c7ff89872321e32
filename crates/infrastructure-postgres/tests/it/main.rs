//! PostgreSQL storage on a private cluster: the contract of the ports, and what only this backend does. Without an
//! installed server every test says so and is skipped.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod audit;
mod connections;
mod contract;
mod copying;
mod vectors;

use majordomo_infrastructure_postgres::{PostgresConfig, PostgresStore};
use majordomo_testkit::Stores;
use majordomo_testkit::postgres::PostgresCluster;

/// A store over a database of its own.
async fn opened(cluster: &PostgresCluster) -> PostgresStore {
    let config = PostgresConfig::new(cluster.database().await);
    PostgresStore::open(&config).await.unwrap()
}

/// Its ports.
async fn stores(cluster: &PostgresCluster, store: &PostgresStore) -> Stores {
    Stores {
        sessions: store.sessions(),
        journal: store.journal(),
        api_keys: store.api_keys(),
        oauth: store.oauth(),
        users: store.users(),
        settings: store.settings(),
        usage: store.usage(),
        budgets: store.budgets(),
        memories: store.memories(),
        memory_vectors: store.memory_vectors(),
        compares_vectors: cluster.has_pgvector().await,
        turns: store.turns(),
        health: store.health(),
        audit: store.audit(),
        self_audit: store.self_audit(),
        guard: None,
    }
}
