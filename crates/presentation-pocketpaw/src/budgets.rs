//! How much users, API keys and sessions may spend: set by the operator.

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::usage::BudgetStatus;
use majordomo_domain::{BudgetLimit, BudgetPeriod, BudgetSubject, MicroUsd};
use majordomo_presentation_http::openapi::{Body, Params, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Location, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fails::Fails;
use crate::wire::{fault, wire_time};

/// Most tokens of a budget: what storage can count, with room.
const MAX_TOKENS: u64 = 1_000_000_000_000_000;
/// Largest budget in US dollars.
const MAX_USD: f64 = 900_000_000.0;

/// How long a budget lasts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Period {
    /// A day of UTC.
    Day,
    /// A month of UTC.
    Month,
}

impl From<Period> for BudgetPeriod {
    fn from(period: Period) -> Self {
        match period {
            Period::Day => Self::Day,
            Period::Month => Self::Month,
        }
    }
}

/// How a subject is written, for the document.
const SUBJECT_PATTERN: &str = r"^((user|key):[A-Za-z0-9._:@-]{1,128}|session:[A-Za-z0-9._:@-]{1,128}/[A-Za-z0-9._:@-]{1,128})$";

/// A budget to set.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SetBudgetRequest {
    /// Whose spending: `user:ID`, `key:ID` or `session:USER/ID`.
    #[schemars(regex(pattern = SUBJECT_PATTERN))]
    subject: String,
    /// How long it lasts.
    period: Period,
    /// Most US dollars; no limit when missing.
    #[schemars(range(min = 0, max = 900_000_000))]
    max_usd: Option<f64>,
    /// Most tokens; no limit when missing. With neither, the default of the settings is lifted.
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    max_tokens: Option<u64>,
}

/// Which budget is meant.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BudgetParams {
    /// Whose spending: `user:ID`, `key:ID` or `session:USER/ID`.
    #[schemars(regex(pattern = SUBJECT_PATTERN))]
    subject: String,
    /// How long it lasts.
    period: Period,
}

/// A budget and how far it is used up.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BudgetResponse {
    /// Whose spending: `user:ID`, `key:ID` or `session:USER/ID`.
    subject: String,
    /// `day` or `month`.
    period: &'static str,
    /// Most US dollars; null without limit.
    max_usd: Option<f64>,
    /// Most tokens; null without limit.
    max_tokens: Option<u64>,
    /// US dollars spent in the current period.
    spent_usd: f64,
    /// Tokens used in the current period.
    spent_tokens: u64,
    /// When the current period began.
    starts_at: String,
    /// When it ends.
    ends_at: String,
    /// `ok`, `warning` or `exhausted`.
    level: &'static str,
    /// Whether it is the default of the settings; else it was set.
    is_default: bool,
}

impl From<&BudgetStatus> for BudgetResponse {
    fn from(status: &BudgetStatus) -> Self {
        let (window, limit) = (&status.window.window, status.window.limit);
        Self {
            subject: window.subject.to_string(),
            period: window.period.as_str(),
            max_usd: limit.cost.map(MicroUsd::as_usd),
            max_tokens: limit.tokens,
            spent_usd: status.used.spent.cost.as_usd(),
            spent_tokens: status.used.spent.tokens,
            starts_at: wire_time(window.starts_at),
            ends_at: wire_time(status.ends_at),
            level: match (status.is_exhausted, status.is_warned) {
                (true, _) => "exhausted",
                (_, true) => "warning",
                _ => "ok",
            },
            is_default: status.is_default,
        }
    }
}

/// The event that tells of a budget which is nearly or wholly used up.
pub(crate) fn event(status: &BudgetStatus) -> (&'static str, Value) {
    let name = if status.is_exhausted {
        "budget_exhausted"
    } else {
        "budget_warning"
    };
    (name, json!(BudgetResponse::from(status)))
}

/// Whether it was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BudgetChangedResponse {
    /// Always true.
    success: bool,
}

fn subject(location: Location, text: &str) -> Result<BudgetSubject, ApiError> {
    BudgetSubject::parse(text).ok_or_else(|| {
        let words = "Input should be user:ID, key:ID or session:USER/ID";
        fault(location, "subject", "value_error", words)
    })
}

/// An amount within the bounds of the document.
fn dollars(usd: f64) -> Option<MicroUsd> {
    MicroUsd::from_usd(usd).filter(|_| usd <= MAX_USD)
}

/// Reads a limit; `max_usd` and `max_tokens` are told of as members of `place`.
pub(crate) fn limit(
    place: &str,
    max_usd: Option<f64>,
    max_tokens: Option<u64>,
) -> Result<BudgetLimit, ApiError> {
    let cost = match max_usd {
        None => None,
        Some(usd) => Some(dollars(usd).ok_or_else(|| {
            let words = "Input should be an amount of dollars from 0 to 900000000";
            fault(
                Location::Body,
                &format!("{place}max_usd"),
                "value_error",
                words,
            )
        })?),
    };
    if max_tokens.is_some_and(|most| most > MAX_TOKENS) {
        let words = format!("Input should be less than or equal to {MAX_TOKENS}");
        return Err(fault(
            Location::Body,
            &format!("{place}max_tokens"),
            "less_than_equal",
            words,
        ));
    }
    Ok(BudgetLimit {
        cost,
        tokens: max_tokens,
    })
}

/// GET /api/v1/budgets: what limits the caller, and how far it is used up
///
/// Administrators see every budget that was set besides.
#[api_v2_operation(tags(Metrics), operation_id = "list_budgets")]
pub(crate) async fn list_budgets(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<Vec<BudgetResponse>>, ApiError> {
    let usage = Arc::clone(&services.usage);
    let budgets = kernel
        .core()
        .run(async move { usage.budgets().visible(&caller).await })
        .await?;
    Ok(Reply(budgets.iter().map(BudgetResponse::from).collect()))
}

/// PUT /api/v1/budgets: sets a budget, replacing the one of the same subject and period
///
/// It holds for model calls that begin from now on.
#[api_v2_operation(tags(Metrics), operation_id = "set_budget")]
pub(crate) async fn set_budget(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<SetBudgetRequest>,
) -> Result<Reply<BudgetChangedResponse>, ApiError> {
    let subject = subject(Location::Body, &body.0.subject)?;
    let limit = limit("", body.0.max_usd, body.0.max_tokens)?;
    let period = body.0.period.into();
    let usage = Arc::clone(&services.usage);
    kernel
        .core()
        .run(async move {
            let budgets = usage.budgets();
            budgets.set_limit(&caller, subject, period, limit).await
        })
        .await?;
    Ok(Reply(BudgetChangedResponse { success: true }))
}

/// DELETE /api/v1/budgets: removes a budget; the default of the settings holds again
#[api_v2_operation(tags(Metrics), operation_id = "remove_budget")]
pub(crate) async fn remove_budget(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<BudgetParams>,
) -> Result<Fails<Reply<BudgetChangedResponse>, 404>, ApiError> {
    let subject = subject(Location::Query, &params.0.subject)?;
    let period = params.0.period.into();
    let usage = Arc::clone(&services.usage);
    kernel
        .core()
        .run(async move {
            let budgets = usage.budgets();
            budgets.remove_limit(&caller, &subject, period).await
        })
        .await?;
    Ok(Fails(Reply(BudgetChangedResponse { success: true })))
}
