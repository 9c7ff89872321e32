//! Logging, and the errors that are kept for the operator.

mod errors;

use std::sync::Arc;

use majordomo_application::ports::ErrorLog;
use majordomo_settings::{LogFormat, LoggingSettings};
use thiserror::Error;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

/// The level cannot be read.
#[derive(Debug, Error)]
#[error("logging.level: {0}")]
pub(crate) struct LevelError(String);

/// Sends log lines to standard error from now on. Called once; a second call changes nothing.
pub(crate) fn init(settings: &LoggingSettings) -> Result<(), LevelError> {
    start(settings, None)
}

/// As [`init`]; warnings and errors of this program are kept in `errors` too, whatever the level of the log lines.
pub(crate) fn init_keeping(
    settings: &LoggingSettings,
    errors: Arc<dyn ErrorLog>,
) -> Result<(), LevelError> {
    start(settings, Some(errors))
}

fn start(settings: &LoggingSettings, errors: Option<Arc<dyn ErrorLog>>) -> Result<(), LevelError> {
    let filter = EnvFilter::builder()
        .parse(&settings.level)
        .map_err(|error| LevelError(error.to_string()))?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.format {
        LogFormat::Text => lines
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    let kept = errors.map(errors::layer);
    // Failing means that a subscriber is there already (tests start several servers in one process).
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(kept)
        .try_init();
    Ok(())
}
