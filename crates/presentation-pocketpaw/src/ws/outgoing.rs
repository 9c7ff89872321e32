//! What is to be sent. The connection's task writes frames into a small buffer; the body of the answer, which the
//! framework asks for bytes whenever the socket takes some, empties it. Both live on one thread, so they share it without
//! a channel: an idle connection keeps a few words, not a queue.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_http::ws::{OpCode, Parser};
use actix_web::body::{BodySize, MessageBody};
use actix_ws::CloseReason;
use bytes::{Bytes, BytesMut};

/// Runs are read while fewer bytes wait than this.
const ROOM: usize = 16 * 1024;
/// The client is listened to while fewer replies wait than this.
const MAX_REPLIES: usize = 32;
/// Longest words of a close frame, in bytes: 125 for a control frame, 2 of them the code (RFC 6455, 5.5).
const MAX_REASON: usize = 123;

#[derive(Default)]
struct Pipe {
    bytes: BytesMut,
    /// Frames in `bytes` that are no run's.
    replies: usize,
    /// Whether `bytes` holds more than pings.
    speaks: bool,
    /// What was taken and not yet told to the task: `Some(true)` when it was more than pings.
    taken: Option<bool>,
    /// Nothing more will be written.
    ended: bool,
    /// Nothing more will be taken.
    gone: bool,
    body: Option<Waker>,
    task: Option<Waker>,
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The two ends of what is sent.
pub(super) fn pipe() -> (Writer, OutgoingBody) {
    let pipe = Rc::new(RefCell::new(Pipe::default()));
    (Writer(Rc::clone(&pipe)), OutgoingBody(pipe))
}

/// What became of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The socket took all of them; `true` when it was more than pings.
    Taken(bool),
    /// The client is gone.
    Gone,
}

/// The task's end.
pub(super) struct Writer(Rc<RefCell<Pipe>>);

impl Writer {
    /// Whether a run's next frames may be written.
    pub(super) fn has_room(&self) -> bool {
        self.0.borrow().bytes.len() < ROOM
    }

    /// Whether so many replies wait that no more should be asked for.
    pub(super) fn is_full(&self) -> bool {
        self.0.borrow().replies >= MAX_REPLIES
    }

    fn write(&mut self, code: OpCode, payload: &[u8], replies: usize) {
        let mut pipe = self.0.borrow_mut();
        Parser::write_message(&mut pipe.bytes, payload, code, true, false);
        pipe.replies += replies;
        pipe.speaks |= code != OpCode::Ping;
        wake(&mut pipe.body);
    }

    /// A frame of a run.
    pub(super) fn run(&mut self, frame: &str) {
        self.write(OpCode::Text, frame.as_bytes(), 0);
    }

    /// Any other frame.
    pub(super) fn text(&mut self, frame: &str) {
        self.write(OpCode::Text, frame.as_bytes(), 1);
    }

    pub(super) fn ping(&mut self) {
        self.write(OpCode::Ping, b"", 0);
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        self.write(OpCode::Pong, payload, 1);
    }

    /// The last frame of the connection.
    pub(super) fn close(&mut self, reason: Option<CloseReason>) {
        let payload = reason.map_or_else(Vec::new, |reason| {
            let words = reason.description.unwrap_or_default();
            let end = words.floor_char_boundary(MAX_REASON);
            let mut payload = u16::from(reason.code).to_be_bytes().to_vec();
            payload.extend_from_slice(words.as_bytes().get(..end).unwrap_or_default());
            payload
        });
        self.write(OpCode::Close, &payload, 1);
    }

    /// Waits until the socket takes what was written, or the client is gone.
    pub(super) async fn progress(&mut self) -> Progress {
        poll_fn(|context| {
            let mut pipe = self.0.borrow_mut();
            if pipe.gone {
                return Poll::Ready(Progress::Gone);
            }
            if let Some(spoke) = pipe.taken.take() {
                return Poll::Ready(Progress::Taken(spoke));
            }
            pipe.task = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until the socket has taken everything; `false` when the client is gone.
    pub(super) async fn drained(&mut self) -> bool {
        while !self.0.borrow().bytes.is_empty() {
            if self.progress().await == Progress::Gone {
                return false;
            }
        }
        true
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut pipe = self.0.borrow_mut();
        pipe.ended = true;
        wake(&mut pipe.body);
    }
}

/// The socket's end: the body of the answer to the handshake.
pub(super) struct OutgoingBody(Rc<RefCell<Pipe>>);

impl MessageBody for OutgoingBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let mut pipe = self.0.borrow_mut();
        if !pipe.bytes.is_empty() {
            let spoke = mem::take(&mut pipe.speaks) || pipe.taken == Some(true);
            pipe.taken = Some(spoke);
            pipe.replies = 0;
            wake(&mut pipe.task);
            return Poll::Ready(Some(Ok(mem::take(&mut pipe.bytes).freeze())));
        }
        if pipe.ended {
            return Poll::Ready(None);
        }
        pipe.body = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        let mut pipe = self.0.borrow_mut();
        pipe.gone = true;
        wake(&mut pipe.task);
    }
}
