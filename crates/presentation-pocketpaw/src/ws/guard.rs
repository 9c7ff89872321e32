//! Refuses frames that are too long while they arrive. The codec behind it would first gather them whole, in memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;

/// Longest head of a frame up to the end of its length: two bytes and eight of extended length (RFC 6455, 5.2).
const MAX_HEAD: usize = 10;
/// Bytes of the mask, which stand between the length and the payload.
const MASK: u64 = 4;

/// What a client sends, passed on as it is until a frame says that it is longer than allowed.
pub(super) struct FrameGuard {
    payload: Payload,
    max: u64,
    head: [u8; MAX_HEAD],
    filled: usize,
    /// Bytes of the frame that are still to come.
    rest: u64,
}

impl FrameGuard {
    /// Lets frames of up to `max` bytes pass.
    pub(super) fn new(payload: Payload, max: usize) -> Self {
        Self {
            payload,
            max: u64::try_from(max).unwrap_or(u64::MAX),
            head: [0; MAX_HEAD],
            filled: 0,
            rest: 0,
        }
    }

    /// Whether every frame that begins in `bytes` is short enough.
    fn allows(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            let skipped =
                usize::try_from(self.rest).map_or(bytes.len(), |rest| rest.min(bytes.len()));
            self.rest -= u64::try_from(skipped).unwrap_or(self.rest);
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((&byte, after)) = bytes.split_first() else {
                return true;
            };
            bytes = after;
            if let Some(place) = self.head.get_mut(self.filled) {
                *place = byte;
                self.filled += 1;
            }
            if let Some(length) = self.length() {
                if length > self.max {
                    return false;
                }
                let masked = self.head.get(1).is_some_and(|byte| byte & 0x80 != 0);
                self.rest = length + if masked { MASK } else { 0 };
                self.filled = 0;
            }
        }
    }

    /// The payload's length, once the head is complete.
    fn length(&self) -> Option<u64> {
        let (first, extended) = self.head.get(1..self.filled)?.split_first()?;
        let wanted = match first & 0x7f {
            126 => 2,
            127 => 8,
            short => return Some(u64::from(short)),
        };
        let length = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        (extended.len() == wanted).then(|| length(extended))
    }
}

impl Stream for FrameGuard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let bytes = ready!(Pin::new(&mut this.payload).poll_next(context));
        Poll::Ready(bytes.map(|bytes| {
            let bytes = bytes?;
            if this.allows(&bytes) {
                Ok(bytes)
            } else {
                Err(PayloadError::Overflow)
            }
        }))
    }
}
