//! Examining, and the reports of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use majordomo_domain::self_audit::date_of;
use majordomo_domain::{
    AuditRecord, CheckSeverity, Scope, SecurityCheckResult, SelfAuditReport, Timestamp,
};
use thiserror::Error;

use crate::caller::{Caller, ScopeDenied};
use crate::error::{ErrorKind, INTERNAL_MESSAGE, ServiceError};
use crate::ports::{Clock, RepositoryError, SecurityCheck, SelfAuditRepository};

/// Longest that one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(20);
/// Reports listed at most.
const LISTED: u32 = 20;
/// How long reports are kept.
const KEPT: Duration = Duration::from_hours(24 * 366);

/// How examining fails.
#[derive(Debug, Error)]
pub enum SelfAuditError {
    /// The credential does not allow this.
    #[error(transparent)]
    Denied(#[from] ScopeDenied),
    /// There is no report of this day.
    #[error("there is no such report")]
    NotFound,
    /// Storage failed.
    #[error("the reports cannot be used")]
    Storage(#[from] RepositoryError),
}

impl ServiceError for SelfAuditError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(denied) => denied.kind(),
            Self::NotFound => ErrorKind::NotFound,
            Self::Storage(RepositoryError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Storage(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Denied(denied) => denied.code(),
            Self::NotFound => "report_not_found",
            Self::Storage(RepositoryError::Unavailable(_)) => "storage_unavailable",
            Self::Storage(_) => "internal",
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Denied(denied) => denied.public_message(),
            Self::NotFound => "Report not found".to_owned(),
            Self::Storage(RepositoryError::Unavailable(_)) => "Storage is unavailable".to_owned(),
            Self::Storage(_) => INTERNAL_MESSAGE.to_owned(),
        }
    }
}

/// Examines how safely the server is set up.
pub struct SelfAuditService {
    checks: Vec<Arc<dyn SecurityCheck>>,
    reports: Arc<dyn SelfAuditRepository>,
    clock: Arc<dyn Clock>,
}

impl SelfAuditService {
    /// The checks in the order they are told in.
    pub fn new(
        checks: Vec<Arc<dyn SecurityCheck>>,
        reports: Arc<dyn SelfAuditRepository>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            checks,
            reports,
            clock,
        }
    }

    /// Examines without keeping a report.
    pub async fn examine(&self, caller: &Caller) -> Result<SelfAuditReport, SelfAuditError> {
        caller.require(Scope::Admin)?;
        Ok(self.look().await)
    }

    /// Examines and keeps the report of the day.
    pub async fn run(&self, caller: &Caller) -> Result<SelfAuditReport, SelfAuditError> {
        caller.require_change(Scope::Admin)?;
        let report = self.look().await;
        let record = caller.record("self_audit.run", report.at);
        self.keep(&report, record).await?;
        Ok(report)
    }

    /// Examines and keeps a report unless the day has one: what the server does by itself.
    pub async fn run_daily(&self) -> Result<Option<SelfAuditReport>, SelfAuditError> {
        let today = date_of(self.clock.now());
        if self.reports.find(&today).await?.is_some() {
            return Ok(None);
        }
        let report = self.look().await;
        let record = AuditRecord::of_system("self_audit.run", report.at);
        self.keep(&report, record).await?;
        Ok(Some(report))
    }

    /// The newest reports, newest first.
    pub async fn reports(&self, caller: &Caller) -> Result<Vec<SelfAuditReport>, SelfAuditError> {
        caller.require(Scope::Admin)?;
        Ok(self.reports.list(LISTED).await?)
    }

    /// The report of the day `date`.
    pub async fn report(
        &self,
        caller: &Caller,
        date: &str,
    ) -> Result<SelfAuditReport, SelfAuditError> {
        caller.require(Scope::Admin)?;
        if !is_date(date) {
            return Err(SelfAuditError::NotFound);
        }
        let found = self.reports.find(date).await?;
        found.ok_or(SelfAuditError::NotFound)
    }

    async fn look(&self) -> SelfAuditReport {
        let looking = self.checks.iter().map(|check| async {
            let found = tokio::time::timeout(CHECK_TIMEOUT, check.examine()).await;
            found.unwrap_or_else(|_| {
                vec![SecurityCheckResult::failed(
                    "Self-audit",
                    CheckSeverity::Warning,
                    "A check did not end in time",
                    "Look into the log for what is slow, then run the self-audit again",
                )]
            })
        });
        SelfAuditReport {
            results: join_all(looking).await.into_iter().flatten().collect(),
            at: self.clock.now(),
        }
    }

    async fn keep(
        &self,
        report: &SelfAuditReport,
        record: AuditRecord,
    ) -> Result<(), SelfAuditError> {
        let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_micros(report.at.as_micros().saturating_sub(kept));
        let record = record
            .on("report", report.date())
            .with("issues", report.issues());
        let oldest = date_of(oldest);
        Ok(self.reports.put(report, &oldest, &record).await?)
    }
}

/// `YYYY-MM-DD` in digits: nothing else names a report.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}
