//! The threads that read: one from the start, more as soon as all are busy.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use diesel::SqliteConnection;
use majordomo_application::ports::RepositoryError;
use tokio::sync::oneshot;

use crate::backend::Conn;
use crate::database::{Role, Work, connect, run_now};
use crate::queue::{Queue, Refused};

/// Most reads that may wait.
const QUEUE_CAPACITY: usize = 1_024;

/// A read that waits for a thread.
pub(crate) trait Read: Send {
    /// Does it and answers.
    fn run(self: Box<Self>, conn: &mut Conn);
}

struct ReadJob<I, T> {
    input: I,
    work: Work<I, T>,
    reply: oneshot::Sender<Result<T, RepositoryError>>,
}

impl<I: Send, T: Send> Read for ReadJob<I, T> {
    fn run(self: Box<Self>, conn: &mut Conn) {
        if self.reply.is_closed() {
            return;
        }
        let result = run_now(conn, &self.input, self.work);
        // The caller may have gone meanwhile.
        let _ = self.reply.send(result);
    }
}

/// A read of `input` by `work`.
pub(crate) fn job<I, T>(
    input: I,
    work: Work<I, T>,
    reply: oneshot::Sender<Result<T, RepositoryError>>,
) -> Box<dyn Read>
where
    I: Send + 'static,
    T: Send + 'static,
{
    Box::new(ReadJob { input, work, reply })
}

/// The threads and what waits for them. Each has a connection.
pub(crate) struct Readers {
    path: PathBuf,
    most: usize,
    waiting: Queue<Box<dyn Read>>,
    /// Reads that wait or are being done.
    undone: AtomicUsize,
    /// Threads that read or are about to.
    live: AtomicUsize,
    /// `None` once closed.
    threads: Mutex<Option<Vec<JoinHandle<()>>>>,
}

impl Readers {
    /// Starts the first thread, which reads the file at `path`; there will be `most` at most.
    pub(crate) fn start(path: &Path, most: usize) -> Result<Arc<Self>, String> {
        let readers = Arc::new(Self {
            path: path.to_owned(),
            most,
            waiting: Queue::new(QUEUE_CAPACITY),
            undone: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            threads: Mutex::new(Some(Vec::new())),
        });
        let first = connect(path, Role::Reader)?;
        let spawned = readers.spawn(move || Ok(first));
        spawned.map_err(|error| error.to_string())?;
        Ok(readers)
    }

    /// Has `job` done by one of the threads.
    pub(crate) fn put(self: &Arc<Self>, job: Box<dyn Read>) -> Result<(), Refused> {
        let before = self.undone.fetch_add(1, Ordering::Relaxed);
        if let Err(refused) = self.waiting.put(job) {
            self.undone.fetch_sub(1, Ordering::Relaxed);
            return Err(refused);
        }
        let live = self.live.load(Ordering::Relaxed);
        if live < self.most && before >= live {
            let path = self.path.clone();
            if let Err(error) = self.spawn(move || connect(&path, Role::Reader)) {
                tracing::warn!(%error, "no further thread reads the database");
            }
        }
        Ok(())
    }

    /// Starts a thread that opens its connection first. One that cannot leaves the work to the others.
    fn spawn(
        self: &Arc<Self>,
        open: impl FnOnce() -> Result<SqliteConnection, String> + Send + 'static,
    ) -> std::io::Result<()> {
        let mut threads = self.threads();
        let live = self.live.load(Ordering::Relaxed);
        let Some(threads) = threads.as_mut().filter(|_| live < self.most) else {
            return Ok(());
        };
        let readers = Arc::clone(self);
        self.live.fetch_add(1, Ordering::Relaxed);
        let spawned = thread::Builder::new()
            .name(format!("sqlite-reader-{live}"))
            .spawn(move || {
                match open() {
                    Ok(connection) => readers.run(Conn::new(connection)),
                    Err(error) => tracing::warn!(error, "a thread cannot read the database"),
                }
                readers.live.fetch_sub(1, Ordering::Relaxed);
            });
        threads.retain(|thread| !thread.is_finished());
        spawned.map(|thread| threads.push(thread)).inspect_err(|_| {
            self.live.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// Reads until the queue is closed.
    fn run(&self, mut conn: Conn) {
        while let Some(jobs) = self.waiting.take(1) {
            for job in jobs {
                job.run(&mut conn);
                self.undone.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Finishes what waits; later work is refused. Blocks.
    pub(crate) fn close(&self) {
        self.waiting.close();
        let threads = self.threads().take();
        for thread in threads.into_iter().flatten() {
            // A thread that panicked has nothing left to finish.
            let _ = thread.join();
        }
    }

    fn threads(&self) -> MutexGuard<'_, Option<Vec<JoinHandle<()>>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Says that it runs, and goes on when told.
    struct Held {
        running: mpsc::Sender<String>,
        go_on: mpsc::Receiver<()>,
    }

    impl Read for Held {
        fn run(self: Box<Self>, _: &mut Conn) {
            let name = thread::current().name().unwrap_or_default().to_owned();
            self.running.send(name).unwrap();
            // Fails when the test is over, which is as good.
            let _ = self.go_on.recv();
        }
    }

    #[test]
    fn a_thread_is_started_when_all_are_busy_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Readers::start(&folder.path().join("empty.sqlite3"), 2).unwrap();
        let (running, ran) = mpsc::channel();
        let hold = || {
            let (tell, go_on) = mpsc::channel::<()>();
            let running = running.clone();
            readers.put(Box::new(Held { running, go_on })).unwrap();
            tell
        };
        let first = hold();
        assert_eq!(ran.recv().unwrap(), "sqlite-reader-0");
        assert_eq!(readers.live.load(Ordering::Relaxed), 1);
        let second = hold();
        assert_eq!(ran.recv().unwrap(), "sqlite-reader-1");
        let third = hold();
        assert_eq!(readers.live.load(Ordering::Relaxed), 2);
        drop(second);
        assert_eq!(ran.recv().unwrap(), "sqlite-reader-1");
        drop((first, third));
        readers.close();
        let (running, (_, go_on)) = (running.clone(), mpsc::channel());
        let late = readers.put(Box::new(Held { running, go_on }));
        assert_eq!(late.err(), Some(Refused::Closed));
    }
}
