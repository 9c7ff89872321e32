//! Server-sent events as the HTML standard defines them; only the data of an event matters to the model protocols.

use super::lines::LineBuffer;
use super::{FrameTooLong, MAX_FRAME_BYTES};

/// Holds the event that is not yet whole.
#[derive(Default)]
pub(crate) struct EventBuffer {
    lines: LineBuffer,
    event: Event,
}

impl EventBuffer {
    pub(crate) fn push<E: From<FrameTooLong>>(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { lines, event } = self;
        lines.push(bytes, &mut |line: &[u8]| event.line(line, sink))
    }

    pub(crate) fn finish<E: From<FrameTooLong>>(
        &mut self,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { lines, event } = self;
        lines.finish(&mut |line: &[u8]| event.line(line, sink))?;
        event.line(b"", sink)
    }
}

/// The data lines of one event, joined by LF. The buffer is reused from event to event.
#[derive(Default)]
struct Event {
    data: Vec<u8>,
    has_data: bool,
    past_first_line: bool,
}

impl Event {
    fn line<E: From<FrameTooLong>>(
        &mut self,
        line: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = if self.past_first_line {
            line
        } else {
            self.past_first_line = true;
            line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
        };
        if line.is_empty() {
            if !self.has_data {
                return Ok(());
            }
            let outcome = sink(&self.data);
            self.data.clear();
            self.has_data = false;
            return outcome;
        }
        // Comments (`:`), `event`, `id` and `retry` carry nothing that the data does not say.
        let Some(value) = line.strip_prefix(b"data") else {
            return Ok(());
        };
        let value = match value.strip_prefix(b":") {
            Some(value) => value.strip_prefix(b" ").unwrap_or(value),
            None if value.is_empty() => value,
            None => return Ok(()),
        };
        if self.data.len() + value.len() > MAX_FRAME_BYTES {
            return Err(FrameTooLong.into());
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.has_data = true;
        Ok(())
    }
}
