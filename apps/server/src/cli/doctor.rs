//! `majordomo doctor`.

mod finding;
mod proxy;

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use majordomo_domain::CheckSeverity;
use majordomo_settings::{Overrides, Settings};
use reqwest::Method;
use serde_json::Value;

use super::Global;
use super::context::{CliError, Context, load_settings, runtime};
use super::output::Output;
use crate::telemetry;
use crate::wiring;
use finding::Finding;

/// Longest wait for a model provider.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);

/// What is to be examined: this installation, unless something else is named.
#[derive(Args)]
pub(super) struct DoctorArgs {
    #[command(subcommand)]
    subject: Option<Subject>,
}

#[derive(Subcommand)]
enum Subject {
    /// Ask the server through its reverse proxies and explain every hop: addresses, HTTPS, paths, streams, sockets
    Proxy(proxy::ProxyArgs),
}

pub(super) fn run(global: &Global, args: DoctorArgs, output: &Output) -> Result<(), CliError> {
    let findings = match args.subject {
        Some(Subject::Proxy(args)) => Context::load(global)?
            .block_on(async |context| proxy::examine(&context, &args).await)?,
        None => examine_installation(global)?,
    };
    finding::report(&findings, output)
}

fn examine_installation(global: &Global) -> Result<Vec<Finding>, CliError> {
    match load_settings(global, Overrides::default()) {
        Err(CliError::Settings(error)) => Ok(vec![Finding::misconfigured(
            "settings",
            error.to_string(),
            "mend the key named; see docs/configuration.md",
        )]),
        Err(error) => Err(error),
        Ok(mut context) => {
            "off".clone_into(&mut context.settings.logging.level);
            telemetry::init(&context.settings.logging)?;
            Ok(runtime()?.block_on(examine(&context)))
        }
    }
}

async fn examine(context: &Context) -> Vec<Finding> {
    let settings = &context.settings;
    let mut findings = vec![
        Finding::good("settings", "readable and complete"),
        data_dir(&context.data_dir),
        database(settings, &context.data_dir).await,
    ];
    findings.extend(security(context).await);
    findings.push(server(context).await);
    findings.extend(models(settings).await);
    findings.extend(embedding(context).await);
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

/// How safely the server is set up: the checks of the daily self-audit that need no running server.
async fn security(context: &Context) -> Vec<Finding> {
    let (settings, data_dir) = (&context.settings, &context.data_dir);
    let mut results = Vec::new();
    for check in wiring::offline_checks(settings, data_dir).await {
        results.extend(check.examine().await);
    }
    let passed = results.iter().filter(|result| result.passed).count();
    let mut findings = vec![Finding::good(
        "security",
        format!("{passed} of {} checks passed", results.len()),
    )];
    for result in results {
        let Some(remedy) = result.remedy.filter(|_| !result.passed) else {
            continue;
        };
        let says = format!("{}: {}", result.check, result.message);
        findings.push(if result.severity == CheckSeverity::Critical {
            Finding::bad("security", says, remedy)
        } else {
            Finding::hint("security", says, remedy)
        });
    }
    findings
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
            return vec![Finding::misconfigured(
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

/// How far the embedding model of the memory has come, where there is one and a server that asks it.
async fn embedding(context: &Context) -> Option<Finding> {
    context.settings.memory.embedder.as_ref()?;
    let client = context.running().await?;
    let stats = match client.json(Method::GET, "/v1/memories/stats", None).await {
        Ok(stats) => stats,
        Err(error) => {
            return Some(Finding::bad(
                "memory",
                error.to_string(),
                "see the line about the server",
            ));
        }
    };
    let number = |place: &str| {
        let value = stats.pointer(place);
        value.and_then(Value::as_u64).unwrap_or_default()
    };
    let text = |place: &str| stats.pointer(place).and_then(Value::as_str);
    let model = text("/embedding/model").unwrap_or_default();
    if let Some(error) = text("/embedding/error") {
        return Some(Finding::bad(
            "memory",
            format!("{model}: {error}"),
            "check [memory] and the provider of the embedding model",
        ));
    }
    let (embedded, total) = (number("/embedding/memories"), number("/total"));
    Some(Finding::good(
        "memory",
        format!("{model} has embedded {embedded} of your {total} memories"),
    ))
}
