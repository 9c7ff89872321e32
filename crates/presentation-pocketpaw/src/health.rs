//! Whether the parts this server needs answer.

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::operations::{HealthReport, Probe};
use majordomo_domain::Timestamp;
use majordomo_presentation_http::openapi::Reply;
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

use crate::wire::wire_time;

/// How the server is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthResponse {
    /// `healthy`, `degraded` (something does not work) or `unhealthy` (nothing does).
    status: &'static str,
    /// The gravest issue in a sentence; null when there is none.
    message: Option<String>,
    /// How many checks were made.
    check_count: usize,
    /// Checks that failed.
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
    /// `connectivity` or `storage`.
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

/// One thing that is looked at.
struct Check<'a> {
    id: &'static str,
    name: &'static str,
    category: &'static str,
    severity: &'static str,
    fix_hint: &'static str,
    probe: &'a Probe,
}

fn checks(report: &HealthReport) -> [Check<'_>; 2] {
    [
        Check {
            id: "database",
            name: "Database",
            category: "storage",
            severity: "critical",
            fix_hint: "Look at the server's log and at the [database] section of its configuration.",
            probe: &report.database,
        },
        Check {
            id: "llm_reachable",
            name: "Model provider",
            category: "connectivity",
            severity: "warning",
            fix_hint: "Check the address and key of the default model's provider in the [models] section.",
            probe: &report.inference,
        },
    ]
}

pub(crate) fn health_of(report: &HealthReport, now: Timestamp) -> HealthResponse {
    let checks = checks(report);
    let check_count = checks.len();
    let issues: Vec<HealthIssue> = checks
        .into_iter()
        .filter(|check| !check.probe.healthy)
        .map(|check| HealthIssue {
            check_id: check.id,
            name: check.name,
            category: check.category,
            status: check.severity,
            message: check
                .probe
                .error
                .clone()
                .unwrap_or_else(|| "does not answer".to_owned()),
            fix_hint: check.fix_hint,
            timestamp: wire_time(now),
            details: None,
        })
        .collect();
    let gravest = issues.first();
    HealthResponse {
        status: match gravest.map(|issue| issue.status) {
            None => "healthy",
            Some("critical") => "unhealthy",
            Some(_) => "degraded",
        },
        message: gravest.map(|issue| format!("{}: {}", issue.name, issue.message)),
        check_count,
        issues,
        last_check: wire_time(now),
        error: None,
    }
}

async fn check(kernel: &Kernel, services: &Services) -> Result<Reply<HealthResponse>, ApiError> {
    let health = Arc::clone(&services.health);
    let report = kernel
        .core()
        .join(async move { health.check().await })
        .await?;
    Ok(Reply(health_of(&report, kernel.clock().now())))
}

/// GET /api/v1/health: checks the parts this server needs
#[api_v2_operation(tags(System), operation_id = "health")]
pub(crate) async fn health(
    _caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<HealthResponse>, ApiError> {
    check(&kernel, &services).await
}

/// GET /api/health: checks the parts this server needs
#[api_v2_operation(tags(System), operation_id = "dashboard_health")]
pub(crate) async fn dashboard_health(
    _caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<HealthResponse>, ApiError> {
    check(&kernel, &services).await
}
