//! The storage ports over diesel, written once and compiled into each backend crate.
//!
//! The backend crate includes this file with `#[path]` and offers `crate::backend`: the connection type `Conn`, the
//! [`Database`](crate::backend::Database) that runs statements on it (`read`, `write`), and the few things the two
//! databases do differently.

mod api_keys;
mod cached;
mod codec;
mod error;
mod health;
mod messages;
mod run_rows;
mod runs;
mod schema;
mod search;
mod sessions;
mod words;

pub use api_keys::DieselApiKeyRepository;
pub use health::DieselStorageHealth;
pub use runs::DieselRunJournal;
pub use sessions::DieselSessionRepository;

pub(crate) use error::{Outcome, QueryError};
pub(crate) use search::Candidate;
pub(crate) use words::index_text;
