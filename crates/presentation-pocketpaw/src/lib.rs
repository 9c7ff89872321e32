//! The dialect of `PocketPaw`'s clients: `/api/v1` for its desktop client and scripts, and the routes under `/api` that its
//! web dashboard asks. Errors are `{"detail": ...}`; session ids are written `websocket_<id>`.
//!
//! `routes.rs` is the table of contents. Every credential is accepted as bearer token, `?token=` or cookie.

mod agent_status;
mod api_keys;
mod audit;
mod auth;
mod budgets;
mod chat;
mod documentation;
mod error;
mod events;
mod fails;
mod health;
mod identity;
mod memory;
mod oauth;
mod proxy;
mod qr;
mod routes;
mod self_audit;
mod sessions;
mod settings;
mod system_metrics;
mod usage;
mod users;
mod version;
mod wire;
pub mod ws;

pub use documentation::document;
pub use error::{DIALECT, PocketPaw};
pub use routes::{configure, configure_legacy, configure_root, configure_v1, mount};
