//! `[database]`: where sessions, messages and runs are kept.

use std::path::{Path, PathBuf};

use crate::catalogue::section;
use crate::error::SettingsError;
use crate::secret::Secret;
use crate::validate::check_range;

/// Name of the SQLite file in the data folder, where no address is set.
const DEFAULT_FILE: &str = "majordomo.sqlite3";

section! {
    /// Where sessions, messages and runs are kept.
    pub struct DatabaseSettings {
        /// Address of the database: `sqlite://PATH` (a relative path starts at the data folder) or
        /// `postgres://USER:PASSWORD@HOST/NAME`. Not set: the SQLite file `majordomo.sqlite3` in the data folder.
        url: Option<Secret> = None, example "\"postgres://majordomo:password@localhost/majordomo\"";
        /// File that contains the address, instead of `url`.
        url_file: Option<PathBuf> = None, example "\"/run/secrets/majordomo-database-url\"";
        /// Most connections open at once.
        max_connections: u32 = 8;
    }
}

/// Which database the settings select.
#[derive(Debug, Clone)]
pub enum DatabaseLocation {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL address, which may contain a password.
    Postgres(Secret),
}

impl DatabaseSettings {
    /// Where the database is, given the data folder in use.
    pub fn location(&self, data_dir: &Path) -> DatabaseLocation {
        match &self.url {
            None => DatabaseLocation::Sqlite(data_dir.join(DEFAULT_FILE)),
            Some(url) => match url.expose().strip_prefix("sqlite://") {
                Some(path) => DatabaseLocation::Sqlite(data_dir.join(path)),
                None => DatabaseLocation::Postgres(url.clone()),
            },
        }
    }

    /// Replaces `url` by the content of `url_file`, where that is set.
    pub(crate) fn resolve_secrets(&mut self) -> Result<(), SettingsError> {
        if let Some(path) = &self.url_file {
            if self.url.is_some() {
                return Err(SettingsError::invalid(
                    "database.url_file",
                    "cannot be set together with `database.url`",
                ));
            }
            self.url = Some(Secret::read_file("database.url_file", path)?);
        }
        Ok(())
    }

    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        if let Some(url) = &self.url {
            let known = ["sqlite://", "postgres://", "postgresql://"]
                .iter()
                .any(|scheme| {
                    url.expose()
                        .strip_prefix(scheme)
                        .is_some_and(|rest| !rest.is_empty())
                });
            if !known {
                return Err(SettingsError::invalid(
                    "database.url",
                    "expected `sqlite://PATH` or `postgres://...`",
                ));
            }
        }
        check_range(
            "database.max_connections",
            self.max_connections,
            1..=1000,
            "",
        )
    }
}
