//! The audit log and the server's examination of itself over any store, without files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use majordomo_application::audit::AuditService;
use majordomo_application::audit::chain::Anchor;
use majordomo_application::ports::{
    AuditLog, AuditVault, AuditVaultError, Clock, SecurityCheck, SelfAuditRepository,
};
use majordomo_application::self_audit::SelfAuditService;
use majordomo_domain::{CheckSeverity, SecurityCheckResult};

#[derive(Default)]
struct Files {
    archives: BTreeMap<String, String>,
    head: Option<Anchor>,
}

/// Keeps the audit log's files in memory.
#[derive(Default)]
pub struct InMemoryAuditVault(Mutex<Files>);

impl InMemoryAuditVault {
    /// The lines of all archives, in the order of their names.
    pub fn archived_lines(&self) -> Vec<String> {
        let files = self.files();
        let lines = files.archives.values().flat_map(|archive| archive.lines());
        lines.map(str::to_owned).collect()
    }

    /// Forgets the note of the last entry, as somebody might who removes the file.
    pub fn forget_head(&self) {
        self.files().head = None;
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AuditVault for InMemoryAuditVault {
    async fn append_archive(&self, name: &str, lines: &str) -> Result<String, AuditVaultError> {
        let mut files = self.files();
        files
            .archives
            .entry(name.to_owned())
            .or_default()
            .push_str(lines);
        Ok(format!("/data/{name}"))
    }

    async fn note_head(&self, head: &Anchor) -> Result<(), AuditVaultError> {
        self.files().head = Some(*head);
        Ok(())
    }

    async fn head(&self) -> Result<Option<Anchor>, AuditVaultError> {
        Ok(self.files().head)
    }
}

/// The audit log over `log`.
pub fn audit_service(log: Arc<dyn AuditLog>, clock: Arc<dyn Clock>) -> Arc<AuditService> {
    let vault = Arc::new(InMemoryAuditVault::default());
    Arc::new(AuditService::new(log, vault, clock))
}

/// An examination with one check that passes and one that does not.
pub fn self_audit_service<S>(store: &Arc<S>, clock: Arc<dyn Clock>) -> Arc<SelfAuditService>
where
    S: SelfAuditRepository + 'static,
{
    let checks: Vec<Arc<dyn SecurityCheck>> = vec![Arc::new(FixedChecks)];
    Arc::new(SelfAuditService::new(checks, store.clone(), clock))
}

struct FixedChecks;

#[async_trait]
impl SecurityCheck for FixedChecks {
    async fn examine(&self) -> Vec<SecurityCheckResult> {
        vec![
            SecurityCheckResult::passed("Good check", "All is well"),
            SecurityCheckResult::failed(
                "Bad check",
                CheckSeverity::Warning,
                "Something is open",
                "Close it",
            ),
        ]
    }
}
