//! What of this machine is in use.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use majordomo_application::ports::{Battery, Capacity, MachineMeter, MachineUsage, ProcessorTime};

/// Where Linux lists batteries and mains adapters.
const POWER_SUPPLIES: &str = "/sys/class/power_supply";

/// This machine, and the file system a folder of it lies on.
#[derive(Debug, Clone)]
pub struct Machine {
    folder: PathBuf,
}

impl Machine {
    /// The machine with the disk that holds `folder`.
    pub fn storing_in(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }
}

impl MachineMeter for Machine {
    fn os(&self) -> &'static str {
        match std::env::consts::OS {
            "linux" => "Linux",
            "macos" => "Darwin",
            "windows" => "Windows",
            other => other,
        }
    }

    fn arch(&self) -> &'static str {
        std::env::consts::ARCH
    }

    /// Reads the tables below `/proc` and `/sys`: some tens of microseconds, and no disk.
    fn read(&self) -> Option<MachineUsage> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let memory = fs::read_to_string("/proc/meminfo").ok()?;
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Some(MachineUsage {
            processors: processor_time(&stat)?,
            cores: cores(&stat),
            freq_mhz: freq_mhz(&processors),
            memory: memory_in_use(&memory)?,
            disk: disk_of(&self.folder)?,
            uptime: seconds(uptime.split_whitespace().next()?)?,
            battery: battery(Path::new(POWER_SUPPLIES)),
        })
    }
}

/// The file system of a folder, as its user sees it: what is kept back for the administrator counts as used.
pub(crate) fn disk_of(folder: &Path) -> Option<Capacity> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let total_bytes = disk.f_blocks.checked_mul(disk.f_frsize)?;
    let free_bytes = disk.f_bavail.checked_mul(disk.f_frsize)?;
    Some(Capacity {
        used_bytes: total_bytes.saturating_sub(free_bytes),
        total_bytes,
    })
}

/// The line `cpu  user nice system idle iowait irq softirq steal guest guest_nice` of `proc_stat(5)`, in ticks. The last
/// two are part of the first two.
fn processor_time(stat: &str) -> Option<ProcessorTime> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Option<Vec<u64>> = line
        .split_whitespace()
        .take(8)
        .map(|field| field.parse().ok())
        .collect();
    let ticks = ticks?;
    let total: u64 = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    Some(ProcessorTime {
        busy: in_time(total.saturating_sub(idle)),
        total: in_time(total),
    })
}

/// One tick is 10 ms at `USER_HZ` = 100, the value of every Linux architecture that Rust compiles for.
fn in_time(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(10))
}

/// `proc_stat(5)` has a line `cpuN ...` for each logical processor.
fn cores(stat: &str) -> u32 {
    let lines = stat.lines().filter(|line| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
    });
    u32::try_from(lines.count()).unwrap_or(u32::MAX)
}

/// The line `cpu MHz : 2596.130` of `/proc/cpuinfo`, which not every architecture has.
fn freq_mhz(cpuinfo: &str) -> Option<u32> {
    let line = cpuinfo.lines().find(|line| line.starts_with("cpu MHz"))?;
    let (_, value) = line.split_once(':')?;
    value.trim().split('.').next()?.parse().ok()
}

/// `MemTotal` and `MemAvailable` of `proc_meminfo(5)`; the unit is always KiB.
fn memory_in_use(meminfo: &str) -> Option<Capacity> {
    let bytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        kib.checked_mul(1024)
    };
    let total_bytes = bytes("MemTotal:")?;
    Some(Capacity {
        used_bytes: total_bytes.saturating_sub(bytes("MemAvailable:")?),
        total_bytes,
    })
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// The first battery among the power supplies, as `power_supply_class` of the kernel's documentation tells it.
fn battery(supplies: &Path) -> Option<Battery> {
    let entries = fs::read_dir(supplies).ok()?.flatten();
    let folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    let read = |folder: &Path, name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        Some(text.trim().to_owned())
    };
    let number = |folder: &Path, name: &str| read(folder, name)?.parse::<u64>().ok();
    let battery = folders
        .iter()
        .find(|folder| read(folder, "type").as_deref() == Some("Battery"))?;
    let percent = u8::try_from(number(battery, "capacity")?.min(100)).ok()?;
    let plugged = read(battery, "status")? != "Discharging";
    // Energy in microwatt hours, power in microwatts.
    let left = (!plugged)
        .then(|| {
            let energy = number(battery, "energy_now")?;
            let power = number(battery, "power_now").filter(|power| *power > 0)?;
            Some(Duration::from_secs(energy.checked_mul(3600)? / power))
        })
        .flatten();
    Some(Battery {
        percent,
        plugged,
        left,
    })
}
