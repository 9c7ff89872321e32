//! Whether the parts this server needs answer.

mod report;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use majordomo_domain::Timestamp;
use tokio::time::{Instant, timeout};

use super::errors::DisabledErrorLog;
use super::machine::UnmeasuredMachine;
use super::status::{CpuSample, Unmeasured};
use crate::models::ModelRegistry;
use crate::ports::{
    AuditLog, CheckState, Clock, ErrorLog, HealthCategory, HealthCheck, HealthCheckInfo,
    MachineMeter, ProcessMeter, ProcessorTime, Severity, StorageHealth, StorageStatus,
};
pub use report::{CheckResult, HealthReport, HealthStatus, Probe};

/// Longest wait for one part.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long [`HealthService::check_recent`] gives the same answer again.
const RECENT: Duration = Duration::from_secs(1);

const DATABASE: HealthCheckInfo = HealthCheckInfo {
    id: "database",
    name: "Database",
    category: HealthCategory::Storage,
    severity: Severity::Critical,
    fix_hint: "Look at the server's log and at the [database] section of its configuration.",
};

const MODEL_PROVIDER: HealthCheckInfo = HealthCheckInfo {
    id: "llm_reachable",
    name: "Model provider",
    category: HealthCategory::Connectivity,
    severity: Severity::Warning,
    fix_hint: "Check the address and key of the default model's provider in the [models] section.",
};

/// Checks the parts this server needs, at the same time, each with a time limit.
pub struct HealthService {
    models: Arc<ModelRegistry>,
    storage: Arc<dyn StorageHealth>,
    checks: Vec<Arc<dyn HealthCheck>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) process: Arc<dyn ProcessMeter>,
    pub(super) cpu: Mutex<CpuSample>,
    pub(super) machine: Arc<dyn MachineMeter>,
    pub(super) processors: Mutex<Option<(Timestamp, ProcessorTime)>>,
    pub(super) errors: Arc<dyn ErrorLog>,
    /// Where it is recorded that they were forgotten.
    pub(super) audit: Option<Arc<dyn AuditLog>>,
    pub(super) environment: &'static str,
    started_at: Timestamp,
    recent: tokio::sync::Mutex<Option<(Instant, HealthReport)>>,
    status: Mutex<Option<HealthStatus>>,
}

impl HealthService {
    /// A service that counts its uptime from now.
    pub fn new(
        models: Arc<ModelRegistry>,
        storage: Arc<dyn StorageHealth>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let started_at = clock.now();
        Self {
            models,
            storage,
            checks: Vec::new(),
            clock,
            process: Arc::new(Unmeasured),
            environment: "development",
            cpu: Mutex::new(CpuSample::at_start(started_at)),
            machine: Arc::new(UnmeasuredMachine),
            processors: Mutex::default(),
            errors: Arc::new(DisabledErrorLog),
            audit: None,
            started_at,
            recent: tokio::sync::Mutex::default(),
            status: Mutex::default(),
        }
    }

    /// The same service, which also knows what the process uses.
    #[must_use]
    pub fn with_process(mut self, process: Arc<dyn ProcessMeter>) -> Self {
        self.process = process;
        self
    }

    /// The same service, which also knows what of the machine is in use.
    #[must_use]
    pub fn with_machine(mut self, machine: Arc<dyn MachineMeter>) -> Self {
        self.machine = machine;
        self
    }

    /// The same service, which also tells the latest errors, and records in `audit` who had them forgotten.
    #[must_use]
    pub fn with_errors(mut self, errors: Arc<dyn ErrorLog>, audit: Arc<dyn AuditLog>) -> Self {
        self.errors = errors;
        self.audit = Some(audit);
        self
    }

    /// The same service with further checks.
    #[must_use]
    pub fn with_checks(mut self, checks: impl IntoIterator<Item = Arc<dyn HealthCheck>>) -> Self {
        self.checks.extend(checks);
        self
    }

