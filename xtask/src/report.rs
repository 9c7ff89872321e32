//! Output to the terminal. A closed pipe is no error: whoever reads has seen enough.

use std::fmt::Display;
use std::io::Write;

/// One line on standard output, at once, so that it stands before the output of the next child process.
pub(crate) fn line(text: impl Display) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}")
        .and_then(|()| output.flush())
        .ok();
}

/// One line about progress, on standard error: standard output is for results.
pub(crate) fn note(text: impl Display) {
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// One or more lines on standard error.
pub(crate) fn error(text: impl Display) {
    writeln!(std::io::stderr().lock(), "error: {text}").ok();
}
