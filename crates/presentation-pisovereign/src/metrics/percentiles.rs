//! Percentiles of response times, estimated from a histogram.

use majordomo_presentation_http::http_metrics::{BUCKETS_MS, HttpMetricsSnapshot};
use schemars::JsonSchema;
use serde::Serialize;

use super::{float, rounded};

/// How long answers took, in milliseconds: half of them, 90% and 99% of them were not slower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub(crate) struct LatencyPercentiles {
    #[serde(rename = "p50_ms")]
    pub(crate) p50: f64,
    #[serde(rename = "p90_ms")]
    pub(crate) p90: f64,
    #[serde(rename = "p99_ms")]
    pub(crate) p99: f64,
}

/// The percentiles of all answers so far; zero before the first.
pub(crate) fn latency_percentiles(http: &HttpMetricsSnapshot) -> LatencyPercentiles {
    let percentile = |share| rounded(percentile(&http.cumulative, share));
    LatencyPercentiles {
        p50: percentile(0.5),
        p90: percentile(0.9),
        p99: percentile(0.99),
    }
}

/// As Prometheus' `histogram_quantile`: answers are taken to be spread evenly within their bucket, and those beyond the
/// last bound to lie on it.
fn percentile(cumulative: &[u64], share: f64) -> f64 {
    let total = cumulative.last().copied().map_or(0.0, float);
    if total == 0.0 {
        return 0.0;
    }
    let rank = total * share;
    let (mut lower, mut below) = (0.0, 0.0);
    for (bound, count) in BUCKETS_MS.into_iter().map(float).zip(cumulative) {
        let count = float(*count);
        if count >= rank && count > below {
            return lower + (bound - lower) * (rank - below) / (count - below);
        }
        (lower, below) = (bound, count);
    }
    lower
}
