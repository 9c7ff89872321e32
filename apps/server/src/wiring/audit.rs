//! The audit log and the server's examination of itself, with what they do in the background.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use majordomo_application::audit::{AuditService, Refusals};
use majordomo_application::ports::{AuditLog, SecurityCheck};
use majordomo_application::self_audit::{AuditChainCheck, BackupCheck, KeyCheck, SelfAuditService};
use majordomo_infrastructure_system::{FileAuditVault, SystemClock};
use majordomo_settings::Settings;
use tokio::task::JoinHandle;

use super::security_checks::{FileCheck, SettingsCheck};
use super::storage::{Storage, audit_log, pending_migrations};

/// How often refusals are written and the last entry is noted.
const WRITE_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is asked whether the day has a report.
const EXAMINE_INTERVAL: Duration = Duration::from_hours(1);
/// When it is asked first: commands that start a server for themselves have ended by then, and say what was asked of them only.
const FIRST_EXAMINATION: Duration = Duration::from_mins(1);

/// The audit log over storage, with its files in the data folder.
pub(crate) fn audit(log: Arc<dyn AuditLog>, data_dir: &Path) -> Arc<AuditService> {
    Arc::new(AuditService::new(
        log,
        Arc::new(FileAuditVault::new(data_dir)),
        Arc::new(SystemClock),
    ))
}

/// The checks that need no database.
fn static_checks(settings: &Settings, data_dir: &Path) -> Vec<Arc<dyn SecurityCheck>> {
    vec![
        Arc::new(FileCheck::new(settings, data_dir)),
        Arc::new(SettingsCheck::new(settings)),
    ]
}

/// The checks that need no server: of files and settings, and of the audit log where there is one.
pub(crate) async fn offline_checks(
    settings: &Settings,
    data_dir: &Path,
) -> Vec<Arc<dyn SecurityCheck>> {
    let mut checks = static_checks(settings, data_dir);
    let pending = pending_migrations(settings, data_dir).await;
    if pending.is_ok_and(|pending| pending.is_empty())
        && let Ok(log) = audit_log(settings, data_dir).await
    {
        let audit = audit(log, data_dir);
        checks.push(Arc::new(AuditChainCheck(audit.clone())));
        let clock = Arc::new(SystemClock);
        checks.push(Arc::new(BackupCheck { audit, clock }));
    }
    checks
}

/// All checks, and where their reports are kept.
pub(crate) fn self_audit(
    settings: &Settings,
    data_dir: &Path,
    storage: &Storage,
    audit: &Arc<AuditService>,
) -> Arc<SelfAuditService> {
    let clock = Arc::new(SystemClock);
    let mut checks = static_checks(settings, data_dir);
    checks.push(Arc::new(KeyCheck {
        keys: storage.self_audit.clone(),
        clock: clock.clone(),
    }));
    checks.push(Arc::new(AuditChainCheck(audit.clone())));
    checks.push(Arc::new(BackupCheck {
        audit: audit.clone(),
        clock: clock.clone(),
    }));
    Arc::new(SelfAuditService::new(
        checks,
        storage.self_audit.clone(),
        clock,
    ))
}

/// What goes on in the background for as long as the server runs.
pub(crate) struct AuditTasks {
    audit: Arc<AuditService>,
    refusals: Arc<Refusals>,
    tasks: [JoinHandle<()>; 2],
}

impl AuditTasks {
    /// Writes refusals, notes the last entry, and examines the server once a day.
    pub(crate) fn start(
        audit: Arc<AuditService>,
        refusals: Arc<Refusals>,
        self_audit: Arc<SelfAuditService>,
    ) -> Self {
        let writing = tokio::spawn(write(audit.clone(), refusals.clone()));
        let examining = tokio::spawn(examine(self_audit));
        Self {
            audit,
            refusals,
            tasks: [writing, examining],
        }
    }

    /// Writes what is left.
    pub(crate) async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            // Aborted, or ended by a panic that was told already.
            let _ = task.await;
        }
        self.audit.write_refusals(&self.refusals, true).await;
        note_head(&self.audit).await;
    }
}

async fn write(audit: Arc<AuditService>, refusals: Arc<Refusals>) {
    let mut ticks = tokio::time::interval(WRITE_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        audit.write_refusals(&refusals, false).await;
        note_head(&audit).await;
    }
}

async fn note_head(audit: &AuditService) {
    if let Err(error) = audit.note_head().await {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "the last entry of the audit log cannot be noted");
    }
}

async fn examine(self_audit: Arc<SelfAuditService>) {
    let first = tokio::time::Instant::now() + FIRST_EXAMINATION;
    let mut ticks = tokio::time::interval_at(first, EXAMINE_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match self_audit.run_daily().await {
            Ok(Some(report)) if report.issues() > 0 => {
                let issues = report.issues();
                tracing::warn!(
                    issues,
                    "the self-audit found issues; see `majordomo doctor`"
                );
            }
            Ok(_) => {}
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the daily self-audit failed");
            }
        }
    }
}
