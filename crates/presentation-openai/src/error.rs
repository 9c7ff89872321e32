//! How this dialect tells failures: one table from classes to OpenAI's types and codes, one body.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use bytes::Bytes;
use majordomo_presentation_http::{ApiError, Dialect, ErrorClass, ErrorView, FieldIssue, Location};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

/// OpenAI's way of telling failures.
#[derive(Debug)]
pub struct OpenAi;

/// OpenAI's way of telling failures.
pub static DIALECT: &dyn Dialect = &OpenAi;

/// The codes of input whose fields are wrong: its shape, and what the services say of it.
const WRONG_FIELDS: [&str; 2] = ["validation_error", "invalid_field"];
/// The code of a budget that is used up.
const BUDGET_EXCEEDED: &str = "budget_exceeded";
/// OpenAI's type and code for it.
const INSUFFICIENT_QUOTA: &str = "insufficient_quota";

/// The body of every failure.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorResponse<'a> {
    /// What went wrong.
    error: ErrorObject<'a>,
}

/// What went wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorObject<'a> {
    /// In words.
    message: Cow<'a, str>,
    /// The kind of failure.
    r#type: &'a str,
    /// The parameter at fault: `messages[0].content`.
    param: Option<String>,
    /// A stable name.
    code: &'a str,
}

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn status(&self, class: ErrorClass) -> StatusCode {
        match class {
            // OpenAI knows no 422.
            ErrorClass::Mismatched | ErrorClass::Invalid => StatusCode::BAD_REQUEST,
            other => other.default_status(),
        }
    }

    fn body(&self, error: &ErrorView<'_>) -> Value {
        let parts = (error.class, error.code, error.message, error.issues);
        serde_json::to_value(response(parts)).unwrap_or(Value::Null)
    }

    fn error_schema(&self, _: ErrorClass, generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<ErrorResponse<'static>>()
    }
}

fn response<'a>(
    (class, code, message, issues): (ErrorClass, &'a str, &'a str, &'a [FieldIssue]),
) -> ErrorResponse<'a> {
    let issue = issues.first();
    ErrorResponse {
        error: ErrorObject {
            message: match issue {
                Some(issue) if WRONG_FIELDS.contains(&code) => Cow::Owned(words(issue)),
                _ => Cow::Borrowed(message),
            },
            r#type: if code == BUDGET_EXCEEDED {
                INSUFFICIENT_QUOTA
            } else {
                kind(class)
            },
            param: issue
                .filter(|issue| !issue.field.is_empty())
                .map(|issue| parameter(&issue.field)),
            code: match class {
                ErrorClass::Unauthenticated => "invalid_api_key",
                ErrorClass::RateLimited if code == BUDGET_EXCEEDED => INSUFFICIENT_QUOTA,
                ErrorClass::RateLimited => "rate_limit_exceeded",
                _ => code_of(code, issue),
            },
        },
    }
}

/// OpenAI's word for a kind of failure.
const fn kind(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::RateLimited => "requests",
        ErrorClass::Unavailable | ErrorClass::Upstream | ErrorClass::Internal => "server_error",
        _ => "invalid_request_error",
    }
}

/// OpenAI's word for a failure where it has one.
fn code_of<'a>(code: &'a str, issue: Option<&FieldIssue>) -> &'a str {
    match (code, issue.map(|issue| issue.rule)) {
        ("context_too_long", _) => "context_length_exceeded",
        ("refused", _) => "content_filter",
        (_, rule) if WRONG_FIELDS.contains(&code) => match rule {
            Some("missing") => "missing_required_parameter",
            Some("invalid_type") => "invalid_type",
            _ => "invalid_value",
        },
        _ => code,
    }
}

/// What is wrong with a parameter, in OpenAI's words.
fn words(issue: &FieldIssue) -> String {
    let (field, error) = (parameter(&issue.field), &issue.error);
    match issue.rule {
        "missing" => format!("Missing required parameter: '{field}'."),
        _ if field.is_empty() => format!("Invalid request: {error}."),
        _ => format!("Invalid value for '{field}': {error}."),
    }
}

/// The parameter that holds `field`: `messages.0.content` as `messages[0].content`. The message to the agent is one of
/// `messages`.
fn parameter(field: &str) -> String {
    if field == "message" {
        return "messages".to_owned();
    }
    let mut text = String::with_capacity(field.len() + 4);
    for part in field.split('.') {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            text.push('[');
            text.push_str(part);
            text.push(']');
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(part);
        }
    }
    text
}

/// A parameter that is wrong.
pub(crate) fn invalid_parameter(field: &str, rule: &'static str, error: &str) -> ApiError {
    let issue = FieldIssue::new(Location::Body, field, rule, error);
    ApiError::invalid(ErrorClass::Mismatched, vec![issue])
}

/// The statuses OpenAI has for what the agent and the models answer: a model that does not exist is not found, content
/// that is refused is a bad request.
pub(crate) fn refine(error: ApiError) -> ApiError {
    match error.code() {
        "model_not_found" => error.with_status(StatusCode::NOT_FOUND),
        "refused" => error.with_status(StatusCode::BAD_REQUEST),
        _ => error,
    }
}

/// A failure within a stream that has begun: the same body as one event.
pub(crate) fn event_of(error: &ApiError) -> Bytes {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(failure_json(error).as_bytes());
    event.extend_from_slice(b"\n\n");
    Bytes::from(event)
}

/// A failure's body.
pub(crate) fn failure_json(error: &ApiError) -> String {
    let parts = (error.class(), error.code(), error.message(), error.issues());
    serde_json::to_string(&response(parts)).unwrap_or_default()
}
