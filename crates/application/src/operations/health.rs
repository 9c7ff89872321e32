//! Whether the parts this server needs answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use majordomo_domain::{ModelRef, Timestamp};
use tokio::time::{Instant, timeout};

use super::status::{CpuSample, Unmeasured};
use crate::models::ModelRegistry;
use crate::ports::{Clock, ProcessMeter, StorageHealth, StorageStatus};

/// Longest wait for one part.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long [`HealthService::check_recent`] gives the same answer again.
const RECENT: Duration = Duration::from_secs(1);

/// How one part answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Whether it answered.
    pub healthy: bool,
    /// How long it took.
    pub latency: Duration,
    /// What is wrong, in words fit for the public.
    pub error: Option<String>,
}

/// How all parts answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// The default model's provider.
    pub inference: Probe,
    /// The model that was meant.
    pub model: ModelRef,
    /// The database.
    pub database: Probe,
    /// What the database says of itself, when it answered.
    pub storage: Option<StorageStatus>,
}

impl HealthReport {
    /// Whether the server can do its work.
    pub fn is_ready(&self) -> bool {
        self.inference.healthy && self.database.healthy
    }
}

/// Probes the parts this server needs, at the same time, each with a time limit.
pub struct HealthService {
    models: Arc<ModelRegistry>,
    storage: Arc<dyn StorageHealth>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) process: Arc<dyn ProcessMeter>,
    pub(super) cpu: Mutex<CpuSample>,
    pub(super) environment: &'static str,
    started_at: Timestamp,
    recent: tokio::sync::Mutex<Option<(Instant, HealthReport)>>,
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
            clock,
            process: Arc::new(Unmeasured),
            environment: "development",
            cpu: Mutex::new(CpuSample::at_start(started_at)),
            started_at,
            recent: tokio::sync::Mutex::default(),
        }
    }

    /// The same service, which also knows what the process uses.
    #[must_use]
    pub fn with_process(mut self, process: Arc<dyn ProcessMeter>) -> Self {
        self.process = process;
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

    /// Probes every part.
    pub async fn check(&self) -> HealthReport {
        let (inference, (database, storage)) =
            tokio::join!(self.check_inference(), self.check_storage());
        HealthReport {
            inference,
            model: self.models.default_model().clone(),
            database,
            storage,
        }
    }

    /// As [`check`](Self::check), but at most once a second however many ask: for probes that need no credential.
    pub async fn check_recent(&self) -> HealthReport {
        let mut recent = self.recent.lock().await;
        if let Some((at, report)) = &*recent
            && at.elapsed() < RECENT
        {
            return report.clone();
        }
        let report = self.check().await;
        *recent = Some((Instant::now(), report.clone()));
        report
    }

    /// Probes the database only.
    pub async fn check_storage(&self) -> (Probe, Option<StorageStatus>) {
        let begun = Instant::now();
        let result = timeout(PROBE_TIMEOUT, self.storage.check()).await;
        let (status, error) = match result {
            Ok(Ok(status)) => (Some(status), None),
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the database does not answer"
                );
                (None, Some("the database does not answer"))
            }
            Err(_) => (None, Some("no answer in time")),
        };
        (probe(begun, error.map(str::to_owned)), status)
    }

    async fn check_inference(&self) -> Probe {
        let begun = Instant::now();
        let Some(provider) = self.models.provider(&self.models.default_model().provider) else {
            return probe(begun, Some("no model is configured".to_owned()));
        };
        let error = match timeout(PROBE_TIMEOUT, provider.model.models()).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.message),
            Err(_) => Some("no answer in time".to_owned()),
        };
        probe(begun, error)
    }
}

fn probe(begun: Instant, error: Option<String>) -> Probe {
    Probe {
        healthy: error.is_none(),
        latency: begun.elapsed(),
        error,
    }
}