    /// The same service for another environment than development.
    #[must_use]
    pub fn with_environment(mut self, environment: &'static str) -> Self {
        self.environment = environment;
        self
    }

    /// How long this process has run.
    pub fn uptime(&self) -> Duration {
        self.clock.now().since(self.started_at)
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the latest checks found; `None` before the first.
    pub fn latest_status(&self) -> Option<HealthStatus> {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every check now. Those who ask at the same time share one answer.
    pub async fn check(&self) -> HealthReport {
        self.check_since(Instant::now()).await
    }

    /// As [`check`](Self::check), but at most once a second however many ask: for probes that need no credential.
    pub async fn check_recent(&self) -> HealthReport {
        let now = Instant::now();
        self.check_since(now.checked_sub(RECENT).unwrap_or(now))
            .await
    }

    /// The report of checks that began at `since` or later.
    async fn check_since(&self, since: Instant) -> HealthReport {
        let mut recent = self.recent.lock().await;
        if let Some((at, report)) = &*recent
            && *at >= since
        {
            return report.clone();
        }
        let begun = Instant::now();
        let report = self.run_checks().await;
        let status = Some(report.status());
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        *recent = Some((begun, report.clone()));
        report
    }

    async fn run_checks(&self) -> HealthReport {
        let others = join_all(self.checks.iter().map(|check| run(check.as_ref())));
        let (inference, (database, storage), others) =
            tokio::join!(self.check_inference(), self.check_database(), others);
        HealthReport {
            at: self.clock.now(),
            inference: inference.probe(),
            model: self.models.default_model().clone(),
            database: database.probe(),
            storage,
            checks: [database, inference].into_iter().chain(others).collect(),
        }
    }

    /// Checks the database only.
    pub async fn check_storage(&self) -> (Probe, Option<StorageStatus>) {
        let (check, status) = self.check_database().await;
        (check.probe(), status)
    }

    async fn check_database(&self) -> (CheckResult, Option<StorageStatus>) {
        let begun = Instant::now();
        let result = timeout(CHECK_TIMEOUT, self.storage.check()).await;
        let (status, error) = match result {
            Ok(Ok(status)) => (Some(status), None),
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the database does not answer"
                );
                (None, Some("the database does not answer"))
            }
            Err(_) => (None, Some(NO_ANSWER)),
        };
        (result_of(DATABASE, begun, error.map(str::to_owned)), status)
    }

    async fn check_inference(&self) -> CheckResult {
        let begun = Instant::now();
        let Some(provider) = self.models.provider(&self.models.default_model().provider) else {
            let error = "no model is configured".to_owned();
            return result_of(MODEL_PROVIDER, begun, Some(error));
        };
        let error = match timeout(CHECK_TIMEOUT, self.models.read_list(&provider)).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.message),
            Err(_) => Some(NO_ANSWER.to_owned()),
        };
        result_of(MODEL_PROVIDER, begun, error)
    }
}

const NO_ANSWER: &str = "no answer in time";

fn result_of(about: HealthCheckInfo, begun: Instant, error: Option<String>) -> CheckResult {
    CheckResult {
        about,
        state: error.map_or(CheckState::Healthy, |words| {
            CheckState::Issue(about.severity, words)
        }),
        latency: begun.elapsed(),
    }
}

/// A check that takes too long or breaks down counts as failed; the others do not suffer.
async fn run(check: &dyn HealthCheck) -> CheckResult {
    let (begun, about) = (Instant::now(), check.about());
    let looked = AssertUnwindSafe(check.run()).catch_unwind();
    let failed = |words: &str| CheckState::Issue(about.severity, words.to_owned());
    let state = match timeout(CHECK_TIMEOUT, looked).await {
        Ok(Ok(state)) => state,
        Ok(Err(_)) => failed("the check broke down"),
        Err(_) => failed(NO_ANSWER),
    };
    CheckResult {
        about,
        state,
        latency: begun.elapsed(),
    }
}
