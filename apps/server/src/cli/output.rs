//! What the program prints: data on standard output, everything else on standard error.

use std::io::{self, Write as _};

use serde_json::{Value, json};

use super::context::CliError;

/// Prints text for people, or JSON.
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints `data` as JSON when that is asked for, else the text made of it.
    pub(super) fn data(
        &self,
        data: &Value,
        text: impl FnOnce(&Value) -> String,
    ) -> Result<(), CliError> {
        if self.json {
            self.text(&format!("{data:#}\n"))
        } else {
            self.text(&text(data))
        }
    }

    /// Prints text as it is. A reader that has gone away is no failure.
    #[expect(
        clippy::unused_self,
        reason = "whoever prints has been given the output"
    )]
    pub(super) fn text(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
            _ => Ok(()),
        }
    }

    /// A line for the person at the terminal.
    #[expect(
        clippy::unused_self,
        reason = "whoever prints has been given the output"
    )]
    pub(super) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Why the program fails.
    pub(super) fn error(&self, error: &CliError) {
        if self.json {
            let _ = writeln!(io::stderr(), "{}", json!({ "error": error.to_string() }));
        } else {
            let _ = writeln!(io::stderr(), "majordomo: {error}");
        }
    }
}

/// A member that is text; empty where it is missing or something else.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A member that is a list; empty where it is missing or something else.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Text that a terminal can show: without control characters that could move its cursor or change its state.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}
