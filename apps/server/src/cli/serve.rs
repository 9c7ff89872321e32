//! `majordomo serve`.

use std::net::{IpAddr, ToSocketAddrs as _};
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
        hosts: args.host.as_deref().map(addresses_of).transpose()?,
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

/// An address itself, or the addresses of a name.
fn addresses_of(host: &str) -> Result<Vec<IpAddr>, CliError> {
    let found = (host, 0)
        .to_socket_addrs()
        .map_err(|source| CliError::Host {
            host: host.to_owned(),
            source,
        })?;
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    Ok(addresses)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_names_that_have_some() {
        let any = vec!["0.0.0.0".parse::<IpAddr>().unwrap()];
        assert_eq!(addresses_of("0.0.0.0").unwrap(), any);
        let local = addresses_of("localhost").unwrap();
        assert!(!local.is_empty() && local.iter().all(IpAddr::is_loopback));
        let unknown = addresses_of("no such host").unwrap_err();
        assert!(unknown.to_string().contains("no such host"), "{unknown}");
    }
}
