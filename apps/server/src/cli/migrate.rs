//! `majordomo migrate`.

use clap::Args;
use serde_json::json;

use super::context::{CliError, Context};
use super::output::Output;
use crate::startup::StartError;
use crate::wiring;

/// What to do about migrations.
#[derive(Args)]
pub(super) struct MigrateArgs {
    /// Only say which migrations are missing; exit code 1 when any is
    #[arg(long)]
    check: bool,
}

pub(super) async fn run(
    context: Context,
    args: &MigrateArgs,
    output: &Output,
) -> Result<(), CliError> {
    let Context {
        settings, data_dir, ..
    } = context;
    let (word, names) = if args.check {
        (
            "pending",
            wiring::pending_migrations(&settings, &data_dir)
                .await
                .map_err(StartError::from)?,
        )
    } else {
        (
            "applied",
            wiring::migrate(&settings, &data_dir)
                .await
                .map_err(StartError::from)?,
        )
    };
    output.data(&json!({ word: names }), |_| {
        if names.is_empty() {
            return "The database is up to date.\n".to_owned();
        }
        names.join("\n") + "\n"
    })?;
    if args.check && !names.is_empty() {
        return Err(CliError::Other(
            "the database is not up to date; run `majordomo migrate`".to_owned(),
        ));
    }
    Ok(())
}
