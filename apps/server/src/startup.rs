//! Starting and stopping a server.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use majordomo_application::Caller;
use majordomo_application::access::AccessError;
use majordomo_application::ports::{ErrorLog, RepositoryError};
use majordomo_domain::CredentialKind;
use majordomo_infrastructure_system::{
    DataDirError, MASTER_TOKEN_FILE, RandomSourceError, prepare_data_dir,
};
use majordomo_presentation_http::Services;
use majordomo_settings::{Layers, Settings};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::instance::Announcement;
use crate::wiring::{
    self, AuditTasks, EmbedderConfigError, KeyConfigError, LiveSettingsError, ModelsConfigError,
    OAuthConfigError, StorageError,
};

/// Why a server does not start, or breaks.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The database cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What is stored of settings cannot be used.
    #[error(transparent)]
    Settings(#[from] LiveSettingsError),
    /// A model provider's settings are wrong.
    #[error(transparent)]
    Models(#[from] ModelsConfigError),
    /// The memory's embedding model cannot be used.
    #[error(transparent)]
    Embedder(#[from] EmbedderConfigError),
    /// An app's settings are wrong.
    #[error(transparent)]
    OAuth(#[from] OAuthConfigError),
    /// A key of the settings is wrong.
    #[error(transparent)]
    Keys(#[from] KeyConfigError),
    /// The system has no random source.
    #[error(transparent)]
    Random(#[from] RandomSourceError),
    /// The master token cannot be used.
    #[error("{}", with_causes(.0))]
    Access(#[from] AccessError),
    /// What the last process left cannot be read.
    #[error("unfinished runs cannot be recovered: {}", with_causes(.0))]
    Recovery(#[from] RepositoryError),
    /// What may be spent cannot be read.
    #[error("budgets cannot be read: {}", with_causes(.0))]
    Usage(#[source] RepositoryError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The HTTP server broke.
    #[error("the HTTP server broke: {0}")]
    Http(#[source] io::Error),
}

impl StartError {
    /// Whether the settings are to blame.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Models(_) | Self::Embedder(_) | Self::OAuth(_) | Self::Keys(_) => true,
            Self::Settings(error) => error.is_configuration(),
            _ => false,
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A running server. The services run on the runtime that called [`start`](Self::start), HTTP on threads of its own.
pub struct Application {
    addresses: Vec<SocketAddr>,
    services: Services,
    http: ServerHandle,
    broken: Option<oneshot::Receiver<io::Result<()>>>,
    audit: AuditTasks,
    database: String,
    token_file: PathBuf,
    _announcement: Option<Announcement>,
}

impl Application {
    /// Opens the database, takes care of what the last process left unfinished, and listens.
    /// `layers` are what `settings` were made of: what is stored goes between. `errors` are the latest errors, which administrators may see.
    pub async fn start(
        mut settings: Settings,
        layers: Layers,
        data_dir: &Path,
        errors: Arc<dyn ErrorLog>,
    ) -> Result<Self, StartError> {
        prepare_data_dir(data_dir)?;
        let storage = wiring::storage(&settings, data_dir).await?;
        let repository = storage.settings.clone();
        let live = wiring::live_settings(&mut settings, layers, data_dir, repository).await?;
        let models = Arc::new(wiring::models(&settings).await?);
        let services =
            wiring::services(&settings, data_dir, &storage, models, errors, live).await?;
        let recovered = services.chat.recover().await?;
        if recovered > 0 {
            tracing::info!(
                recovered,
                "took care of runs that the last process left unfinished"
            );
        }
        wiring::watch_health(&services);
        if let Some(embedding) = services.memory.embedding() {
            embedding.start();
        }
        let http = wiring::http(&settings, services.clone());
        let refusals = http.refusals();
        let (handle, broken) = http.run()?;
        let audit = AuditTasks::start(
            services.audit.clone(),
            refusals,
            services.self_audit.clone(),
        );
        // A folder in which nothing can be written has failed above; a missing file only hides the server from the CLI.
        let announcement = http_address(&handle.addresses)
            .and_then(|address| Announcement::write(data_dir, address).ok());
        Ok(Self {
            addresses: handle.addresses,
            services,
            http: handle.server,
            broken: Some(broken),
            audit,
            database: wiring::describe_database(&settings, data_dir),
            token_file: data_dir.join(MASTER_TOKEN_FILE),
            _announcement: announcement,
        })
    }

    /// The addresses it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The first of them.
    pub fn address(&self) -> SocketAddr {
        self.addresses
            .first()
            .copied()
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The model that answers when none is named.
    pub fn model(&self) -> String {
        self.services.models.default_model().to_string()
    }

    /// Where it stores, in words without secrets.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Where the master token is.
    pub fn token_file(&self) -> &Path {
        &self.token_file
    }

    /// The master token.
    pub fn master_token(&self) -> Result<String, StartError> {
        Ok(self
            .services
            .access
            .show_master_token(&Caller::operator(CredentialKind::CommandLine))?)
    }

    /// Waits until the HTTP server breaks.
    pub async fn failed(&mut self) -> Result<(), StartError> {
        match self.broken.take() {
            Some(broken) => match broken.await {
                Ok(result) => result.map_err(StartError::Http),
                Err(_) => Ok(()),
            },
            None => std::future::pending().await,
        }
    }

    /// Ends what has answered already as interrupted with its text kept, leaves the rest to the next start, lets streams
    /// say so, and stops listening. Takes `patience` at most, all in all.
    pub async fn stop(self, patience: Duration) {
        let deadline = tokio::time::Instant::now() + patience;
        let half = tokio::time::Instant::now() + patience / 2;
        self.services.chat.shut_down(patience / 2).await;
        // Answers that are passed on from a model have half of the time to end by themselves.
        let mut stopping = pin!(self.http.stop(true));
        let http = if let Ok(()) = tokio::time::timeout_at(half, &mut stopping).await {
            Ok(())
        } else {
            self.services.completions.close();
            tokio::time::timeout_at(deadline, stopping).await
        };
        let in_time = [
            http,
            tokio::time::timeout_at(deadline, self.services.memory.close()).await,
            // What was refused to the last is recorded.
            tokio::time::timeout_at(deadline, self.audit.stop()).await,
            // Calls that belong to no run may still wait for the ledger.
            tokio::time::timeout_at(deadline, self.services.usage.close()).await,
        ];
        if in_time.iter().any(Result::is_err) {
            tracing::warn!("not everything has ended in time");
        }
    }
}

fn http_address(addresses: &[SocketAddr]) -> Option<SocketAddr> {
    addresses
        .iter()
        .find(|address| address.ip().is_loopback())
        .or(addresses.first())
        .copied()
}
