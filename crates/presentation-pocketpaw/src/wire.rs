//! What this dialect writes in its own way: session ids, times, limits.

use chrono::SecondsFormat;
use majordomo_domain::{SessionId, Timestamp};
use majordomo_presentation_http::{ApiError, ErrorClass, FieldIssue, Location};

/// A session's id as clients know it.
pub(crate) fn wire_id(id: &SessionId) -> String {
    format!("websocket_{id}")
}

/// A time as clients read it: `2026-02-07T10:30:00.123456+00:00`.
pub(crate) fn wire_time(at: Timestamp) -> String {
    at.to_utc().to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// RFC 3339; a time without offset is in UTC.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_rfc3339(&format!("{text}Z")))
}

/// An input with one fault, told under a rule's name.
pub(crate) fn fault(
    location: Location,
    field: &str,
    rule: &'static str,
    words: impl Into<String>,
) -> ApiError {
    refused(FieldIssue::new(location, field, rule, words))
}

fn refused(issue: FieldIssue) -> ApiError {
    ApiError::invalid(ErrorClass::Invalid, vec![issue])
}

/// Fails unless `text` has 1 to `max` characters.
pub(crate) fn check_length(field: &str, text: &str, max: usize) -> Result<(), ApiError> {
    let (rule, words, bound) = if text.is_empty() {
        let words = "String should have at least 1 character".to_owned();
        ("string_too_short", words, ("min_length", 1))
    } else if text.chars().nth(max).is_some() {
        let words = format!("String should have at most {max} characters");
        ("string_too_long", words, ("max_length", max))
    } else {
        return Ok(());
    };
    let issue = FieldIssue::new(Location::Body, field, rule, words);
    Err(refused(issue.with_input(text).with_bound(bound.0, bound.1)))
}

/// The query's `limit`: `default` when missing, refused outside `1..=max`.
pub(crate) fn limit(asked: Option<i64>, default: u32, max: u32) -> Result<u32, ApiError> {
    let Some(asked) = asked else {
        return Ok(default);
    };
    let (rule, words, bound) = match u32::try_from(asked) {
        Ok(limit) if (1..=max).contains(&limit) => return Ok(limit),
        _ if asked < 1 => ("greater_than_equal", "greater than", ("ge", 1)),
        _ => ("less_than_equal", "less than", ("le", max)),
    };
    let words = format!("Input should be {words} or equal to {}", bound.1);
    let issue = FieldIssue::new(Location::Query, "limit", rule, words);
    let issue = issue.with_input(asked.to_string());
    Err(refused(issue.with_bound(bound.0, bound.1)))
}

/// As [`limit`], for routes that have never refused one: what is out of bounds is taken as the nearest bound.
pub(crate) fn lenient_limit(asked: Option<i64>, default: u32, max: u32) -> u32 {
    asked.map_or(default, |asked| {
        u32::try_from(asked.clamp(1, i64::from(max))).unwrap_or(default)
    })
}
