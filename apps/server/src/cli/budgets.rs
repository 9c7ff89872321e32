//! `majordomo budgets`.

use std::fmt::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::context::{CliError, Context};
use super::output::{Output, field};
use crate::client::Client;

const PATH: &str = "/api/v1/budgets";

/// What to do with budgets.
#[derive(Subcommand)]
pub(super) enum BudgetsCommand {
    /// List the budgets that were set, and how far each is used up
    List,
    /// Set a budget; without any limit the default of the settings is lifted
    Set {
        #[command(flatten)]
        of: BudgetName,
        /// Most US dollars, by the prices of the settings
        #[arg(long, value_name = "DOLLARS")]
        usd: Option<f64>,
        /// Most tokens, read and written
        #[arg(long, value_name = "NUMBER")]
        tokens: Option<u64>,
    },
    /// Remove a budget; the default of the settings holds again
    Remove {
        #[command(flatten)]
        of: BudgetName,
    },
}

/// Which budget is meant.
#[derive(Args)]
pub(super) struct BudgetName {
    /// Whose spending: user:ID, key:ID (as `keys list` shows it) or session:USER/ID
    subject: String,
    /// How long it lasts, in UTC
    #[arg(long, value_enum, default_value_t = Period::Month)]
    period: Period,
}

/// How long a budget lasts.
#[derive(Clone, Copy, ValueEnum)]
enum Period {
    Day,
    Month,
}

impl Period {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

pub(super) async fn run(
    context: Context,
    command: BudgetsCommand,
    output: &Output,
) -> Result<(), CliError> {
    context
        .with_server(async |client| act(&client, command, output).await)
        .await
}

async fn act(client: &Client, command: BudgetsCommand, output: &Output) -> Result<(), CliError> {
    match command {
        BudgetsCommand::List => {
            let data = client.json(Method::GET, PATH, None).await?;
            output.data(&data, list)
        }
        BudgetsCommand::Set { of, usd, tokens } => {
            let body = json!({
                "subject": of.subject,
                "period": of.period.as_str(),
                "max_usd": usd,
                "max_tokens": tokens,
            });
            let data = client.json(Method::PUT, PATH, Some(&body)).await?;
            let period = of.period.as_str();
            output.data(&data, |_| {
                format!("Set for each {period} of {}.\n", of.subject)
            })
        }
        BudgetsCommand::Remove { of } => {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("subject", &of.subject)
                .append_pair("period", of.period.as_str())
                .finish();
            let path = format!("{PATH}?{query}");
            let data = client.json(Method::DELETE, &path, None).await?;
            let period = of.period.as_str();
            output.data(&data, |_| {
                format!("Removed for each {period} of {}.\n", of.subject)
            })
        }
    }
}

fn list(data: &Value) -> String {
    let budgets = data.as_array().map(Vec::as_slice).unwrap_or_default();
    if budgets.is_empty() {
        return "No budgets set.\n".to_owned();
    }
    budgets.iter().fold(String::new(), |mut text, budget| {
        let of = |spent: &str, most: &str| {
            let number = |name| budget.get(name).filter(|value| !value.is_null());
            let spent = number(spent).map(Value::to_string).unwrap_or_default();
            number(most).map(|most| format!("{spent} of {most}"))
        };
        let usd = of("spent_usd", "max_usd").map(|of| format!("{of} dollars"));
        let tokens = of("spent_tokens", "max_tokens").map(|of| format!("{of} tokens"));
        let limits: Vec<String> = [usd, tokens].into_iter().flatten().collect();
        let limits = if limits.is_empty() {
            "unlimited".to_owned()
        } else {
            limits.join(", ")
        };
        let _ = writeln!(
            text,
            "{}  {}  {limits}  {}",
            field(budget, "subject"),
            field(budget, "period"),
            field(budget, "level"),
        );
        text
    })
}
