//! Who may read the files of the data folder, and what stands in them.

use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use majordomo_application::ports::SecurityCheck;
use majordomo_domain::{CheckSeverity, SecurityCheckResult};
use majordomo_infrastructure_system::{
    AUDIT_HEAD_FILE, FileMode, MASTER_TOKEN_FILE, SECRET_KEY_FILE, SIGNING_KEY_FILE, file_mode,
};
use majordomo_settings::{DatabaseLocation, Settings};

use super::{critical, is_weak, passed, warning};

/// Settings of `config.toml` whose value is a secret in plain text.
const SECRET_KEYS: [&str; 4] = ["api_key", "token", "password", "secret"];

/// Who may read the files of the data folder, and what stands in them.
pub(crate) struct FileCheck {
    data_dir: PathBuf,
    database: Option<PathBuf>,
}

impl FileCheck {
    /// The files of this data folder.
    pub(crate) fn new(settings: &Settings, data_dir: &Path) -> Self {
        let database = match settings.database.location(data_dir) {
            DatabaseLocation::Sqlite(path) => Some(path),
            DatabaseLocation::Postgres(_) => None,
        };
        Self {
            data_dir: data_dir.to_owned(),
            database,
        }
    }

    fn look(&self) -> Vec<SecurityCheckResult> {
        let config = self.data_dir.join("config.toml");
        let mut private = vec![
            ("Access token", self.data_dir.join(MASTER_TOKEN_FILE)),
            ("Secret key", self.data_dir.join(SECRET_KEY_FILE)),
            ("Login key", self.data_dir.join(SIGNING_KEY_FILE)),
            ("Audit note", self.data_dir.join(AUDIT_HEAD_FILE)),
        ];
        if let Some(database) = &self.database {
            private.push(("Database file", database.clone()));
        }
        let mut results = vec![
            data_dir(&self.data_dir),
            private_file("Config file permissions", &config, CheckSeverity::Warning),
            plaintext_secrets(&config),
            master_token(&self.data_dir.join(MASTER_TOKEN_FILE)),
        ];
        for (check, path) in private {
            results.push(private_file(check, &path, CheckSeverity::Critical));
        }
        results.push(sandbox());
        results
    }
}

#[async_trait]
impl SecurityCheck for FileCheck {
    async fn examine(&self) -> Vec<SecurityCheckResult> {
        // A few small files; the longest of them is config.toml.
        let check = Self {
            data_dir: self.data_dir.clone(),
            database: self.database.clone(),
        };
        let looked = tokio::task::spawn_blocking(move || check.look()).await;
        looked.unwrap_or_else(|error| {
            vec![warning(
                "Files",
                format!("The files cannot be examined: {error}"),
                "Look into the log",
            )]
        })
    }
}

fn data_dir(path: &Path) -> SecurityCheckResult {
    const CHECK: &str = "Data directory";
    match file_mode(path) {
        FileMode::Private => passed(CHECK, "Only the server's own user may look into it"),
        FileMode::Shared(mode) => warning(
            CHECK,
            format!(
                "Others on this machine may look into {} (mode {mode:04o})",
                path.display()
            ),
            "chmod 0700 the folder",
        ),
        FileMode::Absent | FileMode::Unknown => warning(
            CHECK,
            format!("Who may look into {} is unknown", path.display()),
            "Make sure that only the server's own user may",
        ),
    }
}

fn private_file(check: &str, path: &Path, severity: CheckSeverity) -> SecurityCheckResult {
    match file_mode(path) {
        FileMode::Private => passed(check, format!("{} is private", path.display())),
        FileMode::Absent => passed(check, format!("{} does not exist", path.display())),
        FileMode::Shared(mode) => SecurityCheckResult::failed(
            check,
            severity,
            format!(
                "Others on this machine may use {} (mode {mode:04o})",
                path.display()
            ),
            "chmod 0600 the file, and replace the secrets it held",
        ),
        FileMode::Unknown => SecurityCheckResult::failed(
            check,
            CheckSeverity::Info,
            format!("Who may use {} is unknown", path.display()),
            "Make sure that only the server's own user may",
        ),
    }
}

fn plaintext_secrets(config: &Path) -> SecurityCheckResult {
    const CHECK: &str = "Plaintext API keys";
    const REMEDY: &str = "Move them into files or variables (`api_key_file`, `api_key_env`, `url_file`), and use hashes in `security.api_keys`";
    let text = match fs::read_to_string(config) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return passed(CHECK, "There is no configuration file");
        }
        Err(error) => {
            return warning(
                CHECK,
                format!("The configuration file cannot be read: {error}"),
                "Give the server's user the right to read it",
            );
        }
    };
    let Ok(table) = text.parse::<toml::Table>() else {
        return warning(
            CHECK,
            "The configuration file is not TOML",
            "`majordomo doctor` says where it is wrong",
        );
    };
    let mut found = Vec::new();
    find_secrets("", &toml::Value::Table(table), &mut found);
    if found.is_empty() {
        passed(
            CHECK,
            "The configuration file holds no secret in plain text",
        )
    } else {
        warning(
            CHECK,
            format!("Secrets in plain text: {}", found.join(", ")),
            REMEDY,
        )
    }
}

/// Names the settings below `place` that hold a secret. The secrets themselves are never named: those of
/// `security.api_key_users` are keys of a table.
pub(super) fn find_secrets(place: &str, value: &toml::Value, found: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) if table.is_empty() => {}
        toml::Value::Table(_) if place == "security.api_key_users" => {
            found.push(place.to_owned());
        }
        toml::Value::Table(table) => {
            for (name, value) in table {
                let below = if place.is_empty() {
                    name.clone()
                } else {
                    format!("{place}.{name}")
                };
                find_secrets(&below, value, found);
            }
        }
        toml::Value::Array(values) => {
            for (number, value) in values.iter().enumerate() {
                find_secrets(&format!("{place}[{number}]"), value, found);
            }
        }
        toml::Value::String(text) if !text.is_empty() => {
            let name = place.rsplit('.').next().unwrap_or(place);
            let has_password = text.split_once("://").is_some_and(|(_, rest)| {
                rest.split_once('@')
                    .is_some_and(|(user, _)| user.contains(':'))
            });
            if SECRET_KEYS.contains(&name) || has_password {
                found.push(place.to_owned());
            }
        }
        _ => {}
    }
}

fn master_token(path: &Path) -> SecurityCheckResult {
    const CHECK: &str = "Master token";
    match fs::read_to_string(path) {
        Ok(token) if is_weak(token.trim()) => critical(
            CHECK,
            "The master token can be guessed",
            "Replace it with `majordomo token regenerate`",
        ),
        Ok(_) => passed(CHECK, "The master token is long enough"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            passed(CHECK, "There is no master token yet")
        }
        Err(error) => warning(
            CHECK,
            format!("The master token cannot be read: {error}"),
            "Give the server's user the right to read it",
        ),
    }
}

/// Whether commands of agents could be kept away from the rest of the machine.
fn sandbox() -> SecurityCheckResult {
    const CHECK: &str = "Sandbox";
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("bwrap"))
        .find(|program| program.is_file());
    match found {
        Some(program) => passed(CHECK, format!("{} is installed", program.display())),
        None => SecurityCheckResult::failed(
            CHECK,
            CheckSeverity::Info,
            "Bubblewrap is not installed: nothing could keep commands away from the rest of this machine",
            "Install the package `bubblewrap` before you let agents run commands",
        ),
    }
}
