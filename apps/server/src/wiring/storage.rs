//! Storage from settings.

use std::path::Path;
use std::sync::Arc;

use majordomo_application::ports::{
    ApiKeyRepository, AuditLog, BudgetRepository, DatabaseCopy, MemoryRepository, MemoryVectors,
    OAuthRepository, RunJournal, SelfAuditRepository, SessionRepository, SettingsRepository,
    StorageHealth, TurnRepository, UsageLedger, UserRepository,
};
use majordomo_infrastructure_postgres::{PostgresConfig, PostgresCopy, PostgresStore};
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteCopy, SqliteStore};
use majordomo_settings::{DatabaseLocation, Secret, Settings};
use thiserror::Error;

/// Why the database cannot be used.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The SQLite file.
    #[error(transparent)]
    Sqlite(#[from] majordomo_infrastructure_sqlite::StoreError),
    /// The PostgreSQL server.
    #[error(transparent)]
    Postgres(#[from] majordomo_infrastructure_postgres::StoreError),
}

/// The storage ports over one database.
pub(crate) struct Storage {
    pub(crate) sessions: Arc<dyn SessionRepository>,
    pub(crate) journal: Arc<dyn RunJournal>,
    pub(crate) api_keys: Arc<dyn ApiKeyRepository>,
    pub(crate) users: Arc<dyn UserRepository>,
    pub(crate) oauth: Arc<dyn OAuthRepository>,
    pub(crate) settings: Arc<dyn SettingsRepository>,
    pub(crate) usage: Arc<dyn UsageLedger>,
    pub(crate) budgets: Arc<dyn BudgetRepository>,
    pub(crate) audit: Arc<dyn AuditLog>,
    pub(crate) self_audit: Arc<dyn SelfAuditRepository>,
    pub(crate) memories: Arc<dyn MemoryRepository>,
    pub(crate) memory_vectors: Arc<dyn MemoryVectors>,
    pub(crate) turns: Arc<dyn TurnRepository>,
    pub(crate) health: Arc<dyn StorageHealth>,
}

/// Opens the configured database and applies missing migrations.
pub(crate) async fn storage(settings: &Settings, data_dir: &Path) -> Result<Storage, StorageError> {
    match settings.database.location(data_dir) {
        DatabaseLocation::Sqlite(path) => {
            let store = SqliteStore::open(&SqliteConfig::new(path))?;
            Ok(Storage {
                sessions: store.sessions(),
                journal: store.journal(),
                api_keys: store.api_keys(),
                users: store.users(),
                oauth: store.oauth(),
                settings: store.settings(),
                usage: store.usage(),
                budgets: store.budgets(),
                audit: store.audit(),
                self_audit: store.self_audit(),
                memories: store.memories(),
                memory_vectors: store.memory_vectors(),
                turns: store.turns(),
                health: store.health(),
            })
        }
        DatabaseLocation::Postgres(url) => {
            let store = PostgresStore::open(&postgres(settings, &url)).await?;
            Ok(Storage {
                sessions: store.sessions(),
                journal: store.journal(),
                api_keys: store.api_keys(),
                users: store.users(),
                oauth: store.oauth(),
                settings: store.settings(),
                usage: store.usage(),
                budgets: store.budgets(),
                audit: store.audit(),
                self_audit: store.self_audit(),
                memories: store.memories(),
                memory_vectors: store.memory_vectors(),
                turns: store.turns(),
                health: store.health(),
            })
        }
    }
}

/// The audit log of the configured database, to be read while a server may own the database.
pub(crate) async fn audit_log(
    settings: &Settings,
    data_dir: &Path,
) -> Result<Arc<dyn AuditLog>, StorageError> {
    match settings.database.location(data_dir) {
        DatabaseLocation::Sqlite(path) => {
            Ok(SqliteStore::inspect(&SqliteConfig::new(path))?.audit())
        }
        DatabaseLocation::Postgres(url) => Ok(PostgresStore::open(&postgres(settings, &url))
            .await?
            .audit()),
    }
}

/// The audit log of the configured database, for single records while a server may own the database.
pub(crate) async fn audit_log_beside(
    settings: &Settings,
    data_dir: &Path,
) -> Result<Arc<dyn AuditLog>, StorageError> {
    match settings.database.location(data_dir) {
        DatabaseLocation::Sqlite(path) => {
            Ok(SqliteStore::beside(&SqliteConfig::new(path))?.audit())
        }
        DatabaseLocation::Postgres(_) => audit_log(settings, data_dir).await,
    }
}

/// Copies the configured database; with the word for its kind.
pub(crate) fn database_copy(
    settings: &Settings,
    data_dir: &Path,
) -> (&'static str, Box<dyn DatabaseCopy>) {
    match settings.database.location(data_dir) {
        DatabaseLocation::Sqlite(path) => {
            ("sqlite", Box::new(SqliteCopy::new(SqliteConfig::new(path))))
        }
        DatabaseLocation::Postgres(url) => (
            "postgresql",
            Box::new(PostgresCopy::new(postgres(settings, &url))),
        ),
    }
}

/// Names the migrations that the database lacks.
pub(crate) async fn pending_migrations(
    settings: &Settings,
    data_dir: &Path,
) -> Result<Vec<String>, StorageError> {
    match settings.database.location(data_dir) {
        DatabaseLocation::Sqlite(path) => Ok(SqliteStore::pending(&SqliteConfig::new(path))?),
        DatabaseLocation::Postgres(url) => {
            Ok(PostgresStore::pending(&postgres(settings, &url)).await?)
        }
    }
}

/// Applies missing migrations and names them.
pub(crate) async fn migrate(
    settings: &Settings,
    data_dir: &Path,
) -> Result<Vec<String>, StorageError> {
    match settings.database.location(data_dir) {
        DatabaseLocation::Sqlite(path) => Ok(SqliteStore::migrate(&SqliteConfig::new(path))?),
        DatabaseLocation::Postgres(url) => {
            Ok(PostgresStore::migrate(&postgres(settings, &url)).await?)
        }
    }
}

/// Where the database is, without secrets.
pub(crate) fn describe_database(settings: &Settings, data_dir: &Path) -> String {
    match settings.database.location(data_dir) {
        DatabaseLocation::Sqlite(path) => path.display().to_string(),
        DatabaseLocation::Postgres(url) => {
            let url = url.expose();
            let place = url.rsplit_once('@').map_or(url, |(_, place)| place);
            let place = place.split(['?', '#']).next().unwrap_or_default();
            format!(
                "PostgreSQL at {}",
                place.strip_prefix("postgres://").unwrap_or(place)
            )
        }
    }
}

fn postgres(settings: &Settings, url: &Secret) -> PostgresConfig {
    let max_connections = usize::try_from(settings.database.max_connections).unwrap_or(usize::MAX);
    PostgresConfig {
        max_connections,
        ..PostgresConfig::new(url.expose())
    }
}
