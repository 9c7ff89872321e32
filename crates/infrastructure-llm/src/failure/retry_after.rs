//! When a provider says to come back.

use std::time::Duration;

use chrono::DateTime;
use http::header::{DATE, HeaderMap, RETRY_AFTER};

/// Longest wait that is believed.
const MAX_WAIT: Duration = Duration::from_hours(24);

/// Reads `retry-after-ms` (OpenAI) and `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3). A date counts from
/// the response's own `Date`, so that no clock of ours matters.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let milliseconds = text("retry-after-ms")
        .and_then(parse_seconds)
        .map(|wait| wait / 1000);
    milliseconds
        .or_else(|| {
            let value = text(RETRY_AFTER.as_str())?;
            parse_seconds(value).or_else(|| until(value, text(DATE.as_str())?))
        })
        .map(|wait| wait.min(MAX_WAIT))
}

/// Seconds, with a fraction as some providers send it and with the `s` of protobuf durations.
pub(crate) fn parse_seconds(value: &str) -> Option<Duration> {
    let value = value.trim();
    let value = value.strip_suffix('s').unwrap_or(value);
    Duration::try_from_secs_f64(value.parse().ok()?).ok()
}

fn until(date: &str, now: &str) -> Option<Duration> {
    let date = DateTime::parse_from_rfc2822(date.trim()).ok()?;
    let now = DateTime::parse_from_rfc2822(now.trim()).ok()?;
    Some((date - now).to_std().unwrap_or_default())
}
