//! `ci`: everything that has to hold before a change lands, in order, stopping at the first failure.
//!
//! The generated files (OpenAPI documents, example configuration) are compared by tests, so no step is theirs.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::setup::{self, TestTools};
use crate::{arch, endpoints, migrations, process, report, tidy, tree};

/// Longest time for one run of cargo; a whole run is to stay below 25 minutes on two cores.
const LIMIT: Duration = Duration::from_hours(1);

/// Runs every step.
pub(crate) fn run() -> Outcome {
    let mut steps = Steps::default();
    steps.run("format", || cargo(&["fmt", "--all", "--check"], &[]))?;
    steps.run("clippy", clippy)?;
    steps.run("arch", arch::run)?;
    steps.run("tidy", tidy::run)?;
    steps.run("migrations", migrations::run)?;
    steps.run("endpoints", endpoints::check)?;
    let tools = steps.run("setup", || Ok(setup::install()))?;
    report_missing(&tools);
    steps.run("tests", || tests(&tools))?;
    steps.summarise();
    report_missing(&tools);
    Ok(())
}

/// The steps that have passed, and their times.
#[derive(Debug, Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    fn run<T>(&mut self, name: &'static str, step: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        report::line(format_args!("==> {name}"));
        let start = Instant::now();
        let result = step().map_err(|failure| Failure::new(format!("{name} failed\n{failure}")))?;
        let elapsed = start.elapsed();
        report::line(format_args!("    {name}: {:.1} s", elapsed.as_secs_f64()));
        self.0.push((name, elapsed));
        Ok(result)
    }

    fn summarise(&self) {
        let total: Duration = self.0.iter().map(|(_, elapsed)| *elapsed).sum();
        let steps: Vec<String> = self
            .0
            .iter()
            .map(|(name, elapsed)| format!("{name} {:.1} s", elapsed.as_secs_f64()))
            .collect();
        report::line(format_args!(
            "ci passed in {:.0} s ({})",
            total.as_secs_f64(),
            steps.join(", ")
        ));
    }
}

fn report_missing(tools: &TestTools) {
    for missing in &tools.missing {
        report::line(format_args!("SKIPPED: {missing}"));
    }
}

fn clippy() -> Outcome {
    let arguments = [
        "clippy",
        "--workspace",
        "--features",
        "majordomo-server/local-embeddings",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    cargo(&arguments, &[])
}

/// Tests of what is left out of an ordinary build of the workspace.
const FEATURES: [&str; 2] = ["--features", "majordomo-infrastructure-embedding/bert"];

/// All tests: with nextest, which does not run the examples in doc comments, those are run after it.
fn tests(tools: &TestTools) -> Outcome {
    let environment: Vec<(&str, OsString)> = tools
        .environment
        .iter()
        .map(|(variable, path)| (*variable, path.clone().into_os_string()))
        .collect();
    if !has_nextest() {
        let run = [&["test", "--workspace", "--no-fail-fast"], &FEATURES[..]];
        return cargo(&run.concat(), &environment);
    }
    let run = [
        &["nextest", "run", "--workspace", "--no-fail-fast"],
        &FEATURES[..],
    ];
    cargo(&run.concat(), &environment)?;
    let examples = [&["test", "--workspace", "--doc", "--quiet"], &FEATURES[..]];
    cargo(&examples.concat(), &environment)
}

fn has_nextest() -> bool {
    cargo_command(&["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn cargo(arguments: &[&str], environment: &[(&str, OsString)]) -> Outcome {
    let mut command = cargo_command(arguments);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    process::run(&mut command, LIMIT)
}

/// The cargo that runs this command, at the workspace's root. A CI machine builds once, so what only speeds up the
/// next build is left out, for every step alike: changing it in between would build everything again.
fn cargo_command(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(tree::root());
    if on_ci_machine(std::env::var_os("CI")) {
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

fn on_ci_machine(variable: Option<OsString>) -> bool {
    variable.is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{Failure, Steps, on_ci_machine};

    #[test]
    fn a_failing_step_is_named_and_not_counted() {
        let mut steps = Steps::default();
        assert_eq!(steps.run("first", || Ok(7)), Ok(7));
        let failed = steps.run("second", || Err::<(), _>(Failure::new("reason")));
        assert_eq!(failed, Err(Failure::new("second failed\nreason")));
        assert_eq!(steps.0.len(), 1);
    }

    #[test]
    fn ci_is_recognised_by_its_variable() {
        assert!(on_ci_machine(Some(OsString::from("true"))));
        assert!(on_ci_machine(Some(OsString::from("1"))));
        assert!(!on_ci_machine(Some(OsString::from("false"))));
        assert!(!on_ci_machine(None));
    }
}
