//! What a look at the server's health found.

use std::time::Duration;

use majordomo_domain::{ModelRef, Timestamp};

use crate::ports::{CheckState, HealthCheckInfo, Severity, StorageStatus};

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

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// What was looked at.
    pub about: HealthCheckInfo,
    /// What was found.
    pub state: CheckState,
    /// How long it took.
    pub latency: Duration,
}

impl CheckResult {
    /// How bad it is, and what is wrong; `None` when nothing is.
    pub fn issue(&self) -> Option<(Severity, &str)> {
        match &self.state {
            CheckState::Issue(severity, words) => Some((*severity, words)),
            CheckState::Healthy | CheckState::NotConfigured => None,
        }
    }

    pub(super) fn probe(&self) -> Probe {
        let error = self.issue().map(|(_, words)| words.to_owned());
        Probe {
            healthy: error.is_none(),
            latency: self.latency,
            error,
        }
    }
}

/// The server's health in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthStatus {
    /// Everything works.
    Healthy,
    /// Something does not work.
    Degraded,
    /// The server cannot do its work.
    Unhealthy,
}

impl HealthStatus {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What all checks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    /// When the checks ended.
    pub at: Timestamp,
    /// The default model's provider.
    pub inference: Probe,
    /// The model that was meant.
    pub model: ModelRef,
    /// The database.
    pub database: Probe,
    /// What the database says of itself, when it answered.
    pub storage: Option<StorageStatus>,
    /// Every check, the two above first.
    pub checks: Vec<CheckResult>,
}

impl HealthReport {
    /// Whether the server can do its work.
    pub fn is_ready(&self) -> bool {
        self.inference.healthy && self.database.healthy
    }

    /// All in a word.
    pub fn status(&self) -> HealthStatus {
        let gravest = self
            .checks
            .iter()
            .filter_map(|check| check.issue().map(|(severity, _)| severity))
            .max();
        match gravest {
            None => HealthStatus::Healthy,
            Some(Severity::Warning) => HealthStatus::Degraded,
            Some(Severity::Critical) => HealthStatus::Unhealthy,
        }
    }
}
