//! `majordomo openapi`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use majordomo_settings::Overrides;

use super::Global;
use super::context::{CliError, load_settings};
use super::output::Output;
use crate::wiring;

/// Which document, and where to.
#[derive(Args)]
pub(super) struct OpenapiArgs {
    /// The API
    #[arg(long, default_value = "pocketpaw")]
    dialect: Dialect,
    /// The file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The APIs.
#[derive(Clone, Copy, ValueEnum)]
enum Dialect {
    /// `/api/v1` and `/api`
    Pocketpaw,
    /// `/v1`, `/health`, `/ready`, `/metrics`
    Pisovereign,
    /// `/api`
    Pixcode,
    /// `/v1/models`, `/v1/chat/completions` and `/v1/embeddings`
    Openai,
}

pub(super) fn run(global: &Global, args: &OpenapiArgs, output: &Output) -> Result<(), CliError> {
    // Nothing here depends on the settings, but a file that is named must be right.
    if global.config.is_some() {
        load_settings(global, Overrides::default())?;
    }
    let name = match args.dialect {
        Dialect::Pocketpaw => "pocketpaw",
        Dialect::Pisovereign => "pisovereign",
        Dialect::Pixcode => "pixcode",
        Dialect::Openai => "openai",
    };
    let document =
        wiring::document(name).ok_or_else(|| CliError::Other(format!("there is no API {name}")))?;
    let text = format!("{document:#}\n");
    match &args.output {
        Some(file) => std::fs::write(file, text).map_err(CliError::Output),
        None => output.text(&text),
    }
}
