//! `majordomo memory`.

mod chatgpt;
mod claude;
mod conversation;
mod entry;
mod export;
mod import;
mod markdown;
mod progress;
mod reading;
mod sending;
mod source;
mod text;

use clap::{Args, Subcommand, ValueEnum};
use majordomo_domain::{Memory, MemoryId, MemoryKind};
use reqwest::Method;
use serde_json::{Value, json};

use super::context::{CliError, Context};
use super::output::Output;
use crate::client::Client;

const PATH: &str = "/v1/memories";

/// What to do with memories.
#[derive(Subcommand)]
pub(super) enum MemoryCommand {
    /// Remember something; what says nearly the same as a memory is merged into it
    Add(NewArgs),
    /// Find memories and messages that answer a question
    Search {
        /// The question, or words; times such as "last May" count
        query: String,
        /// How many at most
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// Only memories, no messages
        #[arg(long)]
        memories_only: bool,
    },
    /// List memories, the most important first
    List {
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// After leaving out so many
        #[arg(long, default_value_t = 0)]
        offset: u32,
        /// Only this type
        #[arg(long = "type", value_enum, value_name = "TYPE")]
        kind: Option<Kind>,
    },
    /// Forget memories
    Forget {
        /// Their ids, as `list` and `search` show them
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Count memories by type
    Stats,
    /// Store what a file holds: memories, or the conversations of a ChatGPT or Claude export
    ///
    /// Importing a file again stores only what is not there, so an import that was interrupted is finished by repeating
    /// it. What cannot be read is named, and does not keep the rest from being stored.
    Import(import::ImportArgs),
    /// Write all memories to a file or to standard output
    Export(export::ExportArgs),
    /// Find memories that repeat others, are stale or have lost their origin; changes nothing
    Audit {
        /// How many of each sort are named at most; all are counted
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Stale is what was neither changed nor found for so many days
        #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        stale_days: u32,
    },
}

/// Something to remember.
#[derive(Args)]
pub(super) struct NewArgs {
    /// All of it
    content: String,
    /// It in one line [default: its beginning]
    #[arg(long)]
    summary: Option<String>,
    /// What kind of thing it is
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value_t = Kind::Fact)]
    kind: Kind,
    /// How much it matters, 0.0 to 1.0 [default: 0.5]
    #[arg(long, value_name = "NUMBER")]
    importance: Option<f64>,
    /// A word to sort it by; may be given several times
    #[arg(long = "tag", value_name = "WORD")]
    tags: Vec<String>,
}

/// What kind of thing is remembered.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Something that is so
    Fact,
    /// What the user likes or wants
    Preference,
    /// What a tool found out
    ToolResult,
    /// What the user put right
    Correction,
    /// What was said
    Context,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fact => MemoryKind::Fact,
            Self::Preference => MemoryKind::Preference,
            Self::ToolResult => MemoryKind::ToolResult,
            Self::Correction => MemoryKind::Correction,
            Self::Context => MemoryKind::Context,
        }
        .as_str()
    }
}

pub(super) async fn run(
    context: Context,
    command: MemoryCommand,
    output: &Output,
) -> Result<(), CliError> {
    let work = async |client: Client| act(&client, command, output).await;
    context.with_server(work).await
}

async fn act(client: &Client, command: MemoryCommand, output: &Output) -> Result<(), CliError> {
    match command {
        MemoryCommand::Add(new) => add(client, &new, output).await,
        MemoryCommand::Search {
            query,
            limit,
            memories_only,
        } => {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("q", &query)
                .append_pair("limit", &limit.to_string())
                .append_pair("turns", if memories_only { "false" } else { "true" })
                .finish();
            let path = format!("{PATH}/search?{query}");
            let data = client.json(Method::GET, &path, None).await?;
            output.data(&data, text::hits)
        }
        MemoryCommand::List {
            limit,
            offset,
            kind,
        } => {
            let kind = kind.map_or_else(String::new, |kind| format!("&type={}", kind.as_str()));
            let path = format!("{PATH}?limit={limit}&offset={offset}{kind}");
            let data = client.json(Method::GET, &path, None).await?;
            output.data(&data, text::memories)
        }
        MemoryCommand::Forget { ids } => forget(client, &ids, output).await,
        MemoryCommand::Stats => {
            let path = format!("{PATH}/stats");
            let data = client.json(Method::GET, &path, None).await?;
            output.data(&data, text::stats)
        }
        MemoryCommand::Import(args) => import::run(client, args, output).await,
        MemoryCommand::Export(args) => export::run(client, args, output).await,
        MemoryCommand::Audit { limit, stale_days } => {
            let path = format!("{PATH}/audit?limit={limit}&stale_days={stale_days}");
            let data = client.json(Method::GET, &path, None).await?;
            output.data(&data, text::audit)
        }
    }
}

async fn add(client: &Client, new: &NewArgs, output: &Output) -> Result<(), CliError> {
    let summary = new
        .summary
        .clone()
        .unwrap_or_else(|| Memory::summarize(&new.content));
    let body = json!({
        "content": new.content,
        "summary": summary,
        "memory_type": new.kind.as_str(),
        "importance": new.importance,
        "tags": new.tags,
    });
    let data = client.json(Method::POST, PATH, Some(&body)).await?;
    output.data(&data, text::added)
}

async fn forget(client: &Client, ids: &[String], output: &Output) -> Result<(), CliError> {
    for id in ids {
        MemoryId::parse(id.as_str())
            .map_err(|error| CliError::Other(format!("the memory id {error}: {id:?}")))?;
    }
    for id in ids {
        let path = format!("{PATH}/{id}");
        client
            .send_in_turn(Method::DELETE, &path, None)
            .await
            .map_err(|error| CliError::Other(format!("{id}: {error}")))?;
    }
    let data: Value = json!({ "forgotten": ids });
    output.data(&data, |_| format!("Forgot {}.\n", ids.join(", ")))
}
