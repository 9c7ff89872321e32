//! How the dialect tells failures. Its clients show `error` as text, except where nothing was reached that could speak for
//! itself: there `error` is an object.

use actix_web::http::StatusCode;
use majordomo_presentation_http::{ApiError, Dialect, ErrorClass, ErrorView};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

/// The dialect itself.
#[derive(Debug, Clone, Copy)]
pub struct Pixcode;

/// What routes of this dialect are mounted with.
pub static DIALECT: Pixcode = Pixcode;

/// A failure that a route tells.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErrorResponse {
    /// Always `false`.
    success: bool,
    /// What went wrong, in words.
    error: String,
    /// A stable name: `VALIDATION_ERROR`.
    code: &'static str,
    /// As `error`.
    message: String,
}

/// A failure that no route tells: an unknown path, an unreadable body, a defect.
#[derive(Serialize, JsonSchema)]
struct UnhandledErrorResponse {
    /// Always `false`.
    success: bool,
    error: UnhandledError,
}

/// What went wrong.
#[derive(Serialize, JsonSchema)]
struct UnhandledError {
    /// A stable name: `ROUTE_NOT_FOUND`.
    code: &'static str,
    /// What went wrong, in words.
    message: String,
}

impl Dialect for Pixcode {
    fn name(&self) -> &'static str {
        "pixcode"
    }

    fn status(&self, class: ErrorClass) -> StatusCode {
        match class {
            ErrorClass::Mismatched | ErrorClass::Invalid => StatusCode::BAD_REQUEST,
            other => other.default_status(),
        }
    }

    fn body(&self, error: &ErrorView<'_>) -> Value {
        let (code, message) = (code(error.class), message(error));
        if is_unhandled(error.class) {
            json!(UnhandledErrorResponse {
                success: false,
                error: UnhandledError { code, message },
            })
        } else {
            json!(ErrorResponse {
                success: false,
                error: message.clone(),
                code,
                message,
            })
        }
    }

    fn error_schema(&self, class: ErrorClass, generator: &mut SchemaGenerator) -> Schema {
        if is_unhandled(class) {
            generator.subschema_for::<UnhandledErrorResponse>()
        } else {
            generator.subschema_for::<ErrorResponse>()
        }
    }
}

const fn is_unhandled(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::RouteNotFound
            | ErrorClass::MethodNotAllowed
            | ErrorClass::Malformed
            | ErrorClass::Internal
    )
}

fn message(error: &ErrorView<'_>) -> String {
    match (error.class, error.issues) {
        (ErrorClass::Unauthenticated, _) if error.code == "missing_credential" => {
            "Access denied. No token provided.".to_owned()
        }
        (ErrorClass::Unauthenticated, _) if error.code != "wrong_password" => {
            "Invalid token".to_owned()
        }
        (ErrorClass::RouteNotFound, _) => {
            format!("No handler for {} {}.", error.method, error.path)
        }
        (ErrorClass::Mismatched | ErrorClass::Invalid, [issue, ..]) if issue.field.is_empty() => {
            format!("The {} {}", issue.location.as_str(), issue.error)
        }
        (ErrorClass::Mismatched | ErrorClass::Invalid, [issue, ..]) => {
            format!("{} {}", issue.field, issue.error)
        }
        _ => error.message.to_owned(),
    }
}

const fn code(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Malformed => "INVALID_JSON",
        ErrorClass::Mismatched | ErrorClass::Invalid => "VALIDATION_ERROR",
        ErrorClass::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
        ErrorClass::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
        ErrorClass::Unauthenticated => "UNAUTHORIZED",
        ErrorClass::Forbidden => "FORBIDDEN",
        ErrorClass::NotFound => "NOT_FOUND",
        ErrorClass::RouteNotFound => "ROUTE_NOT_FOUND",
        ErrorClass::MethodNotAllowed => "METHOD_NOT_ALLOWED",
        ErrorClass::Conflict => "CONFLICT",
        ErrorClass::RateLimited => "RATE_LIMITED",
        ErrorClass::Unavailable => "SERVICE_UNAVAILABLE",
        ErrorClass::Upstream => "UPSTREAM_ERROR",
        ErrorClass::Internal => "INTERNAL_ERROR",
    }
}

/// A field that is missing or wrong: 400, as Pixcode's routes for people and keys tell it.
pub(crate) fn bad_request(words: &str) -> ApiError {
    ApiError::new(ErrorClass::Invalid, "invalid_field", words).with_status(StatusCode::BAD_REQUEST)
}
