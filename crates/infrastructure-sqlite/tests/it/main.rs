//! SQLite storage: the contract of the ports, and what only this backend does.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod audit;
mod contract;
mod copying;
mod group_commit;
mod opening;

use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteStore};
use tempfile::TempDir;

/// A store in a folder of its own.
struct TestStore {
    store: SqliteStore,
    config: SqliteConfig,
    _folder: TempDir,
}

fn test_store() -> TestStore {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(folder.path().join("test.sqlite3"));
    TestStore {
        store: SqliteStore::open(&config).unwrap(),
        config,
        _folder: folder,
    }
}
