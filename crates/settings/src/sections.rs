//! One module per section of the settings.

mod agent;
mod database;
mod logging;
mod models;
mod security;
mod server;

pub use agent::AgentSettings;
pub use database::{DatabaseLocation, DatabaseSettings};
pub use logging::{LogFormat, LoggingSettings};
pub use models::{ModelsSettings, ProviderKind, ProviderSettings};
pub use security::{ApiKeySettings, ApiKeyUsers, SecuritySettings, UserUuid, UserUuidError};
pub use server::{Environment, ServerSettings};
