//! The thread that writes: group commit.
//!
//! All writes that wait go into one transaction and are answered after its one COMMIT. Nearly all of them succeed, so
//! they first run without savepoints, each of which would make the search index write its pages. When one fails, the
//! transaction is rolled back and the group runs once more with a savepoint around each, so that a failing write takes
//! no other with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::{QueryResult, SqliteConnection};
use diesel_async::SimpleAsyncConnection;
use futures_util::FutureExt;
use majordomo_application::ports::{Durability, RepositoryError};
use tokio::sync::oneshot;

use crate::backend::Conn;
use crate::database::{Work, run_now};
use crate::indexing;
use crate::queue::Queue;

/// Most writes in one transaction.
const MAX_GROUP: usize = 256;
/// After how many writes the search index is brought up to date: about one batch of messages.
const INDEX_AFTER: usize = 32;
/// After how much idleness it is.
const IDLE: Duration = Duration::from_millis(200);

/// A write that waits for the thread.
pub(crate) trait Write: Send {
    /// What it must survive.
    fn durability(&self) -> Durability;
    /// Does it and keeps the result; whether it succeeded. May be called again after a rollback.
    fn run(&mut self, conn: &mut Conn) -> bool;
    /// Answers with the kept result, or, when the transaction failed, that the database is unavailable.
    fn answer(self: Box<Self>, committed: Result<(), &str>);
}

struct WriteJob<I, T> {
    durability: Durability,
    input: I,
    work: Work<I, T>,
    result: Option<Result<T, RepositoryError>>,
    reply: oneshot::Sender<Result<T, RepositoryError>>,
}

impl<I: Send, T: Send> Write for WriteJob<I, T> {
    fn durability(&self) -> Durability {
        self.durability
    }

    fn run(&mut self, conn: &mut Conn) -> bool {
        let result = run_now(conn, &self.input, self.work);
        let succeeded = result.is_ok();
        self.result = Some(result);
        succeeded
    }

    fn answer(self: Box<Self>, committed: Result<(), &str>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) | (Err(_), Some(result @ Err(_))) => result,
            (Err(reason), _) => Err(RepositoryError::Unavailable(reason.into())),
            (Ok(()), None) => Err(RepositoryError::Other("the write was not run".into())),
        };
        // The caller may have gone meanwhile; the write stands.
        let _ = self.reply.send(result);
    }
}

/// A write of `input` by `work`.
pub(crate) fn job<I, T>(
    durability: Durability,
    input: I,
    work: Work<I, T>,
    reply: oneshot::Sender<Result<T, RepositoryError>>,
) -> Box<dyn Write>
where
    I: Send + 'static,
    T: Send + 'static,
{
    Box::new(WriteJob {
        durability,
        input,
        work,
        result: None,
        reply,
    })
}

/// How a try to run a group ended.
enum Tried {
    Committed,
    /// A write of the group failed; nothing is stored.
    WriteFailed,
}

/// The writing connection.
pub(crate) struct Writer {
    conn: Conn,
    durability: Durability,
    /// Writes since the search index was last brought up to date; those of turns add two messages at most.
    unindexed: usize,
    search_is_behind: Arc<AtomicBool>,
}

impl Writer {
    /// Takes a connection with `synchronous = FULL`, and the sign by which searches know that they must ask first.
    pub(crate) fn new(connection: SqliteConnection, search_is_behind: Arc<AtomicBool>) -> Self {
        Self {
            conn: Conn::new(connection),
            durability: Durability::Flushed,
            // A process that died may have left something.
            unindexed: 1,
            search_is_behind,
        }
    }

    /// Writes until the queue is closed, then tidies the file up.
    pub(crate) fn run(mut self, writes: &Queue<Box<dyn Write>>) {
        loop {
            let group = if self.unindexed == 0 {
                writes.take(MAX_GROUP)
            } else {
                writes.take_within(MAX_GROUP, IDLE)
            };
            let Some(group) = group else { break };
            let idle = group.is_empty();
            if !idle {
                self.write(group);
            }
            if idle || self.unindexed >= INDEX_AFTER {
                self.index();
            }
        }
        self.index();
        let tidied = self.execute(
            "PRAGMA analysis_limit = 400; PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);",
        );
        if let Err(error) = tidied {
            tracing::warn!(%error, "the database file could not be tidied up");
        }
    }

