//! What this process uses of the machine.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use majordomo_application::ports::{ProcessMeter, ProcessUsage};

/// What this process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStatus {
    /// Time since the process started, as far as [`Process::started`] was called then.
    pub uptime: Duration,
    /// Resident memory in bytes; `None` where the system does not tell.
    pub resident_bytes: Option<u64>,
    /// Processor time used since the start, user and system, over all threads; `None` where the system does not tell.
    pub cpu_time: Option<Duration>,
}

/// This process.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    started: Instant,
}

impl Process {
    /// Notes that the process starts now.
    pub fn started() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Reads `/proc/self`: a few microseconds, and no disk.
    pub fn status(&self) -> ProcessStatus {
        let read = |file| fs::read_to_string(file).ok();
        ProcessStatus {
            uptime: self.started.elapsed(),
            resident_bytes: read("/proc/self/status")
                .as_deref()
                .and_then(resident_bytes),
            cpu_time: read("/proc/self/stat").as_deref().and_then(cpu_time),
        }
    }
}

impl ProcessMeter for Process {
    fn read(&self) -> ProcessUsage {
        let status = self.status();
        ProcessUsage {
            resident_bytes: status.resident_bytes,
            cpu_time: status.cpu_time,
        }
    }

    /// The marks that Docker and Podman leave in a container's root.
    fn is_in_container(&self) -> bool {
        ["/.dockerenv", "/run/.containerenv"]
            .iter()
            .any(|mark| Path::new(mark).exists())
    }
}

/// The line `VmRSS:     1234 kB` of `/proc/<pid>/status` (`proc_pid_status(5)`); the unit is always KiB.
fn resident_bytes(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = value.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Fields 14 and 15 of `/proc/<pid>/stat` (`proc_pid_stat(5)`) in clock ticks. Field 2 is the program's name in
/// brackets and may hold blanks and brackets, so fields are counted from its last closing bracket.
fn cpu_time(stat: &str) -> Option<Duration> {
    /// One tick at `USER_HZ` = 100, the value of every Linux architecture that Rust compiles for.
    const TICK: Duration = Duration::from_millis(10);
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(14 - 3);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    TICK.checked_mul(user.checked_add(system)?)
}
