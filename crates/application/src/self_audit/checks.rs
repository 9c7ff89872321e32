//! The checks that need storage only: the audit log, API keys, backups.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use majordomo_domain::{CheckSeverity, CredentialKind, SecurityCheckResult, Timestamp};

use crate::audit::AuditService;
use crate::caller::Caller;
use crate::ports::{Clock, KeyUse, SecurityCheck, SelfAuditRepository};

/// A key without an end is old after a year.
const OLD: Duration = Duration::from_hours(24 * 365);
/// A key that nobody used for so long is not needed.
const UNUSED: Duration = Duration::from_hours(24 * 90);
/// Keys looked at, at most.
const MAX_KEYS: u32 = 10_000;
/// Keys named in a message, at most.
const NAMED: usize = 5;
/// A backup is old after a week.
const BACKUP_AGE: Duration = Duration::from_hours(24 * 7);

/// Whether the audit log is what was written.
pub struct AuditChainCheck(pub Arc<AuditService>);

#[async_trait]
impl SecurityCheck for AuditChainCheck {
    async fn examine(&self) -> Vec<SecurityCheckResult> {
        const CHECK: &str = "Audit log";
        let server = Caller::operator(CredentialKind::CommandLine);
        let result = match self.0.verify(&server, &[]).await {
            Ok(report) if report.is_intact() => SecurityCheckResult::passed(
                CHECK,
                format!("All {} entries are as they were written", report.checked),
            ),
            Ok(report) => SecurityCheckResult::failed(
                CHECK,
                CheckSeverity::Critical,
                format!(
                    "The audit log was tampered with: {}",
                    report
                        .faults
                        .first()
                        .map(ToString::to_string)
                        .unwrap_or_default()
                ),
                "Run `majordomo audit verify`, find out who can write to the database, and restore a backup to compare",
            ),
            Err(error) => SecurityCheckResult::failed(
                CHECK,
                CheckSeverity::Critical,
                format!("The audit log cannot be checked: {error}"),
                "Run `majordomo audit verify` and look into the log",
            ),
        };
        vec![result]
    }
}

/// Whether API keys are old, unused or without an end.
pub struct KeyCheck {
    /// Tells how keys are used.
    pub keys: Arc<dyn SelfAuditRepository>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl SecurityCheck for KeyCheck {
    async fn examine(&self) -> Vec<SecurityCheckResult> {
        let now = self.clock.now();
        match self.keys.keys_in_use(MAX_KEYS).await {
            Ok(keys) => {
                let keys: Vec<KeyUse> = keys
                    .into_iter()
                    .filter(|key| key.expires_at.is_none_or(|end| now < end))
                    .collect();
                vec![never_ending(&keys, now), unused(&keys, now)]
            }
            Err(error) => vec![SecurityCheckResult::failed(
                "API keys",
                CheckSeverity::Warning,
                format!("The API keys cannot be read: {error}"),
                "Look into the log; `majordomo doctor` says whether the database answers",
            )],
        }
    }
}

fn never_ending(keys: &[KeyUse], now: Timestamp) -> SecurityCheckResult {
    const CHECK: &str = "Old API keys";
    let old = keys
        .iter()
        .filter(|key| key.expires_at.is_none() && now.since(key.created_at) > OLD);
    match names(old) {
        None => {
            SecurityCheckResult::passed(CHECK, "No API key without an end is older than a year")
        }
        Some((count, names)) => SecurityCheckResult::failed(
            CHECK,
            CheckSeverity::Warning,
            format!("{count} API key(s) without an end are older than a year: {names}"),
            "Rotate them (`POST /api/v1/auth/api-keys/ID/rotate`) and give the new ones an `expires_at`",
        ),
    }
}

fn unused(keys: &[KeyUse], now: Timestamp) -> SecurityCheckResult {
    const CHECK: &str = "Unused API keys";
    let unused = keys
        .iter()
        .filter(|key| now.since(key.last_used_at.unwrap_or(key.created_at)) > UNUSED);
    match names(unused) {
        None => SecurityCheckResult::passed(CHECK, "Every API key was used within 90 days"),
        Some((count, names)) => SecurityCheckResult::failed(
            CHECK,
            CheckSeverity::Info,
            format!("{count} API key(s) were not used for 90 days: {names}"),
            "Revoke them with `majordomo keys revoke ID`",
        ),
    }
}

/// How many keys, and the names of the first; `None` when there is none.
fn names<'a>(keys: impl Iterator<Item = &'a KeyUse>) -> Option<(usize, String)> {
    let names: Vec<&str> = keys.map(|key| key.name.as_str()).collect();
    let mut shown = names.get(..NAMED).unwrap_or(&names).join(", ");
    if names.len() > NAMED {
        shown.push_str(", ...");
    }
    (!names.is_empty()).then_some((names.len(), shown))
}

/// Whether there is a backup, and how old it is.
pub struct BackupCheck {
    /// Where backups are recorded.
    pub audit: Arc<AuditService>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl BackupCheck {
    /// How a backup is recorded.
    pub const ACTION: &str = "backup.create";
}

#[async_trait]
impl SecurityCheck for BackupCheck {
    async fn examine(&self) -> Vec<SecurityCheckResult> {
        const CHECK: &str = "Backup";
        let remedy =
            "Make one regularly with `majordomo backup FILE`, and keep it on another machine";
        let warning = |message: String| {
            SecurityCheckResult::failed(CHECK, CheckSeverity::Warning, message, remedy)
        };
        let now = self.clock.now();
        vec![match self.audit.last(Self::ACTION).await {
            Ok(Some(at)) if now.since(at) <= BACKUP_AGE => {
                SecurityCheckResult::passed(CHECK, format!("The last backup is of {at}"))
            }
            Ok(Some(at)) => warning(format!("The last backup is of {at}")),
            Ok(None) => warning("No backup is recorded in the audit log".to_owned()),
            Err(error) => warning(format!("The audit log cannot be read: {error}")),
        }]
    }
}
