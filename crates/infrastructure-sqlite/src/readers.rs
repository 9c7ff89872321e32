//! The threads that read.

use majordomo_application::ports::RepositoryError;
use tokio::sync::oneshot;

use crate::backend::Conn;
use crate::database::{Work, run_now};
use crate::queue::Queue;

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

/// Reads until the queue is closed.
pub(crate) fn run(mut conn: Conn, reads: &Queue<Box<dyn Read>>) {
    while let Some(jobs) = reads.take(1) {
        for job in jobs {
            job.run(&mut conn);
        }
    }
}
