//! The dialect of `PocketPaw`'s clients: `/api/v1` for its desktop client and scripts, and the routes under `/api` that its
//! web dashboard asks. Errors are `{"detail": ...}`; session ids are written `websocket_<id>`.
//!
//! `routes.rs` is the table of contents. Every credential is accepted as bearer token, `?token=` or cookie.

mod api_keys;
mod auth;
mod chat;
mod documentation;
mod error;
mod fails;
mod health;
mod routes;
mod sessions;
mod version;
mod wire;
pub mod ws;

pub use documentation::document;
pub use error::{DIALECT, PocketPaw};
pub use routes::{configure, configure_legacy, configure_v1, mount};
