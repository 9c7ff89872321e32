//! What the caller's model calls used and cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::usage::UsageReport;
use majordomo_domain::{MicroUsd, Timestamp, UsageRecord, UsageSum};
use majordomo_presentation_http::openapi::{Params, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Location, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::{fault, limit, wire_time};

/// Calls told when no number is named.
const DEFAULT_LIMIT: u32 = 50;
/// Calls told at most.
const MAX_LIMIT: u32 = 500;

/// Which calls are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct UsageParams {
    /// Only those from then on, RFC 3339; all when missing or empty.
    #[serde(default)]
    #[schemars(extend("anyOf" = [{ "format": "date-time" }, { "maxLength": 0 }]))]
    since: String,
}

/// How many calls are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RecentParams {
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
}

/// The caller's model calls, added up.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UsageResponse {
    /// Tokens read.
    total_input_tokens: u64,
    /// Tokens written.
    total_output_tokens: u64,
    /// Part of the tokens read that providers had cached.
    total_cached_input_tokens: u64,
    /// Tokens read and written.
    total_tokens: u64,
    /// What it cost in US dollars, by the prices of the settings.
    total_cost_usd: f64,
    /// How many calls.
    request_count: u64,
    /// The same for each model.
    by_model: BTreeMap<String, UsageShare>,
    /// The same for each provider.
    by_backend: BTreeMap<String, UsageShare>,
}

/// The calls of one model or provider.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct UsageShare {
    /// Tokens read.
    input_tokens: u64,
    /// Tokens written.
    output_tokens: u64,
    /// What it cost in US dollars.
    cost_usd: f64,
    /// How many calls.
    count: u64,
    /// The cost in whole millionths, of which `cost_usd` is made.
    #[serde(skip)]
    cost: u64,
}

impl UsageShare {
    fn add(&mut self, sum: &UsageSum) {
        self.input_tokens += sum.usage.input_tokens;
        self.output_tokens += sum.usage.output_tokens;
        self.count += sum.calls;
        self.cost += sum.cost.0;
        self.cost_usd = MicroUsd(self.cost).as_usd();
    }
}

impl From<UsageReport> for UsageResponse {
    fn from(report: UsageReport) -> Self {
        let (mut by_model, mut by_backend) = (BTreeMap::new(), BTreeMap::new());
        for sum in &report.models {
            let shares = [
                (&mut by_model, &sum.model.model),
                (&mut by_backend, &sum.model.provider),
            ];
            for (map, name) in shares {
                let share: &mut UsageShare = map.entry(name.clone()).or_default();
                share.add(sum);
            }
        }
        Self {
            total_input_tokens: report.usage.input_tokens,
            total_output_tokens: report.usage.output_tokens,
            total_cached_input_tokens: report.usage.cached_input_tokens,
            total_tokens: report.usage.total_tokens(),
            total_cost_usd: report.cost.as_usd(),
            request_count: report.calls,
            by_model,
            by_backend,
        }
    }
}

/// One model call.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UsageCall {
    /// When it ended.
    timestamp: String,
    /// The provider.
    backend: String,
    /// The model.
    model: String,
    /// Tokens read.
    input_tokens: u64,
    /// Tokens written.
    output_tokens: u64,
    /// Part of the tokens read that the provider had cached.
    cached_input_tokens: u64,
    /// Tokens read and written.
    total_tokens: u64,
    /// What it cost in US dollars.
    cost_usd: f64,
    /// The session it belongs to; empty where there is none.
    session_id: String,
    /// Whether the tokens are an estimate because the provider did not tell.
    estimated: bool,
    /// The version of the prices it was computed with; null for a model without a price.
    price_version: Option<String>,
}

impl From<UsageRecord> for UsageCall {
    fn from(call: UsageRecord) -> Self {
        let session = call.session.as_ref().map(crate::wire::wire_id);
        Self {
            timestamp: wire_time(call.at),
            backend: call.model.provider,
            model: call.model.model,
            input_tokens: call.usage.input_tokens,
            output_tokens: call.usage.output_tokens,
            cached_input_tokens: call.usage.cached_input_tokens,
            total_tokens: call.usage.total_tokens(),
            cost_usd: call.cost.as_usd(),
            session_id: session.unwrap_or_default(),
            estimated: call.estimated,
            price_version: call.price_version,
        }
    }
}

/// Whether the calls are forgotten.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ClearedUsageResponse {
    /// Always true.
    cleared: bool,
}

/// RFC 3339; a time without offset is in UTC, a day begins at midnight, and nothing is nothing. A `+` that came as a
/// space in a query is one again.
fn since(text: &str) -> Result<Option<Timestamp>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let plus = text.replace(' ', "+");
    [
        plus.clone(),
        format!("{plus}Z"),
        format!("{plus}T00:00:00Z"),
    ]
    .iter()
    .find_map(|text| Timestamp::parse_rfc3339(text))
    .map(Some)
    .ok_or_else(|| {
        let words = "Input should be a time such as 2026-02-07T10:30:00Z";
        fault(Location::Query, "since", "datetime_parsing", words)
    })
}

/// GET /api/v1/metrics/usage: what the caller's model calls used and cost
///
/// Times without an offset are in UTC. Only the caller's own calls are counted.
#[api_v2_operation(tags(Metrics), operation_id = "usage")]
pub(crate) async fn usage(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<UsageParams>,
) -> Result<Reply<UsageResponse>, ApiError> {
    let since = since(&params.0.since)?;
    let usage = Arc::clone(&services.usage);
    let report = kernel
        .core()
        .run(async move { usage.report(&caller, since).await })
        .await?;
    Ok(Reply(report.into()))
}

/// GET /api/v1/metrics/usage/recent: the caller's latest model calls, newest first
#[api_v2_operation(tags(Metrics), operation_id = "recent_usage")]
pub(crate) async fn recent_usage(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<RecentParams>,
) -> Result<Reply<Vec<UsageCall>>, ApiError> {
    let limit = limit(params.0.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let usage = Arc::clone(&services.usage);
    let calls = kernel
        .core()
        .run(async move { usage.recent(&caller, limit).await })
        .await?;
    Ok(Reply(calls.into_iter().map(UsageCall::from).collect()))
}

/// DELETE /api/v1/metrics/usage: forgets the caller's model calls
///
/// Budgets remember what was spent of them.
#[api_v2_operation(tags(Metrics), operation_id = "clear_usage")]
pub(crate) async fn clear_usage(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<ClearedUsageResponse>, ApiError> {
    let usage = Arc::clone(&services.usage);
    kernel
        .core()
        .run(async move { usage.clear(&caller).await })
        .await?;
    Ok(Reply(ClearedUsageResponse { cleared: true }))
}
