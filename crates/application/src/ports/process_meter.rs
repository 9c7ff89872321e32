//! What this process takes of the machine.

use std::time::Duration;

/// A reading of [`ProcessMeter`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Memory held, in bytes; `None` where the system does not tell.
    pub resident_bytes: Option<u64>,
    /// Processor time used since the process began, over all threads; `None` where the system does not tell.
    pub cpu_time: Option<Duration>,
}

/// Measures this process.
pub trait ProcessMeter: Send + Sync {
    /// Reads what the process uses now. MUST be quick: no disk, no waiting.
    fn read(&self) -> ProcessUsage;
    /// Whether the process runs in a container.
    fn is_in_container(&self) -> bool;
}
