//! Credentials: every way of showing who is asking resolves to the same [`Caller`].

mod configured_keys;
mod digest;
mod error;
mod key_cache;
mod service;
mod session_token;

pub use configured_keys::{ConfiguredKey, ConfiguredSecret};
pub use digest::sha256;
pub use error::AccessError;
pub use service::{
    AccessConfig, AccessPorts, AccessService, CreateApiKey, IssuedApiKey, IssuedToken, Presented,
};
