//! The body of an event stream whose bytes are made elsewhere.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use majordomo_presentation_http::ApiError;
use tokio::time::{Instant, Sleep, sleep};

use crate::error::{event_of, refine};

const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// Passes pieces of an event stream on as they come. Between two events, and only there, it adds a comment when nothing
/// came for a while, so that a client that has gone is noticed, and tells a failure as a last event; a failure in the middle of
/// an event breaks the connection, for half an event must not look like a whole one. Dropping it drops the pieces.
pub(super) struct EventBody<S> {
    pieces: S,
    /// The last bytes sent; as if an event had just ended at first.
    tail: [u8; 4],
    ended: bool,
    timer: Pin<Box<Sleep>>,
    sent: Instant,
    keep_alive: Duration,
}

impl<S: Stream<Item = Result<Bytes, ApiError>> + Unpin> EventBody<S> {
    pub(super) fn new(pieces: S, keep_alive: Duration) -> Self {
        Self {
            pieces,
            tail: *b"\n\n\n\n",
            ended: false,
            timer: Box::pin(sleep(keep_alive)),
            sent: Instant::now(),
            keep_alive,
        }
    }

    fn is_between_events(&self) -> bool {
        let tail = &self.tail;
        tail.ends_with(b"\n\n") || tail.ends_with(b"\r\r") || tail == b"\r\n\r\n"
    }

    fn note(&mut self, piece: &[u8]) {
        let kept = piece.len().min(self.tail.len());
        self.tail.rotate_left(kept);
        let from = piece.iter().rev().take(kept);
        for (to, byte) in self.tail.iter_mut().rev().zip(from) {
            *to = *byte;
        }
        self.sent = Instant::now();
    }

    fn fail(&mut self, error: ApiError) -> Result<Bytes, Error> {
        self.ended = true;
        if self.is_between_events() {
            Ok(event_of(&refine(error)))
        } else {
            Err(error.into())
        }
    }
}

impl<S: Stream<Item = Result<Bytes, ApiError>> + Unpin> MessageBody for EventBody<S> {
    type Error = Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            match this.pieces.poll_next_unpin(context) {
                // An empty chunk would end the body.
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(Some(Ok(piece))) => {
                    this.note(&piece);
                    return Poll::Ready(Some(Ok(piece)));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(this.fail(error))),
                Poll::Ready(None) => {
                    this.ended = true;
                    return Poll::Ready(None);
                }
                Poll::Pending => break,
            }
        }
        // The timer is moved on only when it fires, not with each piece.
        while this.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let due = this.sent + this.keep_alive;
            if due > now {
                this.timer.as_mut().reset(due);
                continue;
            }
            this.sent = now;
            this.timer.as_mut().reset(now + this.keep_alive);
            if this.is_between_events() {
                return Poll::Ready(Some(Ok(KEEP_ALIVE)));
            }
        }
        Poll::Pending
    }
}
