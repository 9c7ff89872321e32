//! Whether the parts this server needs answer, and the latest errors.

mod errors;

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::operations::{CheckResult, HealthReport};
use majordomo_application::ports::Severity;
use majordomo_domain::Timestamp;
use majordomo_presentation_http::openapi::Reply;
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

use crate::wire::wire_time;
pub(crate) use errors::{
    HealthError, LenientErrorParams, clear_health_errors, dashboard_clear_health_errors,
    dashboard_health_errors, health_errors, latest_errors,
};

/// How the server is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthResponse {
    /// `healthy`, `degraded` (something does not work) or `unhealthy` (the server cannot do its work).
    status: &'static str,
    /// The gravest issue in a sentence; null when there is none.
    message: Option<String>,
    /// How many checks were made.
    check_count: usize,
    /// Checks that failed, the gravest first.
    issues: Vec<HealthIssue>,
    /// When the checks were made.
    last_check: String,
    /// Why the checks could not be made; always null.
    error: Option<String>,
}

/// A check that failed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthIssue {
    /// The check's stable name.
    check_id: &'static str,
    /// What it looks at.
    name: &'static str,
    /// `config`, `connectivity` or `storage`.
    category: &'static str,
    /// `warning` or `critical`.
    status: &'static str,
    /// What is wrong.
    message: String,
    /// What helps.
    fix_hint: &'static str,
    /// When it was found.
    timestamp: String,
    /// More about it; always null.
    details: Option<Vec<String>>,
}

fn issue(check: &CheckResult, at: Timestamp) -> Option<(Severity, HealthIssue)> {
    let (severity, words) = check.issue()?;
    let about = check.about;
    let issue = HealthIssue {
        check_id: about.id,
        name: about.name,
        category: about.category.as_str(),
        status: severity.as_str(),
        message: words.to_owned(),
        fix_hint: about.fix_hint,
        timestamp: wire_time(at),
        details: None,
    };
    Some((severity, issue))
}

pub(crate) fn health_of(report: &HealthReport) -> HealthResponse {
    let checks = report.checks.iter();
    let mut issues: Vec<_> = checks.filter_map(|check| issue(check, report.at)).collect();
    issues.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    let issues: Vec<_> = issues.into_iter().map(|(_, issue)| issue).collect();
    HealthResponse {
        status: report.status().as_str(),
        message: issues
            .first()
            .map(|issue| format!("{}: {}", issue.name, issue.message)),
        check_count: report.checks.len(),
        issues,
        last_check: wire_time(report.at),
        error: None,
    }
}

/// The latest checks, made anew when they are more than a second old.
async fn latest(kernel: &Kernel, services: &Services) -> Result<Reply<HealthResponse>, ApiError> {
    let health = Arc::clone(&services.health);
    let report = kernel
        .core()
        .join(async move { health.check_recent().await })
        .await?;
    Ok(Reply(health_of(&report)))
}

async fn check(kernel: &Kernel, services: &Services) -> Result<Reply<HealthResponse>, ApiError> {
    let health = Arc::clone(&services.health);
    let report = kernel
        .core()
        .join(async move { health.check().await })
        .await?;
    Ok(Reply(health_of(&report)))
}

/// GET /api/v1/health: whether the parts this server needs answer
#[api_v2_operation(tags(System), operation_id = "health")]
pub(crate) async fn health(
    _caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<HealthResponse>, ApiError> {
    latest(&kernel, &services).await
}

/// GET /api/health: whether the parts this server needs answer
#[api_v2_operation(tags(System), operation_id = "dashboard_health")]
pub(crate) async fn dashboard_health(
    _caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<HealthResponse>, ApiError> {
    latest(&kernel, &services).await
}

/// POST /api/v1/health/check: makes every check now
#[api_v2_operation(tags(System), operation_id = "check_health")]
pub(crate) async fn check_health(
    _caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<HealthResponse>, ApiError> {
    check(&kernel, &services).await
}

/// POST /api/health/check: makes every check now
#[api_v2_operation(tags(System), operation_id = "dashboard_check_health")]
pub(crate) async fn dashboard_check_health(
    _caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<HealthResponse>, ApiError> {
    check(&kernel, &services).await
}
