//! The contract suites every storage backend passes.

use majordomo_testkit::postgres::PostgresCluster;
use majordomo_testkit::{InMemoryStore, Stores};

use crate::{opened, stores};

majordomo_testkit::contract_tests!(async {
    match PostgresCluster::shared() {
        Some(cluster) => stores(&cluster, &opened(&cluster).await).await,
        // Nothing to test here; the in-memory store keeps the suites honest.
        None => Stores::of(std::sync::Arc::new(InMemoryStore::new())),
    }
});
