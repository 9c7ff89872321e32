//! What the machine has and what of it is in use.

use std::time::Duration;

/// Bytes in use, of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capacity {
    /// In use.
    pub used_bytes: u64,
    /// All there are.
    pub total_bytes: u64,
}

/// Processor time of the machine since it started, over all processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessorTime {
    /// Spent working.
    pub busy: Duration,
    /// Spent working or idle.
    pub total: Duration,
}

/// The battery of a portable machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Battery {
    /// How full it is, 0 to 100.
    pub percent: u8,
    /// Whether the machine is on mains.
    pub plugged: bool,
    /// How long it lasts; `None` when it is being charged or the system does not tell.
    pub left: Option<Duration>,
}

/// A reading of [`MachineMeter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineUsage {
    /// Processor time.
    pub processors: ProcessorTime,
    /// Number of logical processors.
    pub cores: u32,
    /// Clock rate of the first processor in MHz; `None` where the system does not tell.
    pub freq_mhz: Option<u32>,
    /// Memory; what caches hold counts as free.
    pub memory: Capacity,
    /// The file system the server stores in.
    pub disk: Capacity,
    /// Time since the machine started.
    pub uptime: Duration,
    /// `None` where there is none.
    pub battery: Option<Battery>,
}

/// Measures the machine.
pub trait MachineMeter: Send + Sync {
    /// The operating system's name: `Linux`.
    fn os(&self) -> &'static str;
    /// The processor's family: `x86_64`.
    fn arch(&self) -> &'static str;
    /// Reads what is in use now; `None` where the system does not tell. MUST be quick: nothing but the system's tables.
    fn read(&self) -> Option<MachineUsage>;
}
