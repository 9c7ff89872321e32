//! Settings of Majordomo: defaults, `config.toml`, environment and flags, joined into typed and validated structs.
//!
//! Nothing fails open: an unreadable file, an unknown key or a value that makes no sense is an error of one line that
//! names the key. The structs are also the source of `config.toml.example` and of the tables in
//! `docs/configuration.md`.

mod catalogue;
mod environment;
mod error;
mod load;
mod network;
mod render;
mod secret;
mod sections;
mod validate;

pub use environment::process_environment;
pub use error::{Origin, SettingsError};
pub use load::{LoadOptions, Overrides};
pub use network::{IpNetwork, IpNetworkError};
pub use secret::Secret;
pub use sections::{
    AgentSettings, ApiKeySettings, ApiKeyUsers, DatabaseLocation, DatabaseSettings, Environment,
    LogFormat, LoggingSettings, ModelsSettings, ProviderKind, ProviderSettings, SecuritySettings,
    ServerSettings, UserUuid, UserUuidError,
};

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
        /// Who may connect, and how often.
        security: SecuritySettings = SecuritySettings::default();
        /// What is logged and in which form.
        logging: LoggingSettings = LoggingSettings::default();
    }
}

impl Settings {
    /// Loads the settings: flags over environment (`MAJORDOMO__SECTION__KEY`) over file over defaults.
    /// Secrets that stand in variables and files are looked up.
    ///
    /// # Errors
    /// The file cannot be read or is not TOML; a key is unknown in the file or in the environment, has the wrong type
    /// or makes no sense.
    pub fn load<E>(options: LoadOptions<E>) -> Result<Self, SettingsError>
    where
        E: IntoIterator<Item = (String, String)>,
    {
        load::load(options)
    }

    /// Checks what the types cannot.
    fn validate(&self) -> Result<(), SettingsError> {
        self.server.validate()?;
        self.database.validate()?;
        self.models.validate()?;
        self.agent.validate()?;
        self.security.validate()?;
        self.logging.validate()
    }
}
