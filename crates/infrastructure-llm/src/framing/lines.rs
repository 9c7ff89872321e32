//! Lines ended by LF, CR or CR LF, from bytes that arrive in any pieces.

use super::{FrameTooLong, MAX_FRAME_BYTES};

/// Holds the line that is not yet whole. Whole lines within one read are handed on without a copy.
#[derive(Default)]
pub(crate) struct LineBuffer {
    partial: Vec<u8>,
    after_cr: bool,
}

impl LineBuffer {
    pub(crate) fn push<E: From<FrameTooLong>>(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, tail) = rest.split_at(end);
            let (ending, tail) = tail.split_at(1);
            rest = tail;
            if ending == b"\r" {
                self.after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            if self.partial.is_empty() {
                if line.len() > MAX_FRAME_BYTES {
                    return Err(FrameTooLong.into());
                }
                sink(line)?;
            } else {
                self.keep(line)?;
                let outcome = sink(&self.partial);
                self.partial.clear();
                outcome?;
            }
        }
        self.keep(rest)
    }

    pub(crate) fn finish<E: From<FrameTooLong>>(
        &mut self,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.partial.is_empty() {
            return Ok(());
        }
        let outcome = sink(&self.partial);
        self.partial.clear();
        outcome
    }

    fn keep<E: From<FrameTooLong>>(&mut self, bytes: &[u8]) -> Result<(), E> {
        if self.partial.len() + bytes.len() > MAX_FRAME_BYTES {
            return Err(FrameTooLong.into());
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}
