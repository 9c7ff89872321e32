//! `majordomo memory import`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::progress::{Meter, Progress};
use super::reading::{self, Found};
use super::sending::{Sender, Tally};
use super::source::{self, Format};
use crate::cli::context::CliError;
use crate::cli::output::{Output, printable};
use crate::client::Client;

/// What was read and waits to be sent: a few pieces, each a conversation's part at most.
const WAITING: usize = 4;

/// What is imported.
#[derive(Args)]
pub(in crate::cli) struct ImportArgs {
    /// The file
    file: PathBuf,
    /// What it holds
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,
}

pub(super) async fn run(
    client: &Client,
    args: ImportArgs,
    output: &Output,
) -> Result<(), CliError> {
    let meter = Meter::default();
    let (source, length) = source::open(&args.file, &meter)?;
    let (sink, found) = mpsc::channel::<Found>(WAITING);
    let (reading, format) = (meter.clone(), args.format);
    let reader = tokio::task::spawn_blocking(move || {
        let mut sink = |found| sink.blocking_send(found).is_ok();
        reading::read(source, format, &reading, &mut sink)
    });
    let mut progress = Progress::new();
    let sent = Sender::new(client)
        .run(found, &mut progress, &meter, length)
        .await;
    progress.clear();
    let tally = sent.map_err(|error| {
        let words = "what was imported stays; import the file again to go on";
        CliError::Other(format!("{error} ({words})"))
    })?;
    let read = reader
        .await
        .map_err(|error| CliError::Other(error.to_string()))?;
    let rate = progress.rate(tally.stored + tally.known);
    output.data(&report(&tally, rate), |_| text(&tally, rate))?;
    for (place, why) in &tally.named {
        output.note(&printable(&format!("passed over {place}: {why}")));
    }
    read.map_err(|error| {
        let file = args.file.display();
        CliError::Other(format!("{file} cannot be read to its end: {error}"))
    })?;
    if tally.broken > 0 {
        let words = format!("{} entries were passed over", tally.broken);
        return Err(CliError::Other(words));
    }
    Ok(())
}

fn report(tally: &Tally, rate: u64) -> Value {
    let named: Vec<Value> = tally
        .named
        .iter()
        .map(|(place, why)| json!({ "place": place, "error": why }))
        .collect();
    json!({
        "memories": tally.memories,
        "conversations": tally.conversations,
        "empty_conversations": tally.silent,
        "stored": tally.stored,
        "known": tally.known,
        "per_second": rate,
        "broken": tally.broken,
        "errors": named,
    })
}

fn text(tally: &Tally, rate: u64) -> String {
    let mut text = String::new();
    let counts = format!("{} new, {} known already", tally.stored, tally.known);
    if tally.conversations > 0 || tally.silent > 0 {
        let talks = tally.conversations;
        let _ = writeln!(
            text,
            "Imported {talks} conversations. Messages: {counts} ({rate}/s)."
        );
    }
    if tally.memories > 0 || text.is_empty() {
        let memories = tally.memories;
        let _ = writeln!(text, "Imported {memories} memories: {counts} ({rate}/s).");
    }
    text
}
