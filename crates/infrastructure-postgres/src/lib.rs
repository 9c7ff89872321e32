//! Storage in PostgreSQL: for servers with many users or more than one replica.

mod backend;
mod connect;
mod database;
mod migrations;
#[path = "../../infrastructure-diesel/src/repositories.rs"]
mod repositories;
mod store;
mod tls;

pub use repositories::{
    DieselApiKeyRepository, DieselRunJournal, DieselSessionRepository, DieselStorageHealth,
};
pub use store::{PostgresConfig, PostgresStore, StoreError};
