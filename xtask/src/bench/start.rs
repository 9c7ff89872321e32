//! The rows about a server that has nothing to do: how fast it is there, and how much memory it takes.

use std::fs;
use std::thread;
use std::time::Duration;

use super::Bench;
use super::options::Group;
use super::rounds::median;
use super::server::Installation;
use super::table::{Bar, Row, Unit};
use crate::failure::Outcome;
use crate::report;

/// Starts; their median counts.
const STARTS: u32 = 11;
/// How long the server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// Starts and stops the server again and again on the database that is there.
pub(crate) fn measure(bench: &Bench, installation: &Installation<'_>) -> Outcome<Vec<Row>> {
    report::note("==> start and idle memory");
    // Makes the database where the other groups have not.
    installation.start()?.process.stop()?;
    let size = fs::metadata(installation.database()).map_or(0, |file| file.len());
    let mut times = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..bench.repetitions(STARTS) {
        let server = installation.start()?;
        times.push(server.started_in.as_secs_f64() * 1e3);
        thread::sleep(IDLE);
        memory.push(server.process.resident_kib()? / 1024.0);
        server.process.stop()?;
    }
    let starts = times.len();
    let slowest = times.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        Row {
            group: Group::Start,
            name: "memory when idle".to_owned(),
            bar: Bar::AtMost(25.0),
            unit: Unit::Megabytes,
            value: median(memory),
            detail: format!("resident, {} s after its first answer", IDLE.as_secs()),
        },
        Row {
            group: Group::Start,
            name: "start to first 200".to_owned(),
            bar: Bar::AtMost(60.0),
            unit: Unit::Milliseconds,
            value: median(times),
            detail: format!(
                "median of {starts} starts, slowest {slowest:.1} ms; database of {} MB",
                size / (1024 * 1024)
            ),
        },
    ])
}
