//! `majordomo keys`.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::context::{CliError, Context};
use super::output::{Output, field, items, printable};
use crate::client::Client;

/// What to do with API keys.
#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key; it is shown once
    Create(Box<NewKey>),
    /// Replace a key by a new one with the same name, scopes, limits and budgets; it is shown once
    Rotate {
        /// The key's id, as `keys list` shows it
        id: String,
        /// How long the old key goes on working, a week at most
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        overlap: u32,
    },
    /// List keys, revoked ones included
    List,
    /// Revoke a key
    Revoke {
        /// The key's id, as `keys list` shows it
        id: String,
    },
}

/// A key to make.
#[derive(Args)]
pub(super) struct NewKey {
    /// What you call it
    name: String,
    /// What it may do: chat, sessions, settings:read, settings:write, channels, memory, admin, kits, files:read,
    /// files:write, metrics, skills, automation
    #[arg(long, value_delimiter = ',', default_values = ["chat", "sessions"])]
    scopes: Vec<String>,
    /// When it stops working, as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Where its requests must come from, as addresses or CIDR ranges
    #[arg(long, value_name = "RANGES", value_delimiter = ',')]
    addresses: Vec<String>,
    /// The models it may ask, as PROVIDER/MODEL, PROVIDER/* or MODEL
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    models: Vec<String>,
    /// How many requests it may send a minute
    #[arg(long, value_name = "NUMBER")]
    requests_per_minute: Option<NonZeroU32>,
    /// Most US dollars a day, by the prices of the settings
    #[arg(long, value_name = "DOLLARS")]
    daily_usd: Option<f64>,
    /// Most tokens a day, read and written
    #[arg(long, value_name = "NUMBER")]
    daily_tokens: Option<u64>,
    /// Most US dollars a month, by the prices of the settings
    #[arg(long, value_name = "DOLLARS")]
    monthly_usd: Option<f64>,
    /// Most tokens a month, read and written
    #[arg(long, value_name = "NUMBER")]
    monthly_tokens: Option<u64>,
}

impl NewKey {
    fn body(&self) -> Value {
        let limit = |usd: Option<f64>, tokens: Option<u64>| {
            let given = usd.is_some() || tokens.is_some();
            given.then(|| json!({ "max_usd": usd, "max_tokens": tokens }))
        };
        json!({
            "name": self.name,
            "scopes": self.scopes,
            "expires_at": self.expires_at,
            "allowed_addresses": self.addresses,
            "allowed_models": self.models,
            "requests_per_minute": self.requests_per_minute,
            "budget": {
                "day": limit(self.daily_usd, self.daily_tokens),
                "month": limit(self.monthly_usd, self.monthly_tokens),
            },
        })
    }
}

pub(super) async fn run(
    context: Context,
    command: KeysCommand,
    output: &Output,
) -> Result<(), CliError> {
    context
        .with_server(async |client| act(&client, command, output).await)
        .await
}

async fn act(client: &Client, command: KeysCommand, output: &Output) -> Result<(), CliError> {
    const PATH: &str = "/api/v1/auth/api-keys";
    match command {
        KeysCommand::Create(key) => {
            let data = client.json(Method::POST, PATH, Some(&key.body())).await?;
            show(&data, output)
        }
        KeysCommand::Rotate { id, overlap } => {
            check(&id)?;
            let path = format!("{PATH}/{id}/rotate?overlap_seconds={overlap}");
            let data = client.json(Method::POST, &path, None).await?;
            show(&data, output)
        }
        KeysCommand::List => {
            let data = client.json(Method::GET, PATH, None).await?;
            output.data(&data, list)
        }
        KeysCommand::Revoke { id } => {
            check(&id)?;
            let data = client
                .json(Method::DELETE, &format!("{PATH}/{id}"), None)
                .await?;
            output.data(&data, |_| format!("Revoked {id}.\n"))
        }
    }
}

fn check(id: &str) -> Result<(), CliError> {
    majordomo_domain::ApiKeyId::parse(id)
        .map_err(|error| CliError::Other(format!("the key id {error}")))?;
    Ok(())
}

/// Shows a key, this once.
fn show(data: &Value, output: &Output) -> Result<(), CliError> {
    output.data(data, |data| format!("{}\n", field(data, "key")))?;
    if !output.is_json() {
        output.note("Keep it: it is not shown again.");
    }
    Ok(())
}

fn list(data: &Value) -> String {
    let keys = data.as_array().map(Vec::as_slice).unwrap_or_default();
    if keys.is_empty() {
        return "No keys yet.\n".to_owned();
    }
    keys.iter().fold(String::new(), |mut text, key| {
        let scopes: Vec<&str> = items(key, "scopes")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let revoked = key
            .get("revoked")
            .and_then(Value::as_bool)
            .unwrap_or_default();
        let state = if revoked { "revoked" } else { "active" };
        let used = match field(key, "last_used_at") {
            "" => "never",
            at => at,
        };
        let _ = writeln!(
            text,
            "{}  {}...  {state:7}  used {}  {}  {}",
            field(key, "id"),
            field(key, "prefix"),
            used,
            scopes.join(","),
            printable(field(key, "name")),
        );
        text
    })
}
