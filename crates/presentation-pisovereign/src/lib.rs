//! The dialect of PiSovereign's clients: `/v1/chat`, `/v1/memories`, `/v1/system`, probes, metrics and their documents.
//!
//! Credentials come as `Authorization: Bearer`; failures are `{"error":{"code","message","details","request_id"}}`.
//! [`configure`] registers every route by its whole path, so it needs no scope around it.

mod chat;
mod docs;
mod error;
mod memories;
mod metrics;
mod mount;
mod probes;
mod routes;
mod system;

pub use docs::document;
pub use error::{DIALECT, PiSovereign};
pub use mount::mount;
pub use routes::configure;

/// The server's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
