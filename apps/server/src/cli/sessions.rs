//! `majordomo sessions`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use super::context::{CliError, Context};
use super::output::{Output, field, items, printable};
use super::private_file::PrivateFile;
use crate::client::{Client, ClientError};

/// What to do with sessions.
#[derive(Subcommand)]
pub(super) enum SessionsCommand {
    /// List sessions, last active first
    List {
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
    /// Print a session's messages
    Show {
        /// The session's id
        id: String,
        /// How many messages at most, the newest
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
    /// Find messages that hold all the words
    Search {
        /// The words
        query: String,
        /// How many sessions at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
    },
    /// Write a whole session to a file or to standard output
    Export {
        /// The session's id
        id: String,
        /// The form [default: md, with --json json]
        #[arg(long)]
        format: Option<Format>,
        /// The file, readable by its owner only [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Delete a session with all its messages
    Delete {
        /// The session's id
        id: String,
    },
}

/// The form of an export.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// JSON with all there is
    Json,
    /// Markdown for people
    Md,
}

pub(super) async fn run(
    context: Context,
    command: SessionsCommand,
    output: &Output,
) -> Result<(), CliError> {
    context
        .with_server(async |client| act(&client, command, output).await)
        .await
}

async fn act(client: &Client, command: SessionsCommand, output: &Output) -> Result<(), CliError> {
    match command {
        SessionsCommand::List { limit } => {
            let data = client
                .json(
                    Method::GET,
                    &format!("/api/v1/sessions?limit={limit}"),
                    None,
                )
                .await?;
            output.data(&data, list)
        }
        SessionsCommand::Show { id, limit } => {
            let path = format!("/api/v1/sessions/{}/history?limit={limit}", segment(&id)?);
            let data = client.json(Method::GET, &path, None).await?;
            if data.as_array().is_some_and(Vec::is_empty) {
                return Err(CliError::Other(format!("there is no session {id}")));
            }
            output.data(&data, messages)
        }
        SessionsCommand::Search { query, limit } => {
            let path = format!(
                "/api/v1/sessions/search?q={}&limit={limit}",
                percent_encode(&query)
            );
            let data = client.json(Method::GET, &path, None).await?;
            output.data(&data, matches)
        }
        SessionsCommand::Export {
            id,
            format,
            output: file,
        } => {
            let format = match format {
                Some(Format::Json) => "json",
                None if output.is_json() => "json",
                Some(Format::Md) | None => "md",
            };
            let path = format!("/api/v1/sessions/{}/export?format={format}", segment(&id)?);
            let response = client.send(Method::GET, &path, None).await?;
            let text = response
                .text()
                .await
                .map_err(|error| ClientError::Answer(error.without_url().to_string()))?;
            match file {
                Some(file) => {
                    let mut file = PrivateFile::create(&file)?;
                    file.write(&text)?;
                    file.finish()
                }
                None => output.text(&text),
            }
        }
        SessionsCommand::Delete { id } => {
            let data = client
                .json(
                    Method::DELETE,
                    &format!("/api/v1/sessions/{}", segment(&id)?),
                    None,
                )
                .await?;
            output.data(&data, |_| format!("Deleted {id}.\n"))
        }
    }
}

/// An id as a path segment; ids hold no characters that need encoding.
fn segment(id: &str) -> Result<&str, CliError> {
    match majordomo_domain::SessionId::parse(id) {
        Ok(_) => Ok(id),
        Err(error) => Err(CliError::Other(format!("the session id {error}"))),
    }
}

/// Encodes everything but unreserved characters (RFC 3986, section 2.3).
pub(super) fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn list(data: &Value) -> String {
    let sessions = items(data, "sessions");
    if sessions.is_empty() {
        return "No sessions yet.\n".to_owned();
    }
    sessions.iter().fold(String::new(), |mut text, session| {
        let (id, at) = (field(session, "id"), field(session, "last_activity"));
        let count = session
            .get("message_count")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "{id}  {at}  {count:>4} messages  {}",
            printable(field(session, "title"))
        );
        text
    })
}

fn messages(data: &Value) -> String {
    data.as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .fold(String::new(), |mut text, message| {
            let (role, at) = (field(message, "role"), field(message, "timestamp"));
            let _ = writeln!(
                text,
                "[{at}] {role}:\n{}\n",
                printable(field(message, "content"))
            );
            text
        })
}

fn matches(data: &Value) -> String {
    let sessions = items(data, "sessions");
    if sessions.is_empty() {
        return "Nothing found.\n".to_owned();
    }
    sessions.iter().fold(String::new(), |mut text, session| {
        let (id, title) = (field(session, "id"), printable(field(session, "title")));
        let _ = writeln!(
            text,
            "{id}  {title}\n    {}: {}",
            field(session, "match_role"),
            printable(field(session, "match"))
        );
        text
    })
}
