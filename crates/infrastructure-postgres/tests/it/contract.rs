//! The contract suites every storage backend passes.

use majordomo_infrastructure_postgres::{PostgresConfig, PostgresStore};
use majordomo_testkit::Stores;
use majordomo_testkit::postgres::PostgresCluster;

majordomo_testkit::contract_tests!(async {
    let Some(cluster) = PostgresCluster::shared() else {
        // Nothing to test here; the in-memory store keeps the suites honest.
        return Stores::of(std::sync::Arc::new(majordomo_testkit::InMemoryStore::new()));
    };
    let config = PostgresConfig::new(cluster.database().await);
    let store = PostgresStore::open(&config).await.unwrap();
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
        turns: store.turns(),
        health: store.health(),
        audit: store.audit(),
        self_audit: store.self_audit(),
        guard: None,
    }
});
