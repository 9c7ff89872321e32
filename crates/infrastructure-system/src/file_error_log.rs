//! The latest errors, in memory and in a file of the data folder.

mod line;
mod writer;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use majordomo_application::ports::{Clock, ErrorLog, LoggedError, NewLoggedError, RepositoryError};
use tokio::sync::oneshot;
use writer::{QUEUE, Work};

/// The file's name in the data folder.
pub const ERROR_LOG_FILE: &str = "errors.jsonl";

/// Errors held at most.
const HELD: usize = 500;
/// Bytes of one text at most.
const MAX_TEXT: usize = 4096;
/// Further facts of an error at most.
const MAX_CONTEXT: usize = 16;

/// Keeps the latest errors. What is told comes from memory, so it is there when the disk is not; a thread of its own
/// writes the file, from which the next process reads on.
pub struct FileErrorLog {
    entries: Arc<Mutex<VecDeque<LoggedError>>>,
    clock: Arc<dyn Clock>,
    next_id: AtomicU64,
    work: SyncSender<Work>,
}

impl FileErrorLog {
    /// The log in `file`, which need not exist. Fails when no thread can be started or the file cannot be read.
    pub fn open(file: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let file = file.into();
        let text = match fs::read(&file) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let lines = text.lines().count();
        let held = text.lines().skip(lines.saturating_sub(HELD));
        let entries: VecDeque<_> = held.filter_map(line::read).collect();
        let entries = Arc::new(Mutex::new(entries));
        let (work, queue) = std::sync::mpsc::sync_channel(QUEUE);
        let seed = u64::try_from(clock.now().as_micros()).unwrap_or(0);
        writer::start(file, lines, Arc::clone(&entries), queue)?;
        Ok(Self {
            entries,
            clock,
            next_id: AtomicU64::new(seed),
            work,
        })
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<LoggedError>> {
        lock(&self.entries)
    }

    fn keep(&self, error: NewLoggedError) -> LoggedError {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        LoggedError {
            // 48 bits of the time in microseconds at the start, counted on: unique for as long as anything is held.
            id: format!("{:012x}", number & 0xffff_ffff_ffff),
            at: self.clock.now(),
            error: NewLoggedError {
                source: cut(error.source),
                severity: error.severity,
                message: cut(error.message),
                trace: cut(error.trace),
                context: error
                    .context
                    .into_iter()
                    .take(MAX_CONTEXT)
                    .map(|(name, value)| (cut(name), cut(value)))
                    .collect(),
            },
        }
    }
}

#[async_trait]
impl ErrorLog for FileErrorLog {
    fn record(&self, error: NewLoggedError) {
        let entry = self.keep(error);
        let mut entries = self.entries();
        entries.push_back(entry.clone());
        if entries.len() > HELD {
            entries.pop_front();
        }
        drop(entries);
        // A full queue means a flood of errors or a disk that hangs: then memory has to do.
        let _ = self.work.try_send(Work::Append(Box::new(entry)));
    }

    async fn newest(
        &self,
        limit: usize,
        search: Option<&str>,
    ) -> Result<Vec<LoggedError>, RepositoryError> {
        let wanted = search.map(str::to_lowercase);
        let holds = |entry: &&LoggedError| {
            let error = &entry.error;
            wanted.as_ref().is_none_or(|wanted| {
                [&error.message, &error.source, &error.trace]
                    .iter()
                    .any(|text| text.to_lowercase().contains(wanted))
            })
        };
        let entries = self.entries();
        let newest = entries.iter().rev().filter(holds).take(limit);
        Ok(newest.cloned().collect())
    }

    async fn clear(&self) -> Result<(), RepositoryError> {
        let (done, cleared) = oneshot::channel();
        // The thread that writes empties memory and file together; it waits only while the queue is full.
        let busy = || RepositoryError::Unavailable("the error log is being written".into());
        self.work.try_send(Work::Clear(done)).map_err(|_| busy())?;
        match cleared.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(RepositoryError::Unavailable(error.into())),
            Err(_) => Err(busy()),
        }
    }
}

fn lock(entries: &Mutex<VecDeque<LoggedError>>) -> MutexGuard<'_, VecDeque<LoggedError>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text, cut at a character where it is too long.
fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push('…');
    }
    text
}
