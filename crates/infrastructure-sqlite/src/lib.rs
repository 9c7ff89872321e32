//! Storage in one SQLite file: nothing to install, one owning process.
//!
//! Reads run on a few threads with a connection each. Writes run on one thread, which puts all that wait into one
//! transaction: many acknowledged writes, one flush to the disk.

mod backend;
mod catalog;
mod copy;
mod database;
mod indexing;
mod lock;
mod migrations;
mod queue;
mod readers;
#[path = "../../infrastructure-diesel/src/repositories.rs"]
mod repositories;
mod store;
mod writer;

pub use copy::SqliteCopy;
pub use repositories::{
    DieselApiKeyRepository, DieselAuditLog, DieselBudgetRepository, DieselMemoryRepository,
    DieselMemoryVectors, DieselOAuthRepository, DieselRunJournal, DieselSelfAuditRepository,
    DieselSessionRepository, DieselSettingsRepository, DieselStorageHealth, DieselTurnRepository,
    DieselUsageLedger, DieselUserRepository,
};
pub use store::{SqliteConfig, SqliteStore, StoreError};
