//! Counters of HTTP requests, read by the dialects' metrics routes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::StatusCode;

/// Upper bounds of the response-time buckets, in milliseconds. A last bucket takes what is slower.
pub const BUCKETS_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// Counters since the start; shared by all workers.
#[derive(Debug, Default)]
pub struct HttpMetrics {
    success: AtomicU64,
    client_error: AtomicU64,
    server_error: AtomicU64,
    active: AtomicU64,
    total_micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS_MS.len() + 1],
}

/// One reading of [`HttpMetrics`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpMetricsSnapshot {
    /// Requests answered.
    pub total: u64,
    /// Of these, answered with a status below 400.
    pub success: u64,
    /// Of these, answered with 4xx.
    pub client_error: u64,
    /// Of these, answered with 5xx.
    pub server_error: u64,
    /// Requests whose answer has not begun.
    pub active: u64,
    /// Time from a request's head to its answer's head, summed, in microseconds.
    pub total_micros: u64,
    /// Answers not slower than each of [`BUCKETS_MS`], cumulative; the last entry counts all.
    pub cumulative: [u64; BUCKETS_MS.len() + 1],
}

impl HttpMetrics {
    /// Counts a request as active until [`end`](Self::end).
    pub(crate) fn begin(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn record(&self, status: StatusCode, elapsed: Duration) {
        let by_status = if status.is_server_error() {
            &self.server_error
        } else if status.is_client_error() {
            &self.client_error
        } else {
            &self.success
        };
        by_status.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
        let bucket = BUCKETS_MS.partition_point(|bound| bound.saturating_mul(1000) < micros);
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counters now.
    pub fn snapshot(&self) -> HttpMetricsSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut sum = 0;
        let cumulative = std::array::from_fn(|bucket| {
            sum += self.buckets.get(bucket).map_or(0, read);
            sum
        });
        let (success, client_error, server_error) = (
            read(&self.success),
            read(&self.client_error),
            read(&self.server_error),
        );
        HttpMetricsSnapshot {
            total: success + client_error + server_error,
            success,
            client_error,
            server_error,
            active: read(&self.active),
            total_micros: read(&self.total_micros),
            cumulative,
        }
    }
}
