//! What the numbers were measured on.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::rounds::median;
use crate::failure::{Failure, Outcome};
use crate::{process, tree};

/// How long `rustc` or `git` may take to name a version.
const LIMIT: Duration = Duration::from_secs(20);
/// Writes to learn how long the disk takes.
const FLUSHES: u32 = 100;

/// Names and values, in order.
pub(crate) type Machine = Vec<(&'static str, String)>;

/// Describes processor, system, compiler, checkout and the disk below `folder`.
pub(crate) fn describe(folder: &Path) -> Outcome<Machine> {
    let flush = flush_millis(&folder.join("flush"))
        .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
    let unknown = || "unknown".to_owned();
    let cores = thread::available_parallelism().map_or_else(|_| unknown(), |n| n.to_string());
    Ok(vec![
        (
            "processor",
            proc("cpuinfo", "model name").unwrap_or_else(unknown),
        ),
        ("cores", cores),
        (
            "memory",
            proc("meminfo", "MemTotal").unwrap_or_else(unknown),
        ),
        ("kernel", kernel().unwrap_or_else(unknown)),
        ("disk", format!("{flush:.2} ms to write and flush 4 KiB")),
        ("load", load().unwrap_or_else(unknown)),
        ("priority", priority().unwrap_or_else(unknown)),
        (
            "rustc",
            version("rustc", &["--version"]).unwrap_or_else(unknown),
        ),
        ("commit", commit().unwrap_or_else(unknown)),
    ])
}

/// The value of the first `name : value` in a file of `/proc`.
fn proc(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{file}")).ok()?;
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
}

fn kernel() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("Linux {}", release.trim()))
}

/// How busy the machine was before the first measurement: others that work meanwhile make every number doubtful.
fn load() -> Option<String> {
    let averages = fs::read_to_string("/proc/loadavg").ok()?;
    let last_minute = averages.split_whitespace().next()?;
    Some(format!("{last_minute} in the minute before"))
}

/// The niceness of this process and so of all it starts.
fn priority() -> Option<String> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    // The 19th field of the line; the first after the name is the third.
    let niceness = after_name.split_whitespace().nth(16)?;
    Some(format!("nice {niceness}"))
}

fn version(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(tree::root());
    let output = process::capture(program, &mut command, LIMIT).ok()?;
    Some(output.trim().to_owned())
}

fn commit() -> Option<String> {
    let commit = version("git", &["rev-parse", "--short=12", "HEAD"])?;
    let changes = version("git", &["status", "--porcelain"])?;
    let suffix = if changes.is_empty() {
        ""
    } else {
        " with changes"
    };
    Some(format!("{commit}{suffix}"))
}

/// What a durable write costs at least: the median time to write a block and flush it to the disk.
fn flush_millis(path: &Path) -> std::io::Result<f64> {
    let mut file = File::create(path)?;
    let mut times = Vec::new();
    for _ in 0..FLUSHES {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(path)?;
    Ok(median(times))
}

#[cfg(test)]
mod tests {
    use super::{describe, flush_millis};

    #[test]
    fn this_machine_is_described() {
        let machine = describe(&std::env::temp_dir()).expect("described");
        let value = |name| {
            machine
                .iter()
                .find(|(found, _)| *found == name)
                .map(|(_, value)| value)
        };
        let priority = value("priority").and_then(|text| text.strip_prefix("nice "));
        assert!(priority.is_some_and(|nice| nice.parse::<i8>().is_ok()));
        assert!(value("kernel").is_some_and(|kernel| kernel.starts_with("Linux ")));
        assert!(value("rustc").is_some_and(|rustc| rustc.starts_with("rustc 1.")));
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        assert!(flush_millis("/no/such/folder/file".as_ref()).is_err());
    }
}
