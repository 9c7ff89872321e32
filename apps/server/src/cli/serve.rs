//! `majordomo serve`.

use std::time::Duration;

use majordomo_settings::Overrides;
use tokio::signal::unix::{SignalKind, signal};

use super::context::{CliError, load_settings, runtime};
use super::output::Output;
use super::{Global, ServeArgs};
use crate::startup::Application;
use crate::{telemetry, wiring};

pub(super) fn run(global: &Global, args: &ServeArgs, output: &Output) -> Result<(), CliError> {
    let overrides = Overrides {
        host: args.host,
        port: args.port,
        data_dir: None,
    };
    let context = load_settings(global, overrides)?;
    let errors = wiring::error_log(&context.data_dir);
    // Dropped last: then the spans of the last turns are sent.
    let _exporter = telemetry::init_server(&context.settings.logging, errors.clone())?;
    let patience = Duration::from_secs(context.settings.server.shutdown_timeout_secs);
    let runtime = runtime()?;
    runtime.block_on(async {
        // Ready before the first byte is served, so that no signal is missed.
        let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Runtime)?;
        let mut application =
            Application::start(context.settings, context.layers, &context.data_dir, errors).await?;
        greet(&application, output);
        let result = tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            result = application.failed() => result.map_err(CliError::from),
        };
        output.note("Stopping.");
        application.stop(patience).await;
        result
    })?;
    runtime.shutdown_timeout(patience);
    Ok(())
}

fn greet(application: &Application, output: &Output) {
    for address in application.addresses() {
        output.note(&format!("Majordomo listens on http://{address}"));
    }
    output.note(&format!("  answers with  {}", application.model()));
    output.note(&format!("  stores in     {}", application.database()));
    output.note(&format!(
        "  access token  {}",
        application.token_file().display()
    ));
    output.note(&format!(
        "  API documents http://{}/api/v1/docs",
        application.address()
    ));
}
