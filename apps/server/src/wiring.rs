//! From settings to services: the only place that names adapters.

mod http;
mod models;
mod services;
mod storage;

pub(crate) use http::{document, http};
pub(crate) use models::{BUILTIN_PROVIDER, ModelsConfigError, models};
pub(crate) use services::services;
pub(crate) use storage::{StorageError, describe_database, migrate, pending_migrations, storage};
