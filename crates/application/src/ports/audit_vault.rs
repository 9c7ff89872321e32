//! What is kept of the audit log outside of the database: its archives, and a note of its last entry.

use async_trait::async_trait;
use thiserror::Error;

use super::repository_error::Source;
use crate::audit::chain::Anchor;

/// A file cannot be used.
#[derive(Debug, Error)]
#[error("a file of the audit log cannot be {act}")]
pub struct AuditVaultError {
    /// What was tried: `read`, `written`.
    pub act: &'static str,
    /// The cause.
    #[source]
    pub source: Source,
}

/// Keeps files beside the database. Whoever can change the database only cannot change these.
#[async_trait]
pub trait AuditVault: Send + Sync {
    /// Adds lines to the archive `name`, made private to the operating-system user where it does not exist, and says
    /// where it is. MUST reach the disk before it answers.
    async fn append_archive(&self, name: &str, lines: &str) -> Result<String, AuditVaultError>;
    /// Replaces the note of the last entry. MUST keep the former note whole when it fails.
    async fn note_head(&self, head: &Anchor) -> Result<(), AuditVaultError>;
    /// The note of the last entry; `None` when there is none.
    async fn head(&self) -> Result<Option<Anchor>, AuditVaultError>;
}
