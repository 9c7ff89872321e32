//! `majordomo memory export`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::markdown;
use super::progress::Progress;
use crate::cli::context::CliError;
use crate::cli::output::{Output, field, items};
use crate::cli::private_file::PrivateFile;
use crate::client::Client;

/// What is exported, and where to.
#[derive(Args)]
pub(in crate::cli) struct ExportArgs {
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// The file, readable by its owner only [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The form of an export.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A memory on each line, in JSON, with all that is known of it
    Jsonl,
    /// Content, time and tags for people, as PocketPaw's MEMORY.md
    Markdown,
}

/// Where the text goes.
enum Target<'a> {
    Standard(&'a Output),
    File(PrivateFile),
}

impl<'a> Target<'a> {
    fn open(file: Option<&Path>, output: &'a Output) -> Result<Self, CliError> {
        Ok(match file {
            Some(path) => Self::File(PrivateFile::create(path)?),
            None => Self::Standard(output),
        })
    }

    fn write(&mut self, text: &str) -> Result<(), CliError> {
        match self {
            Self::Standard(output) => output.text(text),
            Self::File(file) => file.write(text),
        }
    }

    fn finish(self) -> Result<(), CliError> {
        match self {
            Self::Standard(_) => Ok(()),
            Self::File(file) => file.finish(),
        }
    }
}

pub(super) async fn run(
    client: &Client,
    args: ExportArgs,
    output: &Output,
) -> Result<(), CliError> {
    let mut target = Target::open(args.output.as_deref(), output)?;
    let mut progress = Progress::new();
    // What is changed while it is read is given again.
    let mut written: HashSet<String> = HashSet::new();
    let mut after = Some(0);
    if args.format == Format::Markdown {
        target.write("# Memory\n\n")?;
    }
    while let Some(from) = after {
        let path = format!("/v1/memories/export?after={from}");
        let page = client.json_in_turn(Method::GET, &path, None).await?;
        for memory in items(&page, "memories") {
            if written.insert(field(memory, "id").to_owned()) {
                target.write(&match args.format {
                    Format::Jsonl => format!("{memory}\n"),
                    Format::Markdown => markdown::section(memory),
                })?;
            }
        }
        after = page.get("next").and_then(Value::as_u64);
        if args.output.is_some() {
            let done = u64::try_from(written.len()).unwrap_or(u64::MAX);
            progress.show(done, "memories", None);
        }
    }
    progress.clear();
    target.finish()?;
    match args.output {
        None => Ok(()),
        Some(file) => {
            let (count, file) = (written.len(), file.display());
            let data = json!({ "exported": count });
            output.data(&data, |_| format!("Wrote {count} memories to {file}.\n"))
        }
    }
}
