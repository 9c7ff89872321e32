//! Runs of the load generator.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::running;
use crate::failure::{Failure, Outcome};
use crate::process;

/// How much longer than asked the load generator may take: its last requests end after the time.
const GRACE: Duration = Duration::from_secs(30);

/// A request that is sent again and again; `%N%` in the body becomes a number of its own each time.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) body: String,
    /// What every answer has to hold; the time to it is the time to the first token.
    pub(crate) marker: &'static str,
    /// Sent as a bearer credential.
    pub(crate) key: Option<String>,
}

/// What a run of load did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: f64,
    /// Requests per second.
    pub(crate) rate: f64,
    /// Time to the end of an answer.
    pub(crate) total: Latency,
    /// Time to the marker.
    pub(crate) first: Latency,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Sends requests on as many connections for a time, each as soon as the one before is answered. A single failed
/// request is a failure: a server that refuses work is fast.
pub(crate) fn run(
    program: &Path,
    request: &Request,
    connections: u32,
    time: Duration,
) -> Outcome<Load> {
    let mut command = running::command(program);
    command
        .arg(&request.url)
        .args(["--conns", &connections.to_string()])
        .args(["--secs", &time.as_secs_f64().to_string()])
        .args(["--body", &request.body])
        .args(["--marker", request.marker])
        .stdin(Stdio::null());
    if let Some(key) = &request.key {
        command.args(["--header", &format!("Authorization: Bearer {key}")]);
    }
    let output = process::capture("loadgen", &mut command, time + GRACE)?;
    let unreadable = || Failure::new(format!("loadgen's result is not understood: {output}"));
    let errors = number(&output, "errors").ok_or_else(unreadable)?;
    let load = parse(&output);
    if errors > 0.0 {
        let requests = number(&output, "requests").unwrap_or_default();
        return Err(Failure::new(format!(
            "{}: {errors} requests failed and {requests} succeeded",
            request.url
        )));
    }
    load.ok_or_else(unreadable)
}

/// The load generator's line; `None` where something is missing, as the times are when no request succeeded.
fn parse(output: &str) -> Option<Load> {
    Some(Load {
        requests: number(output, "requests")?,
        rate: number(output, "rps")?,
        total: latency(output, "total_ms")?,
        first: latency(output, "first_ms")?,
    })
}

fn latency(json: &str, name: &str) -> Option<Latency> {
    let (_, object) = json.split_once(&format!("\"{name}\":{{"))?;
    let (object, _) = object.split_once('}')?;
    Some(Latency {
        p50: number(object, "p50")?,
        p99: number(object, "p99")?,
    })
}

/// The number of the first member with this name.
fn number(json: &str, name: &str) -> Option<f64> {
    let (_, value) = json.split_once(&format!("\"{name}\":"))?;
    let end = value.find([',', '}']).unwrap_or(value.len());
    value.get(..end)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Latency, Load, parse};

    #[test]
    fn the_load_generators_line_is_read() {
        let line = r#"{"requests":120,"errors":0,"rps":40.5,"total_ms":{"p50":0.200,"p90":0.3,"p99":1.5,"max":9.0},"first_ms":{"p50":0.1,"p90":0.2,"p99":0.4,"max":0.5}}"#;
        let load = Load {
            requests: 120.0,
            rate: 40.5,
            total: Latency { p50: 0.2, p99: 1.5 },
            first: Latency { p50: 0.1, p99: 0.4 },
        };
        assert_eq!(parse(line), Some(load));
        let nothing = r#"{"requests":0,"errors":3,"rps":0.0,"total_ms":null,"first_ms":null}"#;
        assert_eq!(parse(nothing), None);
    }
}