    /// Brings the search index up to date, or tries again after the next writes.
    fn index(&mut self) {
        self.unindexed = 0;
        let indexed = self.try_index();
        match indexed {
            Ok(()) => self.search_is_behind.store(false, Ordering::Release),
            Err(error) => {
                let _ = self.execute("ROLLBACK");
                tracing::warn!(%error, "the newest messages could not be indexed for search");
            }
        }
    }

    fn try_index(&mut self) -> Result<(), RepositoryError> {
        let unavailable = |error: diesel::result::Error| RepositoryError::Unavailable(error.into());
        self.set_durability(Durability::Written)
            .map_err(unavailable)?;
        loop {
            self.execute("BEGIN IMMEDIATE").map_err(unavailable)?;
            let indexed = run_now(&mut self.conn, &(), |conn, ()| {
                Box::pin(indexing::index_batch(conn))
            })?;
            self.execute("COMMIT").map_err(unavailable)?;
            if indexed == 0 {
                return Ok(());
            }
        }
    }

    fn write(&mut self, mut group: Vec<Box<dyn Write>>) {
        let committed = self.try_write(&mut group);
        let committed = match &committed {
            Ok(()) => Ok(()),
            Err(error) => {
                let reason = error.to_string();
                tracing::error!(error = %reason, writes = group.len(), "writes could not be committed");
                // Ends a transaction that the failure has not ended; without one this fails, which is as good.
                let _ = self.execute("ROLLBACK");
                Err(reason)
            }
        };
        self.unindexed = self.unindexed.saturating_add(group.len());
        self.search_is_behind.store(true, Ordering::Release);
        for job in group {
            job.answer(committed.as_ref().copied().map_err(String::as_str));
        }
    }

    fn try_write(&mut self, group: &mut [Box<dyn Write>]) -> QueryResult<()> {
        let flushed = group
            .iter()
            .any(|job| job.durability() == Durability::Flushed);
        self.set_durability(if flushed {
            Durability::Flushed
        } else {
            Durability::Written
        })?;
        match self.try_together(group)? {
            Tried::Committed => Ok(()),
            // The only write of its group has failed, and its error is its answer.
            Tried::WriteFailed if group.len() == 1 => Ok(()),
            Tried::WriteFailed => self.write_apart(group),
        }
    }

    /// Runs the group without savepoints, up to the first write that fails.
    fn try_together(&mut self, group: &mut [Box<dyn Write>]) -> QueryResult<Tried> {
        self.execute("BEGIN IMMEDIATE")?;
        for job in group {
            if !job.run(&mut self.conn) {
                // A full disk makes SQLite roll back by itself.
                let _ = self.execute("ROLLBACK");
                return Ok(Tried::WriteFailed);
            }
        }
        self.execute("COMMIT")?;
        Ok(Tried::Committed)
    }

    /// Runs the group with a savepoint around each write. An error here is the transaction's: where SQLite has rolled
    /// it back by itself, the savepoint is gone and ROLLBACK TO fails.
    fn write_apart(&mut self, group: &mut [Box<dyn Write>]) -> QueryResult<()> {
        self.execute("BEGIN IMMEDIATE")?;
        for job in group {
            self.execute("SAVEPOINT one_write")?;
            if !job.run(&mut self.conn) {
                self.execute("ROLLBACK TO one_write")?;
            }
            self.execute("RELEASE one_write")?;
        }
        self.execute("COMMIT")
    }

    /// Sets what the next COMMIT waits for: the operating system has the write, or the disk has it.
    fn set_durability(&mut self, durability: Durability) -> QueryResult<()> {
        if durability != self.durability {
            self.execute(match durability {
                Durability::Written => "PRAGMA synchronous = NORMAL",
                Durability::Flushed => "PRAGMA synchronous = FULL",
            })?;
            self.durability = durability;
        }
        Ok(())
    }

    fn execute(&mut self, sql: &str) -> QueryResult<()> {
        // Statements run inline, so the future is ready when it is first polled.
        self.conn
            .batch_execute(sql)
            .now_or_never()
            .unwrap_or(Err(diesel::result::Error::NotInTransaction))
    }
}

#[cfg(test)]
mod tests;
