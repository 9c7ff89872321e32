//! Cuts a byte stream into frames. Works on bytes, so that a read may end anywhere, even within a UTF-8 character.

mod lines;
mod sse;

use lines::LineBuffer;
use sse::EventBuffer;

/// Longest frame in bytes; a longer one breaks the protocol.
pub(crate) const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// A frame is longer than [`MAX_FRAME_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameTooLong;

/// How a protocol delimits its frames.
pub(crate) enum Framing {
    /// Server-sent events; a frame is an event's data.
    Events(EventBuffer),
    /// JSON documents on a line each; a frame is a line that is not blank.
    Lines(LineBuffer),
}

impl Framing {
    pub(crate) fn events() -> Self {
        Self::Events(EventBuffer::default())
    }

    pub(crate) fn lines() -> Self {
        Self::Lines(LineBuffer::default())
    }

    /// Takes the next bytes and hands each frame that they complete to `sink`, in order; stops at its first error.
    pub(crate) fn push<E: From<FrameTooLong>>(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Events(events) => events.push(bytes, &mut sink),
            Self::Lines(lines) => lines.push(bytes, &mut |line: &[u8]| frame_of(line, &mut sink)),
        }
    }

    /// The stream has ended: hands what is left to `sink`, as senders tend to leave the last delimiter out.
    pub(crate) fn finish<E: From<FrameTooLong>>(
        &mut self,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Events(events) => events.finish(&mut sink),
            Self::Lines(lines) => lines.finish(&mut |line: &[u8]| frame_of(line, &mut sink)),
        }
    }
}

fn frame_of<E>(line: &[u8], sink: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    if line.trim_ascii().is_empty() {
        return Ok(());
    }
    sink(line)
}
