//! The use cases of Majordomo and the ports they need. No web server, no database, no JSON formats in here: embed this
//! crate with adapters of your own.

pub mod access;
pub mod audit;
pub mod caller;
pub mod chat;
pub mod embeddings;
pub mod error;
pub mod events;
pub mod hex;
pub mod memory;
pub mod models;
pub mod oauth;
pub mod operations;
pub mod ports;
pub mod runs;
pub mod self_audit;
pub mod settings;
pub mod tools;
pub mod usage;

pub use caller::{Caller, ScopeDenied};
pub use error::{ErrorKind, FieldError, ServiceError};
