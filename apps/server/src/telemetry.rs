//! Logging.

use majordomo_settings::{LogFormat, LoggingSettings};
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// The level cannot be read.
#[derive(Debug, Error)]
#[error("logging.level: {0}")]
pub(crate) struct LevelError(String);

/// Sends log lines to standard error from now on. Called once; a second call changes nothing.
pub(crate) fn init(settings: &LoggingSettings) -> Result<(), LevelError> {
    let filter = EnvFilter::builder()
        .parse(&settings.level)
        .map_err(|error| LevelError(error.to_string()))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Failing means that a subscriber is there already (tests start several servers in one process).
    let _ = match settings.format {
        LogFormat::Text => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}
