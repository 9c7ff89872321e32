//! Logging, the errors that are kept for the operator, and the spans that are sent to a collector.

mod errors;
mod otlp;

use std::io;
use std::sync::{Arc, OnceLock};

use majordomo_application::ports::ErrorLog;
use majordomo_settings::{LogFormat, LoggingSettings};
use thiserror::Error;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

pub(crate) use otlp::Exporter;

/// What decides which lines a server writes. The subscriber belongs to the whole process, and so does this. Subcommands
/// keep the level they begin with, whatever is set for the server they start for themselves.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// The level cannot be read.
#[derive(Debug, Error)]
#[error("logging.level: {0}")]
pub(crate) struct LevelError(pub(crate) String);

/// Sends log lines to standard error from now on. Called once; a second call changes nothing.
pub(crate) fn init(settings: &LoggingSettings) -> Result<(), LevelError> {
    start(settings, None, None)
}

/// As [`init`], for a server: warnings and errors of this program are kept in `errors` too, whatever the level of the log
/// lines, and the agent's spans are sent to the collector, if one is configured, for as long as the exporter lives.
pub(crate) fn init_server(
    settings: &LoggingSettings,
    errors: Arc<dyn ErrorLog>,
) -> Result<Option<Exporter>, LevelError> {
    let endpoint = settings.otlp_endpoint.as_deref();
    let exporter: io::Result<_> = endpoint.map(Exporter::start).transpose();
    let (exporter, failure) = match exporter {
        Ok(exporter) => (exporter, None),
        Err(error) => (None, Some(error)),
    };
    start(settings, Some(errors), exporter.as_ref())?;
    if let Some(error) = failure {
        // The server can do its work without.
        let error = &error as &dyn std::error::Error;
        tracing::error!(error, "spans cannot be sent to the OpenTelemetry collector");
    }
    Ok(exporter)
}

/// Whether a level can be read.
pub(crate) fn check_level(level: &str) -> Result<(), LevelError> {
    filter(level).map(|_| ())
}

/// Writes the lines of another level from now on.
pub(crate) fn set_level(level: &str) -> Result<(), LevelError> {
    let filter = filter(level)?;
    // Where logging was never begun, or by somebody else, there is nothing to change.
    if let Some(Err(error)) = FILTER.get().map(|handle| handle.reload(filter)) {
        return Err(LevelError(error.to_string()));
    }
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, LevelError> {
    let parsed = EnvFilter::builder().parse(level);
    parsed.map_err(|error| LevelError(error.to_string()))
}

fn start(
    settings: &LoggingSettings,
    errors: Option<Arc<dyn ErrorLog>>,
    exporter: Option<&Exporter>,
) -> Result<(), LevelError> {
    let (filter, handle) = reload::Layer::new(filter(&settings.level)?);
    let is_server = errors.is_some();
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.format {
        LogFormat::Text => lines
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    let begun = tracing_subscriber::registry()
        .with(lines)
        .with(errors.map(errors::layer))
        .with(exporter.map(Exporter::layer))
        .try_init();
    // Failing means that a subscriber is there already (tests start several servers in one process).
    if begun.is_ok() && is_server {
        let _ = FILTER.set(handle);
    }
    Ok(())
}
