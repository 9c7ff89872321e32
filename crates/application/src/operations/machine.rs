//! What of the machine is in use.

use std::sync::PoisonError;
use std::time::Duration;

use majordomo_domain::{Scope, Timestamp};

use super::health::HealthService;
use crate::caller::{Caller, ScopeDenied};
use crate::ports::{MachineMeter, MachineUsage, ProcessorTime};

/// Processor use is measured over at least this long.
const WINDOW: Duration = Duration::from_secs(1);

/// A reading of the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineLoad {
    /// Everything the system tells.
    pub usage: MachineUsage,
    /// Use of all processors since the reading before (the first: since the machine started), 0 to 100.
    pub cpu_percent: f64,
}

/// The machine.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineStatus {
    /// The operating system's name.
    pub os: &'static str,
    /// The processor's family.
    pub arch: &'static str,
    /// When it was read.
    pub at: Timestamp,
    /// `None` where the system does not tell.
    pub load: Option<MachineLoad>,
}

/// A machine of which nothing is known but what the program was made for.
pub(super) struct UnmeasuredMachine;

impl MachineMeter for UnmeasuredMachine {
    fn os(&self) -> &'static str {
        std::env::consts::OS
    }

    fn arch(&self) -> &'static str {
        std::env::consts::ARCH
    }

    fn read(&self) -> Option<MachineUsage> {
        None
    }
}

impl HealthService {
    /// What of the machine is in use.
    pub fn machine(&self, caller: &Caller) -> Result<MachineStatus, ScopeDenied> {
        caller.require(Scope::Metrics)?;
        let at = self.clock.now();
        let load = self.machine.read().map(|usage| MachineLoad {
            cpu_percent: self.processor_percent(at, usage.processors),
            usage,
        });
        Ok(MachineStatus {
            os: self.machine.os(),
            arch: self.machine.arch(),
            at,
            load,
        })
    }

    fn processor_percent(&self, at: Timestamp, now: ProcessorTime) -> f64 {
        let lock = self.processors.lock();
        let mut last = lock.unwrap_or_else(PoisonError::into_inner);
        let (since, before) = last.unwrap_or((Timestamp::EPOCH, ProcessorTime::default()));
        if at.since(since) >= WINDOW {
            *last = Some((at, now));
        }
        let busy = now.busy.saturating_sub(before.busy).as_secs_f64();
        let total = now.total.saturating_sub(before.total).as_secs_f64();
        if total > 0.0 {
            (busy / total * 100.0).clamp(0.0, 100.0)
        } else {
            0.0
        }
    }
}
