//! How far a long job is: a line on standard error that is written again and again, where that is a terminal.

use std::io::{self, IsTerminal as _, Read, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Between two writings of the line.
const PAUSE: Duration = Duration::from_millis(200);
/// Width of the bar, in characters.
const WIDTH: u64 = 24;

/// Bytes read so far, shared by who reads and who shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<AtomicU64>);

impl Meter {
    /// So many.
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A reader that counts.
pub(super) struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl<R> Metered<R> {
    pub(super) const fn new(inner: R, meter: Meter) -> Self {
        Self { inner, meter }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.meter.0.fetch_add(bytes, Ordering::Relaxed);
        Ok(read)
    }
}

/// The line.
pub(super) struct Progress {
    shown: bool,
    begin: Instant,
    last: Option<Instant>,
}

impl Progress {
    /// A line, where standard error is a terminal.
    pub(super) fn new() -> Self {
        Self {
            shown: io::stderr().is_terminal(),
            begin: Instant::now(),
            last: None,
        }
    }

    /// Things done in a second so far.
    pub(super) fn rate(&self, done: u64) -> u64 {
        let millis = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        done.saturating_mul(1000) / millis.max(1)
    }

    /// Shows that `done` things are done, and how much of the whole that is, in bytes, where it is known.
    pub(super) fn show(&mut self, done: u64, what: &str, part: Option<(u64, u64)>) {
        let due = self.last.is_none_or(|last| last.elapsed() >= PAUSE);
        if self.shown && due {
            self.last = Some(Instant::now());
            let rate = self.rate(done);
            let bar = part.map_or_else(String::new, |(read, whole)| bar(read, whole));
            let _ = write!(io::stderr(), "\r\x1b[K{bar}{done} {what}, {rate}/s");
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if self.last.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `[=======>        ]  31 %  `
fn bar(read: u64, whole: u64) -> String {
    let part = |of: u64| read.min(whole).saturating_mul(of) / whole.max(1);
    let full = usize::try_from(part(WIDTH)).unwrap_or_default();
    let empty = usize::try_from(WIDTH).unwrap_or_default() - full;
    format!(
        "[{}{}] {:>3} %  ",
        "=".repeat(full),
        " ".repeat(empty),
        part(100)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_to_its_end() {
        assert_eq!(bar(0, 10), format!("[{}]   0 %  ", " ".repeat(24)));
        assert_eq!(
            bar(5, 10),
            format!("[{}{}]  50 %  ", "=".repeat(12), " ".repeat(12))
        );
        assert_eq!(bar(11, 10), format!("[{}] 100 %  ", "=".repeat(24)));
        assert_eq!(bar(0, 0), format!("[{}]   0 %  ", " ".repeat(24)));
    }

    #[test]
    fn what_is_read_is_counted() {
        let meter = Meter::default();
        let mut text = String::new();
        Metered::new(&b"abc"[..], meter.clone())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!((text.as_str(), meter.bytes()), ("abc", 3));
    }
}
