//! Storage in PostgreSQL: for servers with many users or more than one replica.

mod backend;
mod catalog;
mod connect;
mod copy;
mod database;
mod migrations;
#[path = "../../infrastructure-diesel/src/repositories.rs"]
mod repositories;
mod store;
mod tls;
mod vectors;

pub use copy::PostgresCopy;
pub use repositories::{
    DieselApiKeyRepository, DieselAuditLog, DieselBudgetRepository, DieselMemoryRepository,
    DieselMemoryVectors, DieselOAuthRepository, DieselRunJournal, DieselSelfAuditRepository,
    DieselSessionRepository, DieselSettingsRepository, DieselStorageHealth, DieselTurnRepository,
    DieselUsageLedger, DieselUserRepository,
};
pub use store::{PostgresConfig, PostgresStore, StoreError};
