//! Checks that several sections share.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::error::SettingsError;

/// Refuses a value outside the range; `unit` follows the upper bound in the message.
pub(crate) fn check_range<T: PartialOrd + Display>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
    unit: &str,
) -> Result<(), SettingsError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = (range.start(), range.end());
    Err(SettingsError::invalid(
        key,
        format!("{value} is out of range, expected {low} to {high}{unit}"),
    ))
}

/// Refuses what is not an `http` or `https` address with a host, and addresses that contain a user name or password.
pub(crate) fn check_http_url(key: &str, url: &str) -> Result<(), SettingsError> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let authority = rest
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .unwrap_or_default();
    if authority.is_empty() || authority.starts_with(':') || url.contains(char::is_whitespace) {
        return Err(SettingsError::invalid(
            key,
            "expected an address such as \"https://example.org\"",
        ));
    }
    if authority.contains('@') {
        return Err(SettingsError::invalid(
            key,
            "must not contain a user name or password",
        ));
    }
    Ok(())
}

/// Refuses what is not a web origin, `SCHEME://HOST[:PORT]` without a path (RFC 6454).
pub(crate) fn check_origin(key: &str, origin: &str) -> Result<(), SettingsError> {
    let valid = origin.split_once("://").is_some_and(|(scheme, host)| {
        scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c))
            && !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c))
    });
    if valid {
        return Ok(());
    }
    Err(SettingsError::invalid(
        key,
        "expected an origin such as \"https://example.org\", without a path",
    ))
}
