//! `majordomo backup`, `majordomo restore` and `majordomo verify`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use majordomo_domain::Timestamp;
use majordomo_infrastructure_system::archive::{Summary, verify_archive};
use serde_json::{Value, json};

use super::context::{CliError, Context};
use super::output::Output;
use crate::startup::with_causes;
use crate::wiring::{self, Backup, BackupPlan, CopiesError, Restored};

/// What to back up.
#[derive(Args)]
pub(super) struct BackupArgs {
    /// Where to write the backup; it appears there only when it is whole
    file: PathBuf,
    /// Replace the file where there is one
    #[arg(long)]
    replace: bool,
    /// Put the keys of the data folder into it, too: then whoever reads it can read every stored secret
    #[arg(long)]
    with_keys: bool,
}

/// What to restore.
#[derive(Args)]
pub(super) struct RestoreArgs {
    /// A file that `majordomo backup` has written
    file: PathBuf,
    /// Replace what is in the database
    #[arg(long)]
    replace: bool,
}

pub(super) async fn back_up(
    context: Context,
    args: BackupArgs,
    output: &Output,
) -> Result<(), CliError> {
    let BackupArgs {
        file,
        replace,
        with_keys,
    } = args;
    let plan = BackupPlan {
        path: file.clone(),
        replace,
        with_keys,
    };
    let made = wiring::back_up(&context.settings, &context.data_dir, plan).await;
    let Backup { summary, recorded } = made.map_err(failed)?;
    let mut data = json(&summary);
    add(&mut data, "file", json!(file.display().to_string()));
    add(&mut data, "recorded", json!(recorded));
    output.data(&data, |_| {
        let mut words = format!("{} is written.\n{}", file.display(), text(&summary));
        if !with_keys {
            words.push_str(
                "It holds no keys: keep a copy of `secret.key` elsewhere, or stored secrets are lost with this machine.\n",
            );
        }
        words
    })?;
    if !recorded {
        output.note("It is not recorded in the audit log: the database is not up to date.");
    }
    Ok(())
}

pub(super) async fn restore(
    context: Context,
    args: RestoreArgs,
    output: &Output,
) -> Result<(), CliError> {
    let RestoreArgs { file, replace } = args;
    if context.running().await.is_some() {
        let words = "a server runs on this data folder; stop it first".to_owned();
        return Err(CliError::Other(words));
    }
    let Context {
        settings,
        layers,
        data_dir,
    } = context;
    let restored = wiring::restore(&settings, &layers, &data_dir, file, replace).await;
    let Restored {
        summary,
        files,
        sealed,
    } = restored.map_err(|error| match error {
        CopiesError::Copy(majordomo_application::ports::CopyError::Occupied) => CliError::Other(
            "there is data in the database already; --replace replaces it".to_owned(),
        ),
        other => failed(other),
    })?;
    let mut data = json(&summary);
    add(&mut data, "written", json!(files));
    add(&mut data, "sealed", json!(sealed));
    output.data(&data, |_| {
        let mut words = format!("The database is restored.\n{}", text(&summary));
        for file in &files {
            let _ = writeln!(words, "restored  {file}");
        }
        words
    })?;
    if let Some(reason) = sealed {
        output.note(&format!(
            "The stored secrets cannot be opened, and the server will not start: {reason}"
        ));
    }
    Ok(())
}

pub(super) fn verify(file: &Path, output: &Output) -> Result<(), CliError> {
    let summary = verify_archive(file).map_err(|error| CliError::Other(with_causes(&error)))?;
    output.data(&json(&summary), |_| {
        format!("{} is whole.\n{}", file.display(), text(&summary))
    })
}

fn failed(error: CopiesError) -> CliError {
    CliError::Other(with_causes(&error))
}

fn made_at(summary: &Summary) -> Timestamp {
    Timestamp::from_secs(summary.created_at)
}

fn json(summary: &Summary) -> Value {
    json!({
        "created_at": made_at(summary).to_rfc3339(),
        "program": summary.program,
        "database": summary.database,
        "schema": summary.schema,
        "rows": summary.rows,
        "files": summary.files,
    })
}

fn add(data: &mut Value, name: &str, value: Value) {
    if let Some(data) = data.as_object_mut() {
        data.insert(name.to_owned(), value);
    }
}

fn text(summary: &Summary) -> String {
    let mut text = format!(
        "made      {} by version {} from {}, schema {}\n",
        made_at(summary),
        summary.program,
        summary.database,
        summary.schema
    );
    for (table, rows) in &summary.rows {
        let _ = writeln!(text, "rows      {rows:>8}  {table}");
    }
    for file in &summary.files {
        let _ = writeln!(text, "file      {file}");
    }
    text
}
