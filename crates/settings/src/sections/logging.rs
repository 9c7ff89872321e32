//! `[logging]`: what is logged and in which form.

use crate::catalogue::{choice, section};
use crate::error::SettingsError;

choice! {
    /// The form of a log line.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

section! {
    /// What is logged and in which form.
    pub struct LoggingSettings {
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`, or directives per module such as
        /// `info,majordomo_server=debug` (the syntax of `tracing`'s `EnvFilter`).
        level: String = "info".to_owned();
        /// The form of a log line.
        format: LogFormat = LogFormat::Text;
        /// The OpenTelemetry collector that is sent the spans of turns, model calls and tools, over OTLP/HTTP; none when
        /// not set. What is said is never sent.
        otlp_endpoint: Option<String> = None, example "\"http://localhost:4318\"";
    }
}

impl LoggingSettings {
    /// Checks what the types cannot. The directives themselves are parsed, and refused, where logging is set up.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        if self.level.trim().is_empty() {
            return Err(SettingsError::invalid(
                "logging.level",
                "must not be empty; `off` turns logging off",
            ));
        }
        let endpoint = self.otlp_endpoint.as_deref();
        if endpoint.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err(SettingsError::invalid(
                "logging.otlp_endpoint",
                "must begin with http:// or https://",
            ));
        }
        Ok(())
    }
}
