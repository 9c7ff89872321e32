//! Server-sent events: frames, their encoding, and the answers that stream them.

use std::borrow::Cow;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, http::StatusCode};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::stream::Fuse;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use tokio::time::{Instant, Sleep};

/// A comment is sent when nothing else was for so long, so that proxies and clients do not give up.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Frames that are ready are sent together until a chunk has so many bytes.
const CHUNK: usize = 16 * 1024;

/// Header: asks nginx not to hold frames back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What a client sends back as `Last-Event-ID`: a number, or a run and the number of one of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventId {
    run: Option<Arc<str>>,
    seq: u64,
}

impl EventId {
    /// `<run>.<seq>`.
    pub fn of_run(run: Arc<str>, seq: u64) -> Self {
        Self {
            run: Some(run),
            seq,
        }
    }

    fn encode(&self, buffer: &mut BytesMut) {
        if let Some(run) = &self.run {
            buffer.put_slice(run.as_bytes());
            buffer.put_u8(b'.');
        }
        put_decimal(buffer, self.seq);
    }
}

impl From<u64> for EventId {
    fn from(seq: u64) -> Self {
        Self { run: None, seq }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// What a client sends back as `Last-Event-ID`.
    pub id: Option<EventId>,
    /// The event's name; none means `message` to browsers.
    pub event: Option<Cow<'static, str>>,
    /// The payload. Line breaks in it become several `data:` lines, as the format asks.
    pub data: String,
}

impl Frame {
    /// An unnamed event.
    pub fn data(data: impl Into<String>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// An unnamed event with a JSON payload.
    pub fn json<T: Serialize>(payload: &T) -> Self {
        let data = serde_json::to_string(payload).unwrap_or_else(|error| {
            tracing::error!(cause = %error, "an event could not be written as JSON");
            "null".to_owned()
        });
        Self::data(data)
    }

    /// The same event with a name.
    #[must_use]
    pub fn event(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// The same event with an id.
    #[must_use]
    pub fn id(mut self, id: impl Into<EventId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Appends the event as it goes over the wire.
    pub fn encode(&self, buffer: &mut BytesMut) {
        buffer.reserve(self.data.len() + 96);
        if let Some(id) = &self.id {
            buffer.put_slice(b"id: ");
            id.encode(buffer);
            buffer.put_u8(b'\n');
        }
        if let Some(event) = &self.event {
            buffer.put_slice(b"event: ");
            buffer.extend(event.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
            buffer.put_u8(b'\n');
        }
        for line in lines(&self.data) {
            buffer.put_slice(b"data: ");
            buffer.put_slice(line.as_bytes());
            buffer.put_u8(b'\n');
        }
        buffer.put_u8(b'\n');
    }
}

/// The lines of a payload; `\r\n`, `\r` and `\n` all end one, as readers of the format take them.
fn lines(data: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\r', '\n']) else {
            rest = None;
            return Some(text);
        };
        let (line, tail) = text.split_at_checked(end)?;
        rest = tail
            .strip_prefix("\r\n")
            .or_else(|| tail.strip_prefix(['\r', '\n']));
        Some(line)
    })
}

fn put_decimal(buffer: &mut BytesMut, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        // A remainder of ten fits a byte.
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    buffer.extend(digits.iter().skip(start));
}

/// The body of an event stream. Dropping it drops the stream of frames.
pub struct SseBody<S: Stream<Item = Frame>> {
    frames: Pin<Box<Fuse<S>>>,
    buffer: BytesMut,
    sleep: Pin<Box<Sleep>>,
    sent: Instant,
    keep_alive: Duration,
}

impl<S: Stream<Item = Frame>> SseBody<S> {
    /// Sends `frames`, and a comment whenever nothing was sent for `keep_alive`.
    pub fn new(frames: S, keep_alive: Duration) -> Self {
        Self {
            frames: Box::pin(frames.fuse()),
            buffer: BytesMut::new(),
            sleep: Box::pin(tokio::time::sleep(keep_alive)),
            sent: Instant::now(),
            keep_alive,
        }
    }
}

impl<S: Stream<Item = Frame>> MessageBody for SseBody<S> {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let mut ended = false;
        while this.buffer.len() < CHUNK {
            match this.frames.as_mut().poll_next(context) {
                Poll::Ready(Some(frame)) => frame.encode(&mut this.buffer),
                Poll::Ready(None) => {
                    ended = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if !this.buffer.is_empty() {
            this.sent = Instant::now();
            return Poll::Ready(Some(Ok(this.buffer.split().freeze())));
        }
        if ended {
            return Poll::Ready(None);
        }
        // The timer is moved on only when it fires, not with each frame.
        while this.sleep.as_mut().poll(context).is_ready() {
            let due = this.sent + this.keep_alive;
            let now = Instant::now();
            if due <= now {
                this.sent = now;
                this.sleep.as_mut().reset(now + this.keep_alive);
                return Poll::Ready(Some(Ok(Bytes::from_static(b": keep-alive\n\n"))));
            }
            this.sleep.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// The answer that streams `frames`.
pub fn respond<S>(frames: S) -> HttpResponse
where
    S: Stream<Item = Frame> + 'static,
{
    respond_with(SseBody::new(frames, KEEP_ALIVE))
}

/// The answer with the headers of an event stream and a body that is encoded already.
pub fn respond_with<B: MessageBody + 'static>(body: B) -> HttpResponse {
    HttpResponse::build(StatusCode::OK)
        .insert_header((
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream; charset=utf-8"),
        ))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .insert_header((ACCEL_BUFFERING, HeaderValue::from_static("no")))
        .body(body)
}
