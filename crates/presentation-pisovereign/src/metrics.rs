//! Counters of requests and model calls since the start, as JSON and for Prometheus. Public, so they name nobody.

mod exposition;
pub(crate) mod percentiles;
mod prometheus;

use actix_web::web;
use majordomo_presentation_http::openapi::{Media, MediaKind, Reply};
use majordomo_presentation_http::{Kernel, Services};
use paperclip::actix::api_v2_operation;
use prometheus::Readings;
use schemars::JsonSchema;
use serde::Serialize;

/// Counters since the start.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MetricsResponse {
    /// How long the server has run, in seconds.
    uptime_seconds: u64,
    /// HTTP requests.
    http: HttpCounters,
    /// Model calls.
    inference: InferenceCounters,
}

/// HTTP requests.
#[derive(Serialize, JsonSchema)]
struct HttpCounters {
    /// Requests answered.
    requests_total: u64,
    /// Of these, with a status below 400.
    requests_success: u64,
    /// Of these, with 4xx.
    requests_client_error: u64,
    /// Of these, with 5xx.
    requests_server_error: u64,
    /// Requests whose answer has not begun.
    active_requests: u64,
    /// Mean time to an answer's first byte, in milliseconds.
    response_time_avg_ms: f64,
}

/// Model calls.
#[derive(Serialize, JsonSchema)]
struct InferenceCounters {
    /// Calls that ended.
    requests_total: u64,
    /// Of these, with a whole answer.
    requests_success: u64,
    /// Of these, without.
    requests_failed: u64,
    /// Mean time to an answer's end, in milliseconds.
    time_avg_ms: f64,
    /// Tokens read and written.
    tokens_total: u64,
    /// Whether the latest call succeeded, or none was made yet.
    healthy: bool,
}

/// GET /metrics: Metrics as JSON
#[api_v2_operation(tags(Metrics), operation_id = "get_metrics")]
pub(crate) async fn get_metrics(
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
) -> Reply<MetricsResponse> {
    let http = kernel.metrics().snapshot();
    let inference = services.inference.read();
    let calls = inference.succeeded + inference.failed;
    Reply(MetricsResponse {
        uptime_seconds: services.health.uptime().as_secs(),
        http: HttpCounters {
            requests_total: http.total,
            requests_success: http.success,
            requests_client_error: http.client_error,
            requests_server_error: http.server_error,
            active_requests: http.active,
            response_time_avg_ms: rounded(mean(http.total_micros, http.total) / 1000.0),
        },
        inference: InferenceCounters {
            requests_total: calls,
            requests_success: inference.succeeded,
            requests_failed: inference.failed,
            time_avg_ms: rounded(mean(inference.duration_ms, calls)),
            tokens_total: inference.tokens,
            healthy: inference.healthy,
        },
    })
}

/// Prometheus' text format.
pub(crate) struct Exposition;

impl MediaKind for Exposition {
    const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";
    const BINARY: bool = false;
}

/// GET /metrics/prometheus: Metrics for Prometheus
#[api_v2_operation(tags(Metrics), operation_id = "get_prometheus_metrics")]
pub(crate) async fn get_prometheus_metrics(
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
) -> Media<Exposition> {
    Media::new(prometheus::render(&Readings {
        uptime: services.health.uptime(),
        http: kernel.metrics().snapshot(),
        inference: services.inference.read(),
        load: services.chat.load(),
        budgets: services.usage.budgets().counts(),
        lost_calls: services.usage.accounting().lost_calls(),
        process: services.health.process_usage(),
    }))
}

/// A counter as a number with a fraction. Exact up to 2^53, which no counter here reaches.
#[expect(
    clippy::cast_precision_loss,
    reason = "a mean of more than 2^53 counts need not be exact"
)]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// `sum / count`; 0 when nothing was counted.
pub(crate) fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 {
        0.0
    } else {
        float(sum) / float(count)
    }
}

/// What share of `whole` is `part`, to four places; 0 when there is no whole.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    (mean(part, whole) * 10_000.0).round() / 10_000.0
}

/// To two places.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
