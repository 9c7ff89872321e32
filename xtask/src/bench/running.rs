//! Programs that run while something is measured, and what the system says about them.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::process;

/// How long a program may take to stop when it is asked to.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// `USER_HZ`: the unit of processor time in `/proc` is a hundredth of a second on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// A command whose process ends when this one does, however that ends.
pub(crate) fn command(program: &Path) -> Command {
    if process::find("setpriv", &[]).is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A running program; it is killed when this is dropped.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
}

impl Running {
    pub(crate) fn start(name: &'static str, mut command: Command) -> Outcome<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| Failure::new(format!("{name} cannot be started: {error}")))?;
        Ok(Self { name, child })
    }

    /// Fails when the program has ended.
    pub(crate) fn check(&mut self) -> Outcome {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failure(&format!("has ended: {status}"))),
            Err(error) => Err(self.failure(&format!("cannot be watched: {error}"))),
        }
    }

    /// Asks the program to stop and waits for it.
    pub(crate) fn stop(mut self) -> Outcome {
        let asked = Command::new("kill")
            .args(["-s", "TERM", &self.child.id().to_string()])
            .status();
        if !asked.is_ok_and(|status| status.success()) {
            return Err(self.failure("cannot be asked to stop"));
        }
        let end = Instant::now() + STOP_LIMIT;
        while Instant::now() < end {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(self.failure(&format!("stopped with {status}"))),
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(self.failure(&format!("cannot be watched: {error}"))),
            }
        }
        Err(self.failure("does not stop when it is asked to"))
    }

    /// Memory of the process that is in RAM, in KiB.
    pub(crate) fn resident_kib(&self) -> Outcome<f64> {
        let status = self.proc("status")?;
        resident(&status).ok_or_else(|| self.failure("has no VmRSS in /proc"))
    }

    /// Processor time used so far, in seconds.
    pub(crate) fn processor_seconds(&self) -> Outcome<f64> {
        let stat = self.proc("stat")?;
        let ticks = processor_ticks(&stat);
        let ticks = ticks.ok_or_else(|| self.failure("has no times in /proc"))?;
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> Outcome<usize> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let files = fs::read_dir(&folder).map_err(|error| self.unreadable(&folder, &error))?;
        Ok(files.count())
    }

    fn proc(&self, file: &str) -> Outcome<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).map_err(|error| self.unreadable(&path, &error))
    }

    fn unreadable(&self, path: &str, error: &std::io::Error) -> Failure {
        self.failure(&format!("cannot be looked at: {path}: {error}"))
    }

    fn failure(&self, problem: &str) -> Failure {
        Failure::new(format!("{} {problem}", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only where the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `VmRSS` of `/proc/PID/status`.
fn resident(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// User and system time of `/proc/PID/stat`, the 14th and 15th field; the second one, the name, may hold spaces.
fn processor_ticks(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::{Running, command, processor_ticks, resident};

    #[test]
    fn the_systems_words_are_read() {
        let status = "Name:\tx\nVmRSS:\t   22016 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(resident(status), Some(22_016.0));
        assert_eq!(resident("Name:\tx\n"), None);
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(processor_ticks(stat), Some(300.0));
        assert_eq!(processor_ticks("42 (x) S 1"), None);
    }

    #[test]
    fn a_program_is_measured_and_dies_with_its_owner() {
        let mut sleeping = command(Path::new("/bin/sleep"));
        sleeping.arg("60");
        let start = Instant::now();
        let mut running = Running::start("sleep", sleeping).expect("starts");
        running.check().expect("runs");
        // It takes a moment until the program is loaded.
        while running.resident_kib().expect("known") < 100.0 {
            assert!(start.elapsed().as_secs() < 20, "it is never loaded");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(running.processor_seconds().expect("known") < 5.0);
        assert!(running.open_files().expect("known") >= 3);
        let process = format!("/proc/{}", running.child.id());
        assert!(Path::new(&process).exists());
        drop(running);
        assert!(!Path::new(&process).exists());
        assert!(start.elapsed().as_secs() < 30);
    }

    #[test]
    fn a_program_that_ended_is_noticed() {
        let mut running = Running::start("true", command(Path::new("/bin/true"))).expect("starts");
        running.child.wait().expect("ends");
        let failure = running.check().expect_err("has ended");
        assert!(
            failure.to_string().starts_with("true has ended"),
            "{failure}"
        );
    }
}
