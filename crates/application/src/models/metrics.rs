//! Counters of model calls since the process began.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use majordomo_domain::Usage;

/// Upper bounds of the duration histogram in milliseconds.
const DURATION_BOUNDS_MS: [u64; 9] = [100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000];

/// Counts model calls.
#[derive(Default)]
pub struct InferenceMetrics {
    succeeded: AtomicU64,
    failed: AtomicU64,
    tokens: AtomicU64,
    input_tokens: AtomicU64,
    cached_input_tokens: AtomicU64,
    duration_ms: AtomicU64,
    buckets: [AtomicU64; DURATION_BOUNDS_MS.len()],
    last_failed: AtomicBool,
}

/// A reading of [`InferenceMetrics`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InferenceCounts {
    /// Calls that ended with a whole answer.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Tokens read and written.
    pub tokens: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Part of `input_tokens` that providers had cached.
    pub cached_input_tokens: u64,
    /// Sum of all durations in milliseconds.
    pub duration_ms: u64,
    /// Cumulative counts per upper bound in milliseconds.
    pub buckets: Vec<(u64, u64)>,
    /// Whether the latest call succeeded, or none was made yet.
    pub healthy: bool,
}

impl InferenceMetrics {
    /// Notes the end of a call.
    pub fn record(&self, succeeded: bool, usage: Usage, duration: Duration) {
        let counter = if succeeded {
            &self.succeeded
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.last_failed.store(!succeeded, Ordering::Relaxed);
        self.count_tokens(usage);
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.duration_ms.fetch_add(millis, Ordering::Relaxed);
        let fitting = DURATION_BOUNDS_MS
            .iter()
            .zip(&self.buckets)
            .filter(|(bound, _)| millis <= **bound);
        for (_, bucket) in fitting {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the tokens of a call that says nothing else: nobody waited for its end.
    pub fn count_tokens(&self, usage: Usage) {
        self.tokens
            .fetch_add(usage.total_tokens(), Ordering::Relaxed);
        self.input_tokens
            .fetch_add(usage.input_tokens, Ordering::Relaxed);
        self.cached_input_tokens
            .fetch_add(usage.cached_input_tokens, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn read(&self) -> InferenceCounts {
        InferenceCounts {
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            tokens: self.tokens.load(Ordering::Relaxed),
            input_tokens: self.input_tokens.load(Ordering::Relaxed),
            cached_input_tokens: self.cached_input_tokens.load(Ordering::Relaxed),
            duration_ms: self.duration_ms.load(Ordering::Relaxed),
            buckets: DURATION_BOUNDS_MS
                .iter()
                .zip(&self.buckets)
                .map(|(bound, bucket)| (*bound, bucket.load(Ordering::Relaxed)))
                .collect(),
            healthy: !self.last_failed.load(Ordering::Relaxed),
        }
    }
}
