//! One module per section of the settings.

mod agent;
mod budgets;
mod database;
mod limits;
mod logging;
mod memory;
mod models;
mod oauth;
mod prices;
mod security;
mod server;

pub use agent::AgentSettings;
pub use budgets::BudgetsSettings;
pub use database::{DatabaseLocation, DatabaseSettings};
pub use limits::LimitsSettings;
pub use logging::{LogFormat, LoggingSettings};
pub use memory::{EmbedderChoice, MemorySettings};
pub use models::{ModelsSettings, ProviderKind, ProviderSettings};
pub use oauth::{OAuthClientSettings, OAuthSettings};
pub use prices::{PriceSettings, PricesSettings};
pub use security::{ApiKeySettings, ApiKeyUsers, SecuritySettings, UserUuid, UserUuidError};
pub use server::{Environment, ForwardedHeader, ServerSettings};
