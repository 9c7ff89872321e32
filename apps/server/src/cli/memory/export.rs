//! `majordomo memory export`.

use std::collections::HashSet;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::markdown;
use super::progress::Progress;
use crate::cli::context::CliError;
use crate::cli::output::{Output, field, items};
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
    /// A file beside the one that is wanted, which takes its place in the end.
    File(BufWriter<NamedTempFile>, &'a Path),
}

impl<'a> Target<'a> {
    fn open(file: Option<&'a Path>, output: &'a Output) -> Result<Self, CliError> {
        let Some(path) = file else {
            return Ok(Self::Standard(output));
        };
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        Ok(Self::File(
            BufWriter::new(file.map_err(CliError::Output)?),
            path,
        ))
    }

    fn write(&mut self, text: &str) -> Result<(), CliError> {
        match self {
            Self::Standard(output) => output.text(text),
            Self::File(file, _) => file.write_all(text.as_bytes()).map_err(CliError::Output),
        }
    }

    fn finish(self) -> Result<(), CliError> {
        let Self::File(file, path) = self else {
            return Ok(());
        };
        let file = file
            .into_inner()
            .map_err(|error| CliError::Output(error.into_error()))?;
        file.as_file().sync_all().map_err(CliError::Output)?;
        file.persist(path)
            .map_err(|error| CliError::Output(error.error))?;
        Ok(())
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
