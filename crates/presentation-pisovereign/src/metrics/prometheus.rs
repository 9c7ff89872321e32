//! The families of metrics, under the names that PiSovereign's dashboards and alert rules use.

use std::time::Duration;

use majordomo_application::chat::ChatLoad;
use majordomo_application::models::InferenceCounts;
use majordomo_application::ports::ProcessUsage;
use majordomo_application::usage::BudgetCounts;
use majordomo_presentation_http::http_metrics::{BUCKETS_MS, HttpMetricsSnapshot};

use super::exposition::{Kind, Page};
use super::percentiles::latency_percentiles;
use super::{float, mean, rounded};

/// What is told.
pub(super) struct Readings {
    pub(super) uptime: Duration,
    pub(super) http: HttpMetricsSnapshot,
    pub(super) inference: InferenceCounts,
    pub(super) load: ChatLoad,
    pub(super) budgets: BudgetCounts,
    /// Model calls that are missing in the ledger.
    pub(super) lost_calls: u64,
    pub(super) process: ProcessUsage,
}

/// The whole page.
pub(super) fn render(readings: &Readings) -> String {
    let mut page = Page::default();
    page.single(
        Kind::Counter,
        "app_uptime_seconds",
        "Application uptime in seconds",
        readings.uptime.as_secs(),
    );
    write_http(&mut page, &readings.http);
    write_inference(&mut page, &readings.inference);
    write_load(&mut page, readings.load);
    write_budgets(&mut page, readings.budgets, readings.lost_calls);
    write_process(&mut page, readings.process);
    page.finish()
}

fn write_load(page: &mut Page, load: ChatLoad) {
    let in_session = load.accepted.saturating_sub(load.running + load.waiting);
    let gauges = [
        ("agent_runs_running", "Turns at work", load.running),
        (
            "agent_runs_waiting",
            "Turns that wait for others to end",
            load.waiting,
        ),
        (
            "agent_runs_waiting_in_session",
            "Turns that wait for an earlier one of their session",
            in_session,
        ),
    ];
    for (name, help, count) in gauges {
        page.single(Kind::Gauge, name, help, count);
    }
    let away = load.turned_away;
    page.labelled(
        Kind::Counter,
        "agent_runs_turned_away_total",
        "Turns that were not accepted because a queue was full",
        [
            (&[("queue", "server")][..], away.server),
            (&[("queue", "user")], away.user),
            (&[("queue", "session")], away.session),
        ],
    );
}

fn write_budgets(page: &mut Page, budgets: BudgetCounts, lost_calls: u64) {
    let counters = [
        (
            "budget_warnings_total",
            "Budgets that reached the share at which is warned",
            budgets.warnings,
        ),
        (
            "budget_exhaustions_total",
            "Budgets of which nothing was left",
            budgets.exhaustions,
        ),
        (
            "budget_refusals_total",
            "Model calls that a budget did not allow",
            budgets.refusals,
        ),
        (
            "usage_calls_lost_total",
            "Model calls that are missing in the ledger",
            lost_calls,
        ),
    ];
    for (name, help, count) in counters {
        page.single(Kind::Counter, name, help, count);
    }
}

fn write_http(page: &mut Page, http: &HttpMetricsSnapshot) {
    page.labelled(
        Kind::Counter,
        "http_requests_total",
        "Total HTTP requests",
        [
            (&[("status", "success")][..], http.success),
            (&[("status", "client_error")], http.client_error),
            (&[("status", "server_error")], http.server_error),
        ],
    );
    let counters = [
        ("success", "Successful HTTP requests", http.success),
        (
            "client_error",
            "HTTP requests answered with 4xx",
            http.client_error,
        ),
        (
            "server_error",
            "HTTP requests answered with 5xx",
            http.server_error,
        ),
    ];
    for (status, help, count) in counters {
        let name = format!("http_requests_{status}_total");
        page.single(Kind::Counter, &name, help, count);
    }
    page.single(
        Kind::Gauge,
        "http_requests_active",
        "HTTP requests whose answer has not begun",
        http.active,
    );
    let percentiles = latency_percentiles(http);
    let average = rounded(mean(http.total_micros, http.total) / 1000.0);
    let gauges = [
        ("avg", "Mean response time in milliseconds", average),
        (
            "p50",
            "Median response time in milliseconds",
            percentiles.p50,
        ),
        (
            "p90",
            "90th percentile of response times in milliseconds",
            percentiles.p90,
        ),
        (
            "p99",
            "99th percentile of response times in milliseconds",
            percentiles.p99,
        ),
    ];
    for (which, help, value) in gauges {
        let name = format!("http_response_time_{which}_ms");
        page.single(Kind::Gauge, &name, help, value);
    }
    page.histogram(
        "http_response_time_ms",
        "Response times in milliseconds",
        BUCKETS_MS.into_iter().zip(http.cumulative),
        float(http.total_micros) / 1000.0,
        http.cumulative.last().copied().unwrap_or(0),
    );
}

/// What the process takes of the machine, under the names all Prometheus clients use; nothing where the system does not
/// tell.
fn write_process(page: &mut Page, process: ProcessUsage) {
    if let Some(used) = process.cpu_time {
        page.single(
            Kind::Counter,
            "process_cpu_seconds_total",
            "Processor time used, user and system",
            used.as_secs_f64(),
        );
    }
    if let Some(bytes) = process.resident_bytes {
        page.single(
            Kind::Gauge,
            "process_resident_memory_bytes",
            "Resident memory",
            bytes,
        );
    }
}

fn write_inference(page: &mut Page, inference: &InferenceCounts) {
    let calls = inference.succeeded + inference.failed;
    let counters = [
        ("inference_requests_total", "Model calls", calls),
        (
            "inference_requests_success_total",
            "Model calls with a whole answer",
            inference.succeeded,
        ),
        (
            "inference_requests_failed_total",
            "Model calls that failed",
            inference.failed,
        ),
        (
            "inference_tokens_total",
            "Tokens read and written",
            inference.tokens,
        ),
    ];
    for (name, help, count) in counters {
        page.single(Kind::Counter, name, help, count);
    }
    page.single(
        Kind::Gauge,
        "inference_time_avg_ms",
        "Mean duration of model calls in milliseconds",
        rounded(mean(inference.duration_ms, calls)),
    );
    page.histogram(
        "inference_time_ms",
        "Durations of model calls in milliseconds",
        inference.buckets.iter().copied(),
        inference.duration_ms,
        calls,
    );
    page.single(
        Kind::Gauge,
        "inference_healthy",
        "Whether the latest model call succeeded",
        u8::from(inference.healthy),
    );
}
