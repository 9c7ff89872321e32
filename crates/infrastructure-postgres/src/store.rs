//! Opening a database, and the ports it offers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use majordomo_application::ports::{
    ApiKeyRepository, AuditLog, BudgetRepository, MemoryRepository, MemoryVectors, OAuthRepository,
    RunJournal, SelfAuditRepository, SessionRepository, SettingsRepository, StorageHealth,
    TurnRepository, UsageLedger, UserRepository,
};
use thiserror::Error;

use crate::connect::Connector;
use crate::database::Database;
use crate::migrations;
use crate::repositories::{
    DieselApiKeyRepository, DieselAuditLog, DieselBudgetRepository, DieselMemoryRepository,
    DieselMemoryVectors, DieselOAuthRepository, DieselRunJournal, DieselSelfAuditRepository,
    DieselSessionRepository, DieselSettingsRepository, DieselStorageHealth, DieselTurnRepository,
    DieselUsageLedger, DieselUserRepository,
};
use crate::vectors;

/// Where the database is and how it is used.
#[derive(Clone)]
pub struct PostgresConfig {
    /// `postgres://USER:PASSWORD@HOST/NAME`, with `?sslmode=disable|prefer|require` where wanted. Secret.
    pub url: String,
    /// Most connections open at once; at least one.
    pub max_connections: usize,
    /// How long opening a connection may take, and how long one is waited for when all are in use.
    pub connect_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
}

impl PostgresConfig {
    /// The database at `url`, with eight connections, 10 s to connect and 30 s for a statement.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 8,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("url", &"[redacted]")
            .field("max_connections", &self.max_connections)
            .field("connect_timeout", &self.connect_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish()
    }
}

/// Why a database cannot be used. The words are for the person who starts the program; none holds the password.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The address cannot be read.
    #[error("the address of the database is malformed: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached or refuses.
    #[error("the database cannot be reached: {reason}")]
    Connect {
        /// The system's or the server's words.
        reason: String,
    },
    /// Another process migrates the database and takes longer than a minute.
    #[error("another process is migrating the database")]
    Locked,
    /// The database was made by a newer program.
    #[error(
        "the database was made by a newer version of this program (unknown migrations: {})",
        versions.join(", ")
    )]
    NewerSchema {
        /// Versions of the migrations this program does not know.
        versions: Vec<String>,
    },
    /// A migration failed and was rolled back.
    #[error("the migration {migration} failed: {reason}")]
    Migration {
        /// The migration's name; empty when it failed before the first.
        migration: String,
        /// The server's words.
        reason: String,
    },
}

/// An open database. Its connections live on the tokio runtime that uses it first: use it on one runtime only.
#[derive(Clone)]
pub struct PostgresStore {
    database: Arc<Database>,
}

impl PostgresStore {
    /// Connects and applies missing migrations, waiting for another process that does the same. Lets the database compare
    /// vectors, where it can.
    pub async fn open(config: &PostgresConfig) -> Result<Self, StoreError> {
        let connector = Connector::new(config)?;
        let applied = migrations::apply(connect(&connector).await?).await?;
        if !applied.is_empty() {
            tracing::info!(migrations = applied.join(", "), "the database was migrated");
        }
        let database = Arc::new(Database::new(connector.clone(), config)?);
        vectors::prepare(&database, connector).await;
        Ok(Self { database })
    }

    /// Applies missing migrations and names them.
    pub async fn migrate(config: &PostgresConfig) -> Result<Vec<String>, StoreError> {
        migrations::apply(connect(&Connector::new(config)?).await?).await
    }

    /// The names of the migrations the database lacks. Changes nothing.
    pub async fn pending(config: &PostgresConfig) -> Result<Vec<String>, StoreError> {
        migrations::pending(connect(&Connector::new(config)?).await?).await
    }

    /// Sessions and their messages.
    pub fn sessions(&self) -> Arc<dyn SessionRepository> {
        Arc::new(DieselSessionRepository::new(Arc::clone(&self.database)))
    }

    /// Runs and their events.
    pub fn journal(&self) -> Arc<dyn RunJournal> {
        Arc::new(DieselRunJournal::new(Arc::clone(&self.database)))
    }

    /// API keys.
    pub fn api_keys(&self) -> Arc<dyn ApiKeyRepository> {
        Arc::new(DieselApiKeyRepository::new(Arc::clone(&self.database)))
    }

    /// Users.
    pub fn users(&self) -> Arc<dyn UserRepository> {
        Arc::new(DieselUserRepository::new(Arc::clone(&self.database)))
    }

    /// The audit log.
    pub fn audit(&self) -> Arc<dyn AuditLog> {
        Arc::new(DieselAuditLog::new(Arc::clone(&self.database)))
    }

    /// Settings changed while the server runs, and what users prefer.
    pub fn settings(&self) -> Arc<dyn SettingsRepository> {
        Arc::new(DieselSettingsRepository::new(Arc::clone(&self.database)))
    }

    /// The ledger of model calls.
    pub fn usage(&self) -> Arc<dyn UsageLedger> {
        Arc::new(DieselUsageLedger::new(Arc::clone(&self.database)))
    }

    /// Budgets and what was spent of them.
    pub fn budgets(&self) -> Arc<dyn BudgetRepository> {
        Arc::new(DieselBudgetRepository::new(Arc::clone(&self.database)))
    }

    /// Memories.
    pub fn memories(&self) -> Arc<dyn MemoryRepository> {
        Arc::new(DieselMemoryRepository::new(Arc::clone(&self.database)))
    }

    /// The vectors of memories.
    pub fn memory_vectors(&self) -> Arc<dyn MemoryVectors> {
        Arc::new(DieselMemoryVectors::new(Arc::clone(&self.database)))
    }

    /// Stored messages as memory reads them.
    pub fn turns(&self) -> Arc<dyn TurnRepository> {
        Arc::new(DieselTurnRepository::new(Arc::clone(&self.database)))
    }

    /// Apps, and what users granted them.
    pub fn oauth(&self) -> Arc<dyn OAuthRepository> {
        Arc::new(DieselOAuthRepository::new(Arc::clone(&self.database)))
    }

    /// Reports of the server's examination of itself.
    pub fn self_audit(&self) -> Arc<dyn SelfAuditRepository> {
        Arc::new(DieselSelfAuditRepository::new(Arc::clone(&self.database)))
    }

    /// Whether the database answers.
    pub fn health(&self) -> Arc<dyn StorageHealth> {
        Arc::new(DieselStorageHealth::new(Arc::clone(&self.database)))
    }
}

pub(crate) async fn connect(
    connector: &Connector,
) -> Result<diesel_async::AsyncPgConnection, StoreError> {
    connector
        .connect()
        .await
        .map_err(|error| StoreError::Connect {
            reason: error.to_string(),
        })
}
