//! `majordomo secrets`.

use clap::Subcommand;
use majordomo_application::Caller;
use majordomo_application::ports::Clock as _;
use majordomo_domain::CredentialKind;
use majordomo_infrastructure_system::SystemClock;
use serde_json::json;

use super::context::{CliError, Context};
use super::output::Output;
use crate::startup::{StartError, with_causes};
use crate::wiring::{self, Rotation};

/// What to do with the keys that seal stored secrets.
#[derive(Subcommand)]
pub(super) enum SecretsCommand {
    /// Seal every stored secret under a new key; the server must be stopped
    ///
    /// With the keys in the file `secret.key` of the data folder a new key is made and the old ones are given up. With
    /// keys in `MAJORDOMO_SECRET_KEY` put the new one before the old ones, separated by a comma, run this, and remove the
    /// old ones afterwards.
    Rotate,
}

pub(super) async fn run(
    context: Context,
    command: SecretsCommand,
    output: &Output,
) -> Result<(), CliError> {
    let SecretsCommand::Rotate = command;
    // A server that runs on another database lock (PostgreSQL) would go on with keys that are no longer the right ones.
    if context.running().await.is_some() {
        let words = "a server runs on this data folder; stop it first".to_owned();
        return Err(CliError::Other(words));
    }
    let Context {
        settings,
        layers,
        data_dir,
        ..
    } = context;
    let storage = wiring::storage(&settings, &data_dir)
        .await
        .map_err(StartError::from)?;
    let operator = Caller::operator(CredentialKind::CommandLine);
    let record = operator.record("secrets.rotate", SystemClock.now());
    let Rotation { key_id, sealed } =
        wiring::rotate_secrets(&layers, &data_dir, storage.settings.clone(), &record)
            .await
            .map_err(|error| CliError::Other(with_causes(&error)))?;
    output.data(&json!({ "key_id": key_id, "sealed": sealed }), |_| {
        format!("{sealed} secret(s) are sealed anew, under the key {key_id}\n")
    })
}
