//! Settings of Majordomo: defaults, `config.toml`, environment and flags, joined into typed and validated structs.
//!
//! Nothing fails open: an unreadable file, an unknown key or a value that makes no sense is an error of one line that
//! names the key. The structs are also the source of `config.toml.example` and of the tables in
//! `docs/configuration.md`.

mod catalogue;
mod environment;
mod error;
mod layers;
mod load;
mod network;
mod render;
mod secret;
mod sections;
mod stored;
mod validate;

pub use environment::process_environment;
pub use error::{Origin, SettingsError};
pub use layers::{Layered, Layers, SECRET_KEY_VARIABLE};
pub use load::{LoadOptions, Overrides};
pub use network::{IpNetwork, IpNetworkError};
pub use secret::Secret;
pub use sections::{
    AgentSettings, ApiKeySettings, ApiKeyUsers, BudgetsSettings, DatabaseLocation,
    DatabaseSettings, EmbedderChoice, Environment, ForwardedHeader, LimitsSettings, LogFormat,
    LoggingSettings, MemorySettings, ModelsSettings, OAuthClientSettings, OAuthSettings,
    PriceSettings, PricesSettings, ProviderKind, ProviderSettings, SecuritySettings,
    ServerSettings, UserUuid, UserUuidError,
};
pub use stored::{Effect, STORABLE, Storable, StoredProvider, StoredSettings};

catalogue::section! {
    /// All settings of one process.
    pub struct Settings {
        /// Where the server listens and what it accepts.
        server: ServerSettings = ServerSettings::default();
        /// Where sessions, messages and runs are kept.
        database: DatabaseSettings = DatabaseSettings::default();
        /// Which models answer, and how their providers are reached.
        models: ModelsSettings = ModelsSettings::default();
        /// How a chat turn is run.
        agent: AgentSettings = AgentSettings::default();
        /// What is remembered, and how it is found again.
        memory: MemorySettings = MemorySettings::default();
        /// What models cost.
        prices: PricesSettings = PricesSettings::default();
        /// How much may be spent.
        budgets: BudgetsSettings = BudgetsSettings::default();
        /// How much of the server one user may take.
        limits: LimitsSettings = LimitsSettings::default();
        /// Who may connect, and how often.
        security: SecuritySettings = SecuritySettings::default();
        /// Apps that act for users.
        oauth: OAuthSettings = OAuthSettings::default();
        /// What is logged and in which form.
        logging: LoggingSettings = LoggingSettings::default();
    }
}

impl Settings {
    /// Loads the settings: flags over environment (`MAJORDOMO__SECTION__KEY`) over file over defaults,
    /// without what is stored in the database: [`Layers`] takes that in.
    /// Secrets that stand in variables and files are looked up.
    ///
    /// # Errors
    /// The file cannot be read or is not TOML; a key is unknown in the file or in the environment, has the wrong type
    /// or makes no sense.
    pub fn load<E>(options: LoadOptions<E>) -> Result<Self, SettingsError>
    where
        E: IntoIterator<Item = (String, String)>,
    {
        Ok(Layers::read(options)?
            .join(&StoredSettings::default())?
            .settings)
    }

    /// Checks what the types cannot.
    fn validate(&self) -> Result<(), SettingsError> {
        self.server.validate()?;
        self.database.validate()?;
        self.models.validate()?;
        self.agent.validate()?;
        self.memory.validate(&self.models)?;
        self.prices.validate()?;
        self.budgets.validate()?;
        self.limits.validate()?;
        self.security.validate()?;
        self.oauth.validate()?;
        self.logging.validate()
    }
}
