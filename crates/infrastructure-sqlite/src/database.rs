//! Runs pieces of work on the database threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use majordomo_application::ports::{Durability, RepositoryError};
use tokio::sync::oneshot;

use crate::backend::{Conn, classify};
use crate::indexing;
use crate::lock::FileLock;
use crate::queue::{Queue, Refused};
use crate::readers::{self, Readers};
use crate::repositories::Outcome;
use crate::writer::{Write, Writer};

/// Most writes that may wait.
const QUEUE_CAPACITY: usize = 1_024;

/// A piece of work: what to do with an input, on a connection. It may be done more than once.
pub(crate) type Work<I, T> = for<'a> fn(&'a mut Conn, &'a I) -> BoxFuture<'a, Outcome<T>>;

/// An open database and its threads. Dropping it waits for what was begun.
pub(crate) struct Database {
    writes: Arc<Queue<Box<dyn Write>>>,
    readers: Arc<Readers>,
    search_is_behind: Arc<AtomicBool>,
    writer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<FileLock>>,
}

impl Database {
    /// Starts the thread that writes on `writer`. Holds `lock`, which the process that owns the file has.
    pub(crate) fn start(
        writer: SqliteConnection,
        readers: Arc<Readers>,
        lock: Option<FileLock>,
    ) -> std::io::Result<Self> {
        let writes = Arc::new(Queue::new(QUEUE_CAPACITY));
        let search_is_behind = Arc::new(AtomicBool::new(true));
        let writer = Writer::new(writer, Arc::clone(&search_is_behind));
        let waiting = Arc::clone(&writes);
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || writer.run(&waiting))?;
        Ok(Self {
            writes,
            readers,
            search_is_behind,
            writer: Mutex::new(Some(thread)),
            lock: Mutex::new(lock),
        })
    }

    /// A database without a thread that writes: every write is refused. Needs no lock, as the file may be another
    /// process's.
    pub(crate) fn reading(readers: Arc<Readers>) -> Self {
        let writes = Arc::new(Queue::new(QUEUE_CAPACITY));
        writes.close();
        Self {
            writes,
            readers,
            search_is_behind: Arc::new(AtomicBool::new(false)),
            writer: Mutex::new(None),
            lock: Mutex::new(None),
        }
    }

    /// Runs `work` on a reading connection.
    pub(crate) async fn read<I, T>(&self, input: I, work: Work<I, T>) -> Result<T, RepositoryError>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.readers
            .put(readers::job(input, work, reply))
            .map_err(unavailable)?;
        answer
            .await
            .unwrap_or_else(|_| Err(unavailable(Refused::Closed)))
    }

    /// Runs `work` in a transaction; on an error nothing of it stays.
    pub(crate) async fn write<I, T>(
        &self,
        durability: Durability,
        input: I,
        work: Work<I, T>,
    ) -> Result<T, RepositoryError>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.writes
            .put(crate::writer::job(durability, input, work, reply))
            .map_err(unavailable)?;
        answer
            .await
            .unwrap_or_else(|_| Err(unavailable(Refused::Closed)))
    }

    /// Has the messages indexed that are not yet. Where that fails, older messages can still be searched.
    pub(crate) async fn catch_up_search(&self) {
        if !self.search_is_behind.load(Ordering::Acquire) {
            return;
        }
        let caught_up = self
            .write(Durability::Written, (), |conn, ()| {
                Box::pin(indexing::catch_up(conn))
            })
            .await;
        if let Err(error) = caught_up {
            tracing::warn!(%error, "the newest messages could not be indexed for search");
        }
    }

    /// Finishes what waits, closes the file and gives up its lock. Blocks; later work is refused.
    pub(crate) fn close(&self) {
        self.writes.close();
        self.readers.close();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // A thread that panicked has nothing left to finish.
        let _ = writer.map(JoinHandle::join);
        let lock = self
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(lock);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close();
    }
}

fn unavailable(refused: Refused) -> RepositoryError {
    RepositoryError::Unavailable(Box::new(refused))
}

/// Runs a piece of work on this thread. Statements run inline, so the future is ready when it is first polled.
pub(crate) fn run_now<I, T>(
    conn: &mut Conn,
    input: &I,
    work: Work<I, T>,
) -> Result<T, RepositoryError> {
    let done = catch_unwind(AssertUnwindSafe(|| work(conn, input).now_or_never()));
    match done {
        Ok(Some(result)) => result.map_err(classify),
        Ok(None) => Err(RepositoryError::Other(
            "database work waited for something else".into(),
        )),
        Err(panic) => Err(RepositoryError::Other(panic_text(&*panic).into())),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    format!("database work panicked: {text}")
}

/// Opens a connection. The waiting time comes first, so that the other settings can wait for locks.
pub(crate) fn connect(path: &Path, role: Role) -> Result<SqliteConnection, String> {
    let text = path.to_str().ok_or("the path is not UTF-8")?;
    // A path that begins like an address would be read as one.
    let text = if path.is_absolute() {
        text.to_owned()
    } else {
        format!("./{text}")
    };
    let mut connection = SqliteConnection::establish(&text).map_err(|e| e.to_string())?;
    connection
        .batch_execute(role.settings())
        .map_err(|e| e.to_string())?;
    Ok(connection)
}

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// The one that writes.
    Writer,
    /// One of those that read.
    Reader,
    /// One that looks at the schema of a database another process may own.
    Inspector,
}

impl Role {
    /// Memory: at most 8 MiB of pages for the writer and 4 MiB for each reader, taken as they are used.
    const fn settings(self) -> &'static str {
        match self {
            Self::Writer => {
                "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; \
                 PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 2000;"
            }
            Self::Reader => {
                "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA cache_size = -4096; \
                 PRAGMA temp_store = MEMORY;"
            }
            Self::Inspector => "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;",
        }
    }
}
