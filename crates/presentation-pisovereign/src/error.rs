//! How the dialect tells failures: one table from classes to statuses and codes, and the envelope.

use actix_web::http::StatusCode;
use majordomo_application::ErrorKind;
use majordomo_presentation_http::{Dialect, ErrorClass, ErrorView};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

/// The dialect itself.
#[derive(Debug, Clone, Copy)]
pub struct PiSovereign;

/// What routes of this dialect are mounted with.
pub static DIALECT: PiSovereign = PiSovereign;

/// A failure.
#[derive(Serialize, JsonSchema)]
struct ErrorResponse {
    error: ErrorBody,
}

/// What went wrong.
#[derive(Serialize, JsonSchema)]
struct ErrorBody {
    /// A stable name: `VALIDATION_ERROR`.
    code: &'static str,
    /// What went wrong, in words.
    message: String,
    /// More about it.
    details: ErrorDetails,
    /// The value of `X-Request-Id`.
    request_id: String,
    /// When to come back, in seconds; with `RATE_LIMITED`, and with `SERVICE_UNAVAILABLE` where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// More about a failure; empty unless fields are wrong.
#[derive(Serialize, JsonSchema)]
struct ErrorDetails {
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    fields: Vec<WrongField>,
}

/// A field that is wrong.
#[derive(Serialize, JsonSchema)]
struct WrongField {
    /// Its name.
    field: String,
    /// What is wrong with it.
    error: String,
}

impl Dialect for PiSovereign {
    fn name(&self) -> &'static str {
        "pisovereign"
    }

    fn status(&self, class: ErrorClass) -> StatusCode {
        match class {
            // A wrong type or a missing parameter is a malformed request here; 422 is for values that are not allowed.
            ErrorClass::Mismatched => StatusCode::BAD_REQUEST,
            other => other.default_status(),
        }
    }

    fn body(&self, error: &ErrorView<'_>) -> Value {
        let fields = error
            .issues
            .iter()
            .map(|issue| WrongField {
                field: issue.field.clone(),
                error: issue.error.clone(),
            })
            .collect();
        json!(ErrorResponse {
            error: ErrorBody {
                code: code(error.class),
                message: message(error),
                details: ErrorDetails { fields },
                request_id: error.request_id.to_string(),
                retry_after: error.retry_after,
            }
        })
    }

    fn error_schema(&self, _: ErrorClass, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<ErrorResponse>()
    }
}

fn message(error: &ErrorView<'_>) -> String {
    match error.class {
        ErrorClass::Unauthenticated => "Invalid or missing API key".to_owned(),
        ErrorClass::Mismatched => "Invalid request body or parameters".to_owned(),
        ErrorClass::Invalid => "Request validation failed".to_owned(),
        ErrorClass::RateLimited => {
            let seconds = error.retry_after.unwrap_or(1);
            format!("Too many requests. Please retry after {seconds} seconds.")
        }
        _ => error.message.to_owned(),
    }
}

const fn code(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Malformed | ErrorClass::Mismatched => "BAD_REQUEST",
        ErrorClass::Invalid => "VALIDATION_ERROR",
        ErrorClass::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
        ErrorClass::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
        ErrorClass::Unauthenticated => "UNAUTHORIZED",
        ErrorClass::Forbidden => "FORBIDDEN",
        ErrorClass::NotFound | ErrorClass::RouteNotFound => "NOT_FOUND",
        ErrorClass::MethodNotAllowed => "METHOD_NOT_ALLOWED",
        ErrorClass::Conflict => "CONFLICT",
        ErrorClass::RateLimited => "RATE_LIMITED",
        ErrorClass::Unavailable => "SERVICE_UNAVAILABLE",
        ErrorClass::Upstream => "UPSTREAM_ERROR",
        ErrorClass::Internal => "INTERNAL_ERROR",
    }
}

/// The code of a failure that is told within a stream, where there is no status.
pub(crate) const fn code_of_kind(kind: &ErrorKind) -> &'static str {
    code(match kind {
        ErrorKind::NotFound => ErrorClass::NotFound,
        ErrorKind::Conflict => ErrorClass::Conflict,
        ErrorKind::Invalid(_) => ErrorClass::Invalid,
        ErrorKind::Unauthenticated => ErrorClass::Unauthenticated,
        ErrorKind::Forbidden => ErrorClass::Forbidden,
        ErrorKind::RateLimited { .. } => ErrorClass::RateLimited,
        ErrorKind::Busy { .. } | ErrorKind::Unavailable => ErrorClass::Unavailable,
        ErrorKind::Upstream => ErrorClass::Upstream,
        ErrorKind::Internal => ErrorClass::Internal,
    })
}
