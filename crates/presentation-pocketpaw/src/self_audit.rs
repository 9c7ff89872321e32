//! What the server finds when it examines how safely it is set up.

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_domain::{SecurityCheckResult, SelfAuditReport};
use majordomo_presentation_http::openapi::{PathParams, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

use crate::wire::wire_time;

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CheckResponse {
    /// What was looked at.
    check: String,
    /// Whether it is as it should be.
    passed: bool,
    /// What was found.
    message: String,
    /// How much it matters: `info`, `warning`, `critical`.
    severity: &'static str,
    /// How to mend it; null when there is nothing to mend.
    remedy: Option<String>,
    /// Always false: nothing is mended without somebody who knows what else it changes.
    fixable: bool,
}

/// What was found now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SecurityAuditResponse {
    /// Checks.
    total: usize,
    /// Checks that passed.
    passed: usize,
    /// Checks that did not.
    issues: usize,
    /// Each of them.
    results: Vec<CheckResponse>,
}

/// What was found on a day.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SelfAuditResponse {
    /// When.
    timestamp: String,
    /// Checks.
    total_checks: usize,
    /// Checks that passed.
    passed: usize,
    /// Checks that did not.
    issues: usize,
    /// Each of them.
    results: Vec<CheckResponse>,
}

/// A report in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SelfAuditSummary {
    /// Its day in UTC, which names it: `2026-02-07`.
    date: String,
    /// Checks.
    total: usize,
    /// Checks that passed.
    passed: usize,
    /// Checks that did not.
    issues: usize,
}

impl From<SecurityCheckResult> for CheckResponse {
    fn from(result: SecurityCheckResult) -> Self {
        Self {
            check: result.check,
            passed: result.passed,
            message: result.message,
            severity: result.severity.as_str(),
            remedy: result.remedy,
            fixable: false,
        }
    }
}

fn checks(results: Vec<SecurityCheckResult>) -> Vec<CheckResponse> {
    results.into_iter().map(Into::into).collect()
}

impl From<SelfAuditReport> for SecurityAuditResponse {
    fn from(report: SelfAuditReport) -> Self {
        Self {
            total: report.results.len(),
            passed: report.passed(),
            issues: report.issues(),
            results: checks(report.results),
        }
    }
}

impl From<SelfAuditReport> for SelfAuditResponse {
    fn from(report: SelfAuditReport) -> Self {
        Self {
            timestamp: wire_time(report.at),
            total_checks: report.results.len(),
            passed: report.passed(),
            issues: report.issues(),
            results: checks(report.results),
        }
    }
}

impl From<&SelfAuditReport> for SelfAuditSummary {
    fn from(report: &SelfAuditReport) -> Self {
        Self {
            date: report.date(),
            total: report.results.len(),
            passed: report.passed(),
            issues: report.issues(),
        }
    }
}

async fn examine(
    kernel: &Kernel,
    services: &Services,
    Authenticated(caller): Authenticated,
) -> Result<Reply<SecurityAuditResponse>, ApiError> {
    let self_audit = Arc::clone(&services.self_audit);
    let report = kernel
        .core()
        .run(async move { self_audit.examine(&caller).await })
        .await?;
    Ok(Reply(report.into()))
}

async fn run(
    kernel: &Kernel,
    services: &Services,
    Authenticated(caller): Authenticated,
) -> Result<Reply<SelfAuditResponse>, ApiError> {
    let self_audit = Arc::clone(&services.self_audit);
    let report = kernel
        .core()
        .run(async move { self_audit.run(&caller).await })
        .await?;
    Ok(Reply(report.into()))
}

async fn list(
    kernel: &Kernel,
    services: &Services,
    Authenticated(caller): Authenticated,
) -> Result<Reply<Vec<SelfAuditSummary>>, ApiError> {
    let self_audit = Arc::clone(&services.self_audit);
    let reports = kernel
        .core()
        .run(async move { self_audit.reports(&caller).await })
        .await?;
    Ok(Reply(reports.iter().map(Into::into).collect()))
}

async fn find(
    kernel: &Kernel,
    services: &Services,
    Authenticated(caller): Authenticated,
    date: String,
) -> Result<Reply<SelfAuditResponse>, ApiError> {
    let self_audit = Arc::clone(&services.self_audit);
    let report = kernel
        .core()
        .run(async move { self_audit.report(&caller, &date).await })
        .await?;
    Ok(Reply(report.into()))
}

/// POST /api/v1/security-audit: examines how safely the server is set up
#[api_v2_operation(tags(Audit), operation_id = "run_security_audit")]
pub(crate) async fn run_security_audit(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<SecurityAuditResponse>, ApiError> {
    examine(&kernel, &services, caller).await
}

/// GET /api/v1/self-audit/reports: the newest reports, 20 at most
#[api_v2_operation(tags(Audit), operation_id = "list_self_audit_reports")]
pub(crate) async fn list_self_audit_reports(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<Vec<SelfAuditSummary>>, ApiError> {
    list(&kernel, &services, caller).await
}

/// GET /api/v1/self-audit/reports/{date}: the report of a day
#[api_v2_operation(tags(Audit), operation_id = "get_self_audit_report")]
pub(crate) async fn get_self_audit_report(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    date: PathParams<String>,
) -> Result<Reply<SelfAuditResponse>, ApiError> {
    find(&kernel, &services, caller, date.0).await
}

/// POST /api/v1/self-audit/run: examines the server and keeps the report of the day
#[api_v2_operation(tags(Audit), operation_id = "run_self_audit")]
pub(crate) async fn run_self_audit(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<SelfAuditResponse>, ApiError> {
    run(&kernel, &services, caller).await
}

/// POST /api/security-audit: examines how safely the server is set up
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_run_security_audit")]
pub(crate) async fn dashboard_run_security_audit(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<SecurityAuditResponse>, ApiError> {
    examine(&kernel, &services, caller).await
}

/// GET /api/self-audit/reports: the newest reports, 20 at most
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_list_self_audit_reports")]
pub(crate) async fn dashboard_list_self_audit_reports(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<Vec<SelfAuditSummary>>, ApiError> {
    list(&kernel, &services, caller).await
}

/// GET /api/self-audit/reports/{date}: the report of a day
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_get_self_audit_report")]
pub(crate) async fn dashboard_get_self_audit_report(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    date: PathParams<String>,
) -> Result<Reply<SelfAuditResponse>, ApiError> {
    find(&kernel, &services, caller, date.0).await
}

/// POST /api/self-audit/run: examines the server and keeps the report of the day
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_run_self_audit")]
pub(crate) async fn dashboard_run_self_audit(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<SelfAuditResponse>, ApiError> {
    run(&kernel, &services, caller).await
}
