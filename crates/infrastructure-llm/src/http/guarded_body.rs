//! A response body that cannot hang.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use majordomo_application::ports::ModelError;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::failure::Failures;

use super::after;

/// The pieces of a body as they arrive. Ends with an error when the upstream is silent for the idle timeout, when the
/// deadline passes, or when the connection breaks. Dropping it closes the connection.
pub(crate) struct GuardedBody {
    pieces: BodyDataStream<Incoming>,
    failures: Failures,
    idle: Duration,
    deadline: Instant,
    total: Duration,
    /// Never later than the end of the wait; it is moved on only when it fires, not with each piece.
    timer: Pin<Box<Sleep>>,
    /// When the last piece came.
    heard: Instant,
    ended: bool,
}

impl GuardedBody {
    pub(crate) fn new(
        body: Incoming,
        failures: Failures,
        idle: Duration,
        deadline: Instant,
        total: Duration,
    ) -> Self {
        Self {
            pieces: BodyDataStream::new(body),
            failures,
            idle,
            deadline,
            total,
            timer: Box::pin(sleep_until(after(idle).min(deadline))),
            heard: Instant::now(),
            ended: false,
        }
    }

    /// When this wait has to end.
    fn until(&self) -> Instant {
        let idle_until = self.heard.checked_add(self.idle);
        idle_until.unwrap_or(self.deadline).min(self.deadline)
    }

    fn timed_out(&self) -> ModelError {
        let waited = if Instant::now() >= self.deadline {
            self.total
        } else {
            self.idle
        };
        self.failures.timeout(waited)
    }
}

impl Stream for GuardedBody {
    type Item = Result<Bytes, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        match this.pieces.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(piece))) => {
                let now = Instant::now();
                // A stream that never pauses meets its deadline here, not at the timer.
                if now >= this.deadline {
                    this.ended = true;
                    return Poll::Ready(Some(Err(this.timed_out())));
                }
                this.heard = now;
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(_))) => {
                this.ended = true;
                Poll::Ready(Some(Err(this.failures.broke_off())))
            }
            Poll::Ready(None) => {
                this.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                while this.timer.as_mut().poll(cx).is_ready() {
                    let until = this.until();
                    if Instant::now() >= until {
                        this.ended = true;
                        return Poll::Ready(Some(Err(this.timed_out())));
                    }
                    this.timer.as_mut().reset(until);
                }
                Poll::Pending
            }
        }
    }
}
