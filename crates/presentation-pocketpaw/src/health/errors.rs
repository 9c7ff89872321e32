//! The latest errors of the server.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::Caller;
use majordomo_application::operations::ErrorQuery;
use majordomo_application::ports::LoggedError;
use majordomo_presentation_http::openapi::{Params, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::{lenient_limit, limit, wire_time};

/// Errors told when no number is named.
const DEFAULT_LIMIT: u32 = 20;
/// Errors told at most.
const MAX_LIMIT: u32 = 500;

/// Which errors are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ErrorParams {
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
    /// Only those whose message, source or traceback holds this, whatever the case of its letters.
    #[serde(default)]
    search: String,
}

/// Which errors are wanted, for the dashboard: what is out of bounds is taken as the nearest bound.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct LenientErrorParams {
    /// At most so many.
    limit: Option<i64>,
    /// Only those whose message, source or traceback holds this, whatever the case of its letters.
    #[serde(default)]
    search: String,
}

/// An error of the server.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthError {
    /// Twelve hexadecimal digits.
    id: String,
    /// When it was noticed.
    timestamp: String,
    /// The part of the program that noticed it.
    source: String,
    /// `warning` or `critical`.
    severity: &'static str,
    /// What happened.
    message: String,
    /// Its causes, one a line.
    traceback: String,
    /// What else is known, such as the request and the run.
    context: BTreeMap<String, String>,
}

impl From<LoggedError> for HealthError {
    fn from(entry: LoggedError) -> Self {
        Self {
            id: entry.id,
            timestamp: wire_time(entry.at),
            source: entry.error.source,
            severity: entry.error.severity.as_str(),
            message: entry.error.message,
            traceback: entry.error.trace,
            context: entry.error.context.into_iter().collect(),
        }
    }
}

/// Whether the errors are gone.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ClearedResponse {
    /// Always true.
    cleared: bool,
}

/// The latest errors, for the dashboard.
pub(crate) async fn latest_errors(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    wanted: LenientErrorParams,
) -> Result<Vec<HealthError>, ApiError> {
    let limit = lenient_limit(wanted.limit, DEFAULT_LIMIT, MAX_LIMIT);
    list(kernel, services, caller, limit, wanted.search).await
}

async fn list(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    limit: u32,
    search: String,
) -> Result<Vec<HealthError>, ApiError> {
    let health = Arc::clone(&services.health);
    let query = ErrorQuery {
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        search: Some(search),
    };
    let errors = kernel
        .core()
        .run(async move { health.errors(&caller, query).await })
        .await?;
    Ok(errors.into_iter().map(HealthError::from).collect())
}

async fn clear(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
) -> Result<Reply<ClearedResponse>, ApiError> {
    let health = Arc::clone(&services.health);
    kernel
        .core()
        .run(async move { health.clear_errors(&caller).await })
        .await?;
    Ok(Reply(ClearedResponse { cleared: true }))
}

/// GET /api/v1/health/errors: the latest errors of the server, newest first
#[api_v2_operation(tags(System), operation_id = "health_errors")]
pub(crate) async fn health_errors(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<ErrorParams>,
) -> Result<Reply<Vec<HealthError>>, ApiError> {
    let limit = limit(params.0.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let errors = list(&kernel, &services, caller, limit, params.0.search);
    errors.await.map(Reply)
}

/// GET /api/health/errors: the latest errors of the server, newest first
#[api_v2_operation(tags(System), operation_id = "dashboard_health_errors")]
pub(crate) async fn dashboard_health_errors(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<LenientErrorParams>,
) -> Result<Reply<Vec<HealthError>>, ApiError> {
    let errors = latest_errors(&kernel, &services, caller, params.0);
    errors.await.map(Reply)
}

/// DELETE /api/v1/health/errors: forgets the latest errors
#[api_v2_operation(tags(System), operation_id = "clear_health_errors")]
pub(crate) async fn clear_health_errors(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<ClearedResponse>, ApiError> {
    clear(&kernel, &services, caller).await
}

/// DELETE /api/health/errors: forgets the latest errors
#[api_v2_operation(tags(System), operation_id = "dashboard_clear_health_errors")]
pub(crate) async fn dashboard_clear_health_errors(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<ClearedResponse>, ApiError> {
    clear(&kernel, &services, caller).await
}
