//! Bodies that are JSON, but may have the wrong shape.

use majordomo_presentation_http::openapi::{place_of, plain_words, with_plain_integers};
use majordomo_presentation_http::{ApiError, ErrorClass};
use serde::de::DeserializeOwned;

use crate::error::invalid_parameter;

/// Reads a body; what is wrong with its shape is told with its place.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut reader).or_else(|error| {
        with_plain_integers(body).ok_or_else(|| misshapen(error.path(), error.inner()))
    })
}

fn misshapen(path: &serde_path_to_error::Path, error: &serde_json::Error) -> ApiError {
    if !error.is_data() {
        return ApiError::of(ErrorClass::Malformed).with_message("The body is not valid JSON");
    }
    let mut field = place_of(path);
    let words = plain_words(&error.to_string());
    let missing = words
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    if let Some(name) = missing {
        if field.last().is_none_or(|last| last != name) {
            field.push(name.to_owned());
        }
        return invalid_parameter(&field.join("."), "missing", "is required");
    }
    let rule = if words.starts_with("invalid type") {
        "invalid_type"
    } else {
        "invalid_value"
    };
    invalid_parameter(&field.join("."), rule, &words)
}
