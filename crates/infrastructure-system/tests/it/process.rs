//! What this process uses, on Linux.
#![cfg(target_os = "linux")]

use std::fs;
use std::hint::black_box;
use std::thread::sleep;
use std::time::{Duration, Instant};

use majordomo_application::ports::ProcessMeter as _;
use majordomo_infrastructure_system::Process;

const MIB: u64 = 1024 * 1024;

#[test]
fn resident_memory_follows_what_is_used() {
    let process = Process::started();
    let before = process.status().resident_bytes.unwrap();
    let block = black_box(vec![1_u8; 64 * 1024 * 1024]);
    let after = process.status().resident_bytes.unwrap();
    assert!(before > 256 * 1024, "{before}");
    assert!(after >= before + 60 * MIB, "{before} -> {after}");
    drop(block);
}

/// Processor time, once 200 ms more have been used than at the start.
fn spin(process: Process) -> (Duration, Duration) {
    let before = process.status().cpu_time.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        black_box((0..100_000_u64).map(black_box).sum::<u64>());
        let used = process.status().cpu_time.unwrap();
        if used >= before + Duration::from_millis(200) {
            return (before, used);
        }
        assert!(Instant::now() < deadline, "no processor time after 30 s");
    }
}

#[test]
fn processor_time_is_in_the_unit_of_the_wall_clock() {
    let process = Process::started();
    let (before, after) = spin(process);
    // One thread spins: it cannot use more than went by, two ticks of rounding aside.
    let uptime = process.status().uptime;
    assert!(after.checked_sub(before).unwrap() <= uptime + Duration::from_millis(20));
}

#[test]
fn a_program_name_with_brackets_does_not_shift_the_fields() {
    let process = Process::started();
    fs::write("/proc/self/comm", "a) R 9 (b").unwrap();
    assert!(
        fs::read_to_string("/proc/self/stat")
            .unwrap()
            .contains("(a) R 9 (b)")
    );
    let (before, _) = spin(process);
    assert!(before < Duration::from_mins(1), "{before:?}");
}

#[test]
fn uptime_counts_from_the_start() {
    let process = Process::started();
    sleep(Duration::from_millis(20));
    let uptime = process.status().uptime;
    assert!(
        uptime >= Duration::from_millis(20) && uptime < Duration::from_secs(20),
        "{uptime:?}"
    );
}

#[test]
fn the_meter_reads_what_the_status_tells() {
    let process = Process::started();
    let usage = process.read();
    assert!(usage.resident_bytes.unwrap() > 256 * 1024);
    assert!(usage.cpu_time.unwrap() <= process.status().cpu_time.unwrap());
}
