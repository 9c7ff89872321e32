//! What every subcommand starts from: settings, the data folder, and a server to talk to.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use majordomo_application::ports::MasterTokenStore as _;
use majordomo_infrastructure_system::FileMasterTokenStore;
use majordomo_settings::{
    Layers, LoadOptions, Overrides, Settings, SettingsError, StoredSettings, process_environment,
};
use reqwest::Method;
use thiserror::Error;

use super::Global;
use crate::client::{Client, ClientError};
use crate::instance::Instance;
use crate::startup::{Application, StartError};
use crate::telemetry::{self, LevelError};
use crate::wiring;

/// Why a subcommand failed.
#[derive(Debug, Error)]
pub(super) enum CliError {
    /// The configuration is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The log level is wrong.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// A host to listen on is unknown.
    #[error("--host: {host} has no address: {source}")]
    Host {
        host: String,
        #[source]
        source: io::Error,
    },
    /// The configuration is wrong, as has been told on standard output.
    #[error("the configuration is to be mended")]
    Misconfigured,
    /// The platform tells of no folder for application data.
    #[error("no folder for data is known on this system; name one with --data-dir")]
    NoDataDir,
    /// The server does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The server refuses or does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The runtime cannot be made.
    #[error("the runtime cannot start: {0}")]
    Runtime(#[source] io::Error),
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[source] io::Error),
    /// The person at the terminal wants no more of it.
    #[error("interrupted")]
    Interrupted,
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl CliError {
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Settings(_)
            | Self::Level(_)
            | Self::Host { .. }
            | Self::Misconfigured
            | Self::NoDataDir => 2,
            Self::Start(error) if error.is_configuration() => 2,
            Self::Interrupted => 130,
            _ => 1,
        })
    }
}

/// Settings and the data folder.
pub(super) struct Context {
    pub(super) settings: Settings,
    /// What they are made of: what is stored goes between.
    pub(super) layers: Layers,
    pub(super) data_dir: PathBuf,
}

/// Loads the settings; `overrides` are the flags of the subcommand.
pub(super) fn load_settings(global: &Global, overrides: Overrides) -> Result<Context, CliError> {
    let environment: Vec<_> = process_environment().collect();
    let named = global.data_dir.clone();
    let from_environment = || {
        let variable = environment
            .iter()
            .find(|(name, _)| name == "MAJORDOMO__SERVER__DATA_DIR");
        variable.map(|(_, folder)| PathBuf::from(folder))
    };
    let platform = || {
        directories::ProjectDirs::from("", "", "majordomo").map(|dirs| dirs.data_dir().to_owned())
    };
    let guess = named.clone().or_else(from_environment).or_else(platform);
    let layers = Layers::read(LoadOptions {
        config_file: global.config.clone(),
        default_file: guess.as_ref().map(|folder| folder.join("config.toml")),
        env: environment,
        overrides: Overrides {
            data_dir: named,
            ..overrides
        },
    })?;
    let settings = layers.join(&StoredSettings::default())?.settings;
    let data_dir = settings
        .server
        .data_dir
        .clone()
        .or(guess)
        .ok_or(CliError::NoDataDir)?;
    Ok(Context {
        settings,
        layers,
        data_dir,
    })
}

impl Context {
    /// The settings of a subcommand other than `serve`: it logs warnings only.
    pub(super) fn load(global: &Global) -> Result<Self, CliError> {
        let mut context = load_settings(global, Overrides::default())?;
        if context.settings.logging.level == "info" {
            "warn".clone_into(&mut context.settings.logging.level);
        }
        telemetry::init(&context.settings.logging)?;
        Ok(context)
    }

    /// Runs a subcommand on a runtime.
    pub(super) fn block_on<T>(
        self,
        work: impl AsyncFnOnce(Self) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        runtime()?.block_on(work(self))
    }

    /// The server that runs on the data folder, or none.
    pub(super) async fn running(&self) -> Option<Client> {
        let instance = Instance::read(&self.data_dir)?;
        let token = FileMasterTokenStore::new(&self.data_dir)
            .load()
            .await
            .ok()??;
        let client = Client::new(format!("http://{}", instance.address), token).ok()?;
        // Only the server of this data folder knows its master token.
        client
            .json(Method::GET, "/api/v1/version", None)
            .await
            .ok()?;
        Some(client)
    }

    /// A server to talk to: the one that runs, else one started in this process for as long as `work` takes.
    pub(super) async fn with_server<T>(
        self,
        work: impl AsyncFnOnce(Client) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        if let Some(client) = self.running().await {
            return work(client).await;
        }
        let Self {
            mut settings,
            layers,
            data_dir,
        } = self;
        settings.server.listen = vec![([127, 0, 0, 1], 0).into()];
        settings.server.workers = Some(1);
        settings.security.rate_limit_enabled = false;
        let patience = Duration::from_secs(settings.server.shutdown_timeout_secs);
        let errors = wiring::error_log(&data_dir);
        let application = Application::start(settings, layers, &data_dir, errors).await?;
        let client = Client::new(
            format!("http://{}", application.address()),
            application.master_token()?,
        )?;
        let result = work(client).await;
        application.stop(patience).await;
        result
    }
}

/// A runtime for the core and the client.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)
}
