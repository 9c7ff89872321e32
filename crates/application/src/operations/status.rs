//! What the running server takes of the machine.

use std::sync::PoisonError;
use std::time::Duration;

use majordomo_domain::{Scope, Timestamp};

use super::health::HealthService;
use crate::caller::{Caller, ScopeDenied};
use crate::ports::{ProcessMeter, ProcessUsage};

/// Processor use is measured over at least this long, where the process is that old.
const CPU_WINDOW: Duration = Duration::from_secs(1);

/// What the running server takes of the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemStatus {
    /// What the installation is for, as configured: `development` or `production`.
    pub environment: &'static str,
    /// How long this process has run.
    pub uptime: Duration,
    /// Memory held, in bytes; `None` where the system does not tell.
    pub resident_bytes: Option<u64>,
    /// Use of the processors since the last reading (the first: since the start) in percent; 100 is one processor.
    pub cpu_percent: Option<f64>,
    /// Size of the database in bytes; `None` when it does not answer.
    pub database_bytes: Option<u64>,
}

/// Processor time up to a point.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuSample {
    at: Timestamp,
    used: Duration,
}

impl CpuSample {
    pub(super) const fn at_start(at: Timestamp) -> Self {
        Self {
            at,
            used: Duration::ZERO,
        }
    }
}

/// A process of which nothing is known.
pub(super) struct Unmeasured;

impl ProcessMeter for Unmeasured {
    fn read(&self) -> ProcessUsage {
        ProcessUsage::default()
    }

    fn is_in_container(&self) -> bool {
        false
    }
}

impl HealthService {
    /// What the running server takes of the machine.
    pub async fn status(&self, caller: &Caller) -> Result<SystemStatus, ScopeDenied> {
        caller.require(Scope::Metrics)?;
        let (_, storage) = self.check_storage().await;
        let usage = self.process.read();
        Ok(SystemStatus {
            environment: self.environment,
            uptime: self.uptime(),
            resident_bytes: usage.resident_bytes,
            cpu_percent: usage.cpu_time.and_then(|used| self.cpu_percent(used)),
            database_bytes: storage.map(|status| status.size_bytes),
        })
    }

    /// What the process takes of the machine. Tells of nobody, so nobody need be asked who they are.
    pub fn process_usage(&self) -> ProcessUsage {
        self.process.read()
    }

    /// Whether the process runs in a container.
    pub fn is_in_container(&self) -> bool {
        self.process.is_in_container()
    }

    fn cpu_percent(&self, used: Duration) -> Option<f64> {
        let now = self.clock.now();
        let mut last = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.since(last.at);
        let spent = used.saturating_sub(last.used);
        if elapsed >= CPU_WINDOW {
            *last = CpuSample { at: now, used };
        }
        (!elapsed.is_zero()).then(|| spent.as_secs_f64() / elapsed.as_secs_f64() * 100.0)
    }
}
