//! The storage ports over diesel, written once and compiled into each backend crate.
//!
//! The backend crate includes this file with `#[path]` and offers `crate::backend`: the connection type `Conn`, the
//! [`Database`](crate::backend::Database) that runs statements on it (`read`, `write`), and the few things the two
//! databases do differently.

mod api_keys;
mod audit;
mod budgets;
mod cached;
mod codec;
mod copying;
mod error;
mod health;
mod memories;
pub(crate) mod memory_vectors;
mod messages;
mod oauth;
mod run_rows;
mod runs;
pub(crate) mod schema;
mod search;
mod self_audit;
mod sessions;
mod settings;
mod turns;
mod usage;
mod users;
mod words;

pub use api_keys::DieselApiKeyRepository;
pub use audit::DieselAuditLog;
pub use budgets::DieselBudgetRepository;
pub use health::DieselStorageHealth;
pub use memories::DieselMemoryRepository;
pub use memory_vectors::DieselMemoryVectors;
pub use oauth::DieselOAuthRepository;
pub use runs::DieselRunJournal;
pub use self_audit::DieselSelfAuditRepository;
pub use sessions::DieselSessionRepository;
pub use settings::DieselSettingsRepository;
pub use turns::DieselTurnRepository;
pub use usage::DieselUsageLedger;
pub use users::DieselUserRepository;

pub(crate) use copying::{
    column_list, export, failed, in_transaction, load, quote, receive_schema,
};
pub(crate) use error::{Outcome, QueryError};
pub(crate) use memory_vectors::NearRow;
pub(crate) use search::Candidate;
pub(crate) use words::index_text;
