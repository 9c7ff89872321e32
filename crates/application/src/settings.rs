//! Settings that are changed while the server runs, what users prefer, and who the agent is.
//!
//! The installation's settings belong to the operator's account; owner and administrators change them. Everybody has
//! preferences of their own beside them.

mod error;
mod identity;
mod preferences;
mod secrets;
mod service;
mod update;

pub use error::SettingsError;
pub use identity::{IdentityFile, IdentityFiles};
pub use secrets::{SettingsSecrets, UnreadableSecret};
pub use service::{SettingsPorts, SettingsService, SettingsView};
pub use update::{Change, SettingsUpdate, UpdateReport};

/// Most settings of one owner.
pub const MAX_SETTINGS: u32 = 1_000;
/// Longest value of one setting, in bytes.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// Keys of secrets that are kept for other parts of the server begin with this.
pub const SECRET_PREFIX: &str = "secrets.";
/// Keys of values that a dialect keeps for its clients, the same for everybody, begin with this.
pub const KEPT_PREFIX: &str = "kept.";
/// Keys of values that a dialect keeps for the clients of one user begin with this.
pub const PREFERENCE_PREFIX: &str = "preference.";
