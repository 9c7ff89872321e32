//! `majordomo keys`.

use std::fmt::Write as _;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::context::{CliError, Context};
use super::output::{Output, field, items, printable};
use crate::client::Client;

/// What to do with API keys.
#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key; it is shown once
    Create {
        /// What you call it
        name: String,
        /// What it may do: chat, sessions, settings:read, settings:write, channels, memory, admin, kits, files:read,
        /// files:write, metrics, skills, automation
        #[arg(long, value_delimiter = ',', default_values = ["chat", "sessions"])]
        scopes: Vec<String>,
        /// When it stops working, as 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// List keys, revoked ones included
    List,
    /// Revoke a key
    Revoke {
        /// The key's id, as `keys list` shows it
        id: String,
    },
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
        KeysCommand::Create {
            name,
            scopes,
            expires_at,
        } => {
            let body = json!({ "name": name, "scopes": scopes, "expires_at": expires_at });
            let data = client.json(Method::POST, PATH, Some(&body)).await?;
            output.data(&data, |data| format!("{}\n", field(data, "key")))?;
            if !output.is_json() {
                output.note("Keep it: it is not shown again.");
            }
            Ok(())
        }
        KeysCommand::List => {
            let data = client.json(Method::GET, PATH, None).await?;
            output.data(&data, list)
        }
        KeysCommand::Revoke { id } => {
            majordomo_domain::ApiKeyId::parse(id.as_str())
                .map_err(|error| CliError::Other(format!("the key id {error}")))?;
            let data = client
                .json(Method::DELETE, &format!("{PATH}/{id}"), None)
                .await?;
            output.data(&data, |_| format!("Revoked {id}.\n"))
        }
    }
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
