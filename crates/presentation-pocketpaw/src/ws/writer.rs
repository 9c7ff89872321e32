//! What is to be sent: a short queue before the socket.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;

use actix_ws::{CloseReason, Closed, Message, Session};
use bytes::Bytes;
use futures_util::Sink as _;

/// Frames that wait before nothing more is read from the client.
const FULL: usize = 32;

/// The sending half of a connection. Runs are only read when it is empty, so a slow reader costs a few frames.
pub(super) struct Writer {
    session: Session,
    waiting: VecDeque<Message>,
}

impl Writer {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            waiting: VecDeque::new(),
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether so much waits that nothing more should be asked for.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= FULL
    }

    pub(super) fn text(&mut self, frame: String) {
        self.waiting.push_back(Message::Text(frame.into()));
    }

    pub(super) fn ping(&mut self) {
        self.waiting.push_back(Message::Ping(Bytes::new()));
    }

    pub(super) fn pong(&mut self, payload: Bytes) {
        self.waiting.push_back(Message::Pong(payload));
    }

    /// The last frame of the connection.
    pub(super) fn close(&mut self, reason: Option<CloseReason>) {
        self.waiting.push_back(Message::Close(reason));
    }

    /// Hands everything that waits to the socket; tells whether there was more than pings. Nothing is lost when the
    /// returned future is dropped.
    pub(super) async fn flush(&mut self) -> Result<bool, Closed> {
        let mut spoke = false;
        while !self.waiting.is_empty() {
            poll_fn(|context| Pin::new(&mut self.session).poll_ready(context)).await?;
            if let Some(message) = self.waiting.pop_front() {
                spoke |= !matches!(message, Message::Ping(_));
                Pin::new(&mut self.session).start_send(message)?;
            }
        }
        // An idle connection keeps no room for frames.
        self.waiting = VecDeque::new();
        Ok(spoke)
    }
}
