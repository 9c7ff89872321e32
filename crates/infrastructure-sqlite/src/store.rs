//! Opening a database file, and the ports it offers.

use std::path::PathBuf;
use std::sync::Arc;

use majordomo_application::ports::{
    ApiKeyRepository, AuditLog, BudgetRepository, MemoryRepository, MemoryVectors, OAuthRepository,
    RunJournal, SelfAuditRepository, SessionRepository, SettingsRepository, StorageHealth,
    TurnRepository, UsageLedger, UserRepository,
};
use thiserror::Error;

use crate::database::{self, Database, Role};
use crate::lock::{FileLock, LockError, private_file};
use crate::migrations;
use crate::readers::Readers;
use crate::repositories::{
    DieselApiKeyRepository, DieselAuditLog, DieselBudgetRepository, DieselMemoryRepository,
    DieselMemoryVectors, DieselOAuthRepository, DieselRunJournal, DieselSelfAuditRepository,
    DieselSessionRepository, DieselSettingsRepository, DieselStorageHealth, DieselTurnRepository,
    DieselUsageLedger, DieselUserRepository,
};

/// Where the database is and how it is read.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// Threads that read at most, each with a connection; at least one.
    pub readers: usize,
}

impl SqliteConfig {
    /// The file at `path`, read by three threads at most.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 3,
        }
    }
}

/// Why a database file cannot be used. The words are for the person who starts the program.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process owns the file.
    #[error("the database {} is in use by {}", path.display(), holder_text(*holder))]
    Locked {
        /// The database file.
        path: PathBuf,
        /// The other process, where it says who it is.
        holder: Option<u32>,
    },
    /// The file or its folder cannot be opened or written.
    #[error("the database {} cannot be opened: {reason}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// The system's or SQLite's words.
        reason: String,
    },
    /// The file is damaged or no SQLite database.
    #[error("the database cannot be read: {reason}")]
    Unreadable {
        /// SQLite's words.
        reason: String,
    },
    /// The database was made by a newer program.
    #[error(
        "the database was made by a newer version of this program (unknown migrations: {})",
        versions.join(", ")
    )]
    NewerSchema {
        /// Versions of the migrations this program does not know.
        versions: Vec<String>,
    },
    /// The copy that is made before a migration failed; nothing was changed.
    #[error("the copy {} cannot be made: {reason}", path.display())]
    Snapshot {
        /// Where the copy should be.
        path: PathBuf,
        /// The system's or SQLite's words.
        reason: String,
    },
    /// A migration failed and was rolled back.
    #[error("the migration {migration} failed: {reason}")]
    Migration {
        /// The migration's name.
        migration: String,
        /// SQLite's words.
        reason: String,
    },
}

fn holder_text(holder: Option<u32>) -> String {
    holder.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

/// An open database file.
#[derive(Clone)]
pub struct SqliteStore {
    database: Arc<Database>,
}

impl SqliteStore {
    /// Opens the file, or makes it, takes its lock and applies missing migrations. Blocks for a few milliseconds, or
    /// for as long as the migrations take.
    pub fn open(config: &SqliteConfig) -> Result<Self, StoreError> {
        let open_error = |reason: String| StoreError::Open {
            path: config.path.clone(),
            reason,
        };
        let lock = Self::lock(config)?;
        private_file(&config.path).map_err(|error| open_error(error.to_string()))?;
        let mut writer = database::connect(&config.path, Role::Writer).map_err(open_error)?;
        let applied = migrations::apply(&mut writer, &config.path)?;
        if !applied.is_empty() {
            tracing::info!(migrations = applied.join(", "), "the database was migrated");
        }
        let readers = Readers::start(&config.path, config.readers.max(1)).map_err(open_error)?;
        let database = Database::start(writer, readers, Some(lock))
            .map_err(|error| open_error(error.to_string()))?;
        Ok(Self {
            database: Arc::new(database),
        })
    }

    /// Opens the file to be read only, while another process may own it. Takes no lock and migrates nothing: a file of
    /// an older program may lack what is asked for. Writes are refused as `Unavailable`.
    pub fn inspect(config: &SqliteConfig) -> Result<Self, StoreError> {
        let open_error = |reason: String| StoreError::Open {
            path: config.path.clone(),
            reason,
        };
        if !config.path.exists() {
            return Err(open_error("there is no such file".to_owned()));
        }
        let readers = Readers::start(&config.path, 1).map_err(open_error)?;
        Ok(Self {
            database: Arc::new(Database::reading(readers)),
        })
    }

    /// Opens the file for a few small writes while another process may own it: they wait up to five seconds for what that
    /// process writes, and it waits for them. Takes no lock and migrates nothing; the file must be up to date.
    pub fn beside(config: &SqliteConfig) -> Result<Self, StoreError> {
        let open_error = |reason: String| StoreError::Open {
            path: config.path.clone(),
            reason,
        };
        if !config.path.exists() {
            return Err(open_error("there is no such file".to_owned()));
        }
        let writer = database::connect(&config.path, Role::Writer).map_err(open_error)?;
        let readers = Readers::start(&config.path, 1).map_err(open_error)?;
        let database = Database::start(writer, readers, None)
            .map_err(|error| open_error(error.to_string()))?;
        Ok(Self {
            database: Arc::new(database),
        })
    }

    /// Applies missing migrations to the file, made where there is none, and names them. Takes the lock meanwhile.
    pub fn migrate(config: &SqliteConfig) -> Result<Vec<String>, StoreError> {
        let open_error = |reason: String| StoreError::Open {
            path: config.path.clone(),
            reason,
        };
        let _lock = Self::lock(config)?;
        private_file(&config.path).map_err(|error| open_error(error.to_string()))?;
        let mut writer = database::connect(&config.path, Role::Writer).map_err(open_error)?;
        migrations::apply(&mut writer, &config.path)
    }

    /// The names of the migrations the file lacks; all of them where there is no file. Changes nothing and needs no
    /// lock: the file may be in use.
    pub fn pending(config: &SqliteConfig) -> Result<Vec<String>, StoreError> {
        if !config.path.exists() {
            return migrations::all();
        }
        let mut connection =
            database::connect(&config.path, Role::Inspector).map_err(|reason| {
                StoreError::Open {
                    path: config.path.clone(),
                    reason,
                }
            })?;
        migrations::pending(&mut connection)
    }

    pub(crate) fn lock(config: &SqliteConfig) -> Result<FileLock, StoreError> {
        FileLock::take(&config.path).map_err(|error| match error {
            LockError::Held(holder) => StoreError::Locked {
                path: config.path.clone(),
                holder,
            },
            LockError::Io(error) => StoreError::Open {
                path: config.path.clone(),
                reason: error.to_string(),
            },
        })
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

    /// Finishes the writes that wait, closes the file and gives up its lock. Blocks; later use of the ports fails with
    /// `Unavailable`. Dropping the store and all its ports does the same.
    pub fn close(&self) {
        self.database.close();
    }
}
