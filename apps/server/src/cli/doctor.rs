//! `majordomo doctor`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use majordomo_settings::{Overrides, Settings};
use reqwest::Method;
use serde_json::{Value, json};

use super::Global;
use super::context::{CliError, Context, load_settings, runtime};
use super::output::Output;
use crate::telemetry;
use crate::wiring;

/// Longest wait for a model provider.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);

/// How a finding stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Hint,
    Bad,
}

/// One thing that was looked at.
struct Finding {
    subject: &'static str,
    state: State,
    says: String,
    remedy: Option<String>,
}

impl Finding {
    fn good(subject: &'static str, says: impl Into<String>) -> Self {
        Self {
            subject,
            state: State::Good,
            says: says.into(),
            remedy: None,
        }
    }

    fn hint(subject: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            subject,
            state: State::Hint,
            says: says.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn bad(subject: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            subject,
            state: State::Bad,
            says: says.into(),
            remedy: Some(remedy.into()),
        }
    }
}

pub(super) fn run(global: &Global, output: &Output) -> Result<(), CliError> {
    let findings = match load_settings(global, Overrides::default()) {
        Err(CliError::Settings(error)) => {
            vec![Finding::bad(
                "settings",
                error.to_string(),
                "mend the key named; see docs/configuration.md",
            )]
        }
        Err(error) => return Err(error),
        Ok(mut context) => {
            "off".clone_into(&mut context.settings.logging.level);
            telemetry::init(&context.settings.logging)?;
            runtime()?.block_on(examine(&context))
        }
    };
    let data = json!({ "findings": findings.iter().map(to_json).collect::<Vec<_>>() });
    output.data(&data, |_| findings.iter().map(to_text).collect())?;
    let bad = findings
        .iter()
        .filter(|finding| finding.state == State::Bad)
        .count();
    if bad == 0 {
        Ok(())
    } else {
        Err(CliError::Other(format!("{bad} thing(s) to mend")))
    }
}

fn to_json(finding: &Finding) -> Value {
    let state = match finding.state {
        State::Good => "ok",
        State::Hint => "hint",
        State::Bad => "error",
    };
    json!({ "subject": finding.subject, "state": state, "message": finding.says, "remedy": finding.remedy })
}

fn to_text(finding: &Finding) -> String {
    let mark = match finding.state {
        State::Good => "ok   ",
        State::Hint => "hint ",
        State::Bad => "ERROR",
    };
    let mut text = format!("{mark} {:<10} {}\n", finding.subject, finding.says);
    if let Some(remedy) = &finding.remedy {
        let _ = writeln!(text, "      {:<10} -> {remedy}", "");
    }
    text
}

async fn examine(context: &Context) -> Vec<Finding> {
    let settings = &context.settings;
    let mut findings = vec![
        Finding::good("settings", "readable and complete"),
        data_dir(&context.data_dir),
        database(settings, &context.data_dir).await,
    ];
    findings.extend(exposure(settings));
    findings.push(server(context).await);
    findings.extend(models(settings).await);
    findings
}

fn data_dir(path: &Path) -> Finding {
    match majordomo_infrastructure_system::prepare_data_dir(path) {
        Ok(()) => Finding::good("data", format!("{} is writable", path.display())),
        Err(error) => Finding::bad(
            "data",
            error.to_string(),
            "name another folder with --data-dir",
        ),
    }
}

async fn database(settings: &Settings, data_dir: &Path) -> Finding {
    let name = wiring::describe_database(settings, data_dir);
    match wiring::pending_migrations(settings, data_dir).await {
        Ok(pending) if pending.is_empty() => {
            Finding::good("database", format!("{name} is up to date"))
        }
        Ok(pending) => Finding::hint(
            "database",
            format!("{name} lacks {} migration(s)", pending.len()),
            "the next start applies them, or `majordomo migrate`",
        ),
        Err(error) => Finding::bad(
            "database",
            error.to_string(),
            "mend the cause, or set database.url",
        ),
    }
}

/// Whether others can reach the server, and what that asks for.
fn exposure(settings: &Settings) -> Option<Finding> {
    let server = &settings.server;
    let open = server
        .listen
        .iter()
        .any(|address| !address.ip().is_loopback());
    if open && server.public_url.is_none() {
        return Some(Finding::hint(
            "network",
            "listens beyond this machine without TLS",
            "put a reverse proxy in front and set server.public_url and server.trusted_proxies (docs/deploy)",
        ));
    }
    (server.public_url.is_some() && server.trusted_proxies.is_empty()).then(|| {
        Finding::hint(
            "network",
            "public_url is set but no trusted proxy: every client shares the proxy's address and rate limit",
            "set server.trusted_proxies to the proxy's address",
        )
    })
}

async fn server(context: &Context) -> Finding {
    let Some(client) = context.running().await else {
        return Finding::hint(
            "server",
            "does not run on this data folder",
            "start it with `majordomo serve`",
        );
    };
    match client.json(Method::GET, "/ready", None).await {
        Ok(_) => Finding::good(
            "server",
            format!("answers at {} and is ready", client.base()),
        ),
        Err(error) => Finding::bad(
            "server",
            format!("answers at {} but is not ready: {error}", client.base()),
            "see the lines about models and database",
        ),
    }
}

async fn models(settings: &Settings) -> Vec<Finding> {
    let registry = match wiring::models(settings).await {
        Ok(registry) => registry,
        Err(error) => {
            return vec![Finding::bad(
                "models",
                error.to_string(),
                "mend [[models.providers]]",
            )];
        }
    };
    let mut findings = Vec::new();
    for provider in registry.providers() {
        if provider.name == wiring::BUILTIN_PROVIDER {
            continue;
        }
        let answer = tokio::time::timeout(PROVIDER_TIMEOUT, provider.model.models()).await;
        findings.push(match answer {
            Ok(Ok(models)) => Finding::good(
                "models",
                format!("{} answers, {} models", provider.name, models.len()),
            ),
            Ok(Err(error)) => Finding::bad(
                "models",
                error.message,
                "check base_url, api_key and that the provider runs",
            ),
            Err(_) => Finding::bad(
                "models",
                format!("{} does not answer", provider.name),
                "check base_url",
            ),
        });
    }
    let default = registry.default_model();
    findings.push(if default.provider == wiring::BUILTIN_PROVIDER {
        Finding::hint(
            "models",
            "no model is configured; the built-in assistant answers",
            "set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, start Ollama, or add [[models.providers]]",
        )
    } else {
        Finding::good("models", format!("{default} answers by default"))
    });
    findings
}
