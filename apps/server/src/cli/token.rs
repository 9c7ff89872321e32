//! `majordomo token`.

use clap::Subcommand;
use majordomo_application::ports::MasterTokenStore as _;
use majordomo_infrastructure_system::FileMasterTokenStore;
use reqwest::Method;
use serde_json::json;

use super::context::{CliError, Context};
use super::output::{Output, field};
use crate::startup::with_causes;

/// What to do with the master token.
#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Print the master token
    Show,
    /// Replace the master token; every session token and cookie made with the old one stops working
    Rotate,
}

pub(super) async fn run(
    context: Context,
    command: TokenCommand,
    output: &Output,
) -> Result<(), CliError> {
    let token = match command {
        TokenCommand::Show => {
            let store = FileMasterTokenStore::new(&context.data_dir);
            let token = store
                .load()
                .await
                .map_err(|error| CliError::Other(with_causes(&error)))?;
            token.ok_or_else(|| {
                CliError::Other("there is no token yet: it is made at the first start".to_owned())
            })?
        }
        TokenCommand::Rotate => {
            let rotate = async |client: crate::client::Client| {
                let data = client
                    .json(Method::POST, "/api/v1/token/regenerate", None)
                    .await?;
                Ok(field(&data, "token").to_owned())
            };
            context.with_server(rotate).await?
        }
    };
    output.data(&json!({ "token": token }), |_| format!("{token}\n"))
}
