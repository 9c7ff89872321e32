//! Other programs: finding them and running them with a time limit.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Runs a program to its end; its output goes to the terminal.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Outcome {
    let shown = shown(command);
    let failed = |error| Failure::new(format!("`{shown}` could not be run: {error}"));
    let mut child = command.spawn().map_err(failed)?;
    match wait(&mut child, limit).map_err(failed)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(Failure::new(format!("`{shown}` failed: {status}"))),
        None => Err(Failure::new(format!(
            "`{shown}` was stopped after {} s",
            limit.as_secs()
        ))),
    }
}

/// Runs a program to its end and returns what it printed, at most a few lines: a longer text would fill the pipe and
/// stop the program.
pub(crate) fn capture(name: &str, command: &mut Command, limit: Duration) -> Outcome<String> {
    let failed = |error| Failure::new(format!("{name} could not be run: {error}"));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
    match wait(&mut child, limit).map_err(failed)? {
        Some(status) if status.success() => {}
        Some(status) => return Err(Failure::new(format!("{name} failed: {status}"))),
        None => {
            let problem = format!("{name} was stopped after {} s", limit.as_secs());
            return Err(Failure::new(problem));
        }
    }
    let mut output = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut output).map_err(failed)?;
    }
    Ok(output)
}

/// `None` when the limit passed and the program was killed.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a program of this name is in `PATH` or one of the `others`.
pub(crate) fn find(program: &str, others: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(others.iter().cloned())
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The folders, besides `PATH`, where distributions keep PostgreSQL's server programs.
pub(crate) fn postgres_folders() -> Vec<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(versions)
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    folders.push(PathBuf::from("/usr/local/bin"));
    folders
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{capture, find, run};

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn success_failure_and_absence_are_told_apart() {
        assert!(run(&mut Command::new("true"), LIMIT).is_ok());
        let failed = run(&mut Command::new("false"), LIMIT).expect_err("fails");
        assert!(failed.to_string().starts_with("`false` failed"), "{failed}");
        let absent = run(&mut Command::new("no-such-program"), LIMIT).expect_err("absent");
        assert!(absent.to_string().contains("could not be run"), "{absent}");
    }

    #[test]
    fn a_program_that_hangs_is_stopped() {
        let hanging = run(Command::new("sleep").arg("20"), Duration::from_millis(100));
        let failure = hanging.expect_err("stopped");
        assert!(failure.to_string().contains("was stopped"), "{failure}");
    }

    #[test]
    fn what_a_program_prints_is_captured() {
        let mut echo = Command::new("echo");
        assert_eq!(
            capture("echo", echo.arg("hello"), LIMIT),
            Ok("hello\n".to_owned())
        );
        let failed = capture("false", &mut Command::new("false"), LIMIT).expect_err("fails");
        assert!(failed.to_string().starts_with("false failed"), "{failed}");
    }

    #[test]
    fn programs_are_found_in_the_path() {
        assert!(find("sh", &[]).is_some());
        assert!(find("no-such-program", &["/usr/bin".into()]).is_none());
    }
}
