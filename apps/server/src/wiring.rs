//! From settings to services: the only place that names adapters.

mod audit;
mod copies;
mod embedder;
mod http;
mod memory;
mod models;
mod oauth;
mod operations;
mod people;
mod security_checks;
mod services;
mod settings;
mod shared_paths;
mod storage;
mod usage;

pub(crate) use audit::{AuditTasks, audit, offline_checks};
pub(crate) use copies::{Backup, BackupPlan, CopiesError, Restored, back_up, restore};
pub(crate) use embedder::EmbedderConfigError;
pub(crate) use http::{document, http};
pub(crate) use models::{BUILTIN_PROVIDER, ModelsConfigError, models};
pub(crate) use oauth::OAuthConfigError;
pub(crate) use operations::{error_log, watch_health};
pub(crate) use people::KeyConfigError;
pub(crate) use services::services;
pub(crate) use settings::{LiveSettingsError, Rotation, live_settings, rotate_secrets};
pub(crate) use storage::{
    StorageError, audit_log, describe_database, migrate, pending_migrations, storage,
};
