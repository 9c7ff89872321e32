//! The thread that writes the file.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread;

use majordomo_application::ports::LoggedError;
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

use super::{HELD, line, lock};

/// Errors that wait to be written at most.
pub(super) const QUEUE: usize = 256;
/// Lines of the file before it is written anew with those that are held.
const MAX_LINES: usize = 2 * HELD;

/// What is to be done.
pub(super) enum Work {
    /// Write an error.
    Append(Box<LoggedError>),
    /// Forget all errors, and say how that went.
    Clear(oneshot::Sender<io::Result<()>>),
}

struct Writer {
    path: PathBuf,
    /// Opened with the first error: the data folder may be made after the log was opened.
    file: Option<File>,
    lines: usize,
    entries: Arc<Mutex<VecDeque<LoggedError>>>,
}

/// Starts the thread. It ends with the log it works for.
pub(super) fn start(
    path: PathBuf,
    lines: usize,
    entries: Arc<Mutex<VecDeque<LoggedError>>>,
    queue: Receiver<Work>,
) -> io::Result<()> {
    let mut writer = Writer {
        path,
        file: None,
        lines,
        entries,
    };
    let run = move || {
        for work in queue {
            writer.perform(work);
        }
    };
    thread::Builder::new()
        .name("error-log".to_owned())
        .spawn(run)
        .map(drop)
}

impl Writer {
    fn perform(&mut self, work: Work) {
        match work {
            Work::Append(entry) => {
                // Nobody can be told: telling would be one more error.
                if self.append(&entry).is_err() {
                    self.file = None;
                }
            }
            Work::Clear(done) => {
                let cleared = self.clear();
                let _ = done.send(cleared);
            }
        }
    }

    fn append(&mut self, entry: &LoggedError) -> io::Result<()> {
        if self.lines >= MAX_LINES {
            return self.rewrite();
        }
        if self.file.is_none() {
            self.file = Some(open_private(&self.path)?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(line::write(entry).as_bytes())?;
            self.lines += 1;
        }
        Ok(())
    }

    /// Writes what is held into a file of its own, which then takes the old one's place.
    fn rewrite(&mut self) -> io::Result<()> {
        let entries: Vec<LoggedError> = lock(&self.entries).iter().cloned().collect();
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // Made with mode 0600.
        let mut fresh = NamedTempFile::new_in(folder)?;
        for entry in &entries {
            fresh.write_all(line::write(entry).as_bytes())?;
        }
        self.file = Some(fresh.persist(&self.path)?);
        self.lines = entries.len();
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.file = None;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.lines = 0;
        lock(&self.entries).clear();
        Ok(())
    }
}

/// Opens the file to append to it; a fresh one is its owner's alone.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
