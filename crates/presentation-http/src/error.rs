//! The one error of the web: what a handler or extractor returns, before a dialect gives it a status and a body.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use majordomo_application::{ErrorKind, FieldError, ServiceError, error::INTERNAL_MESSAGE};
use paperclip::v2::schema::Apiv2Errors;
use serde_json::Value;

/// What went wrong, in the words of HTTP. A dialect has one table from these to statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// The body is not JSON, or not UTF-8, or nested too deeply.
    Malformed,
    /// A parameter or the body is readable but has not the documented shape: a wrong type, a missing field.
    Mismatched,
    /// The input has the right shape and values that are not allowed.
    Invalid,
    /// The body's content type is not one the operation reads.
    UnsupportedMediaType,
    /// The body is larger than the operation reads.
    PayloadTooLarge,
    /// No credential, or a wrong one.
    Unauthenticated,
    /// The credential does not allow this.
    Forbidden,
    /// No such object for this caller.
    NotFound,
    /// No such path.
    RouteNotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// The object's state forbids the act.
    Conflict,
    /// Too many requests.
    RateLimited,
    /// A part this server needs does not answer or is full.
    Unavailable,
    /// A model provider or other outside service answered wrongly.
    Upstream,
    /// A defect or a storage failure.
    Internal,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 15] = [
        Self::Malformed,
        Self::Mismatched,
        Self::Invalid,
        Self::UnsupportedMediaType,
        Self::PayloadTooLarge,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::RateLimited,
        Self::Unavailable,
        Self::Upstream,
        Self::Internal,
    ];

    /// The usual status, for dialects which do not say otherwise.
    pub const fn default_status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Mismatched | Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound | Self::RouteNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The class of a status that something other than this crate chose.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::RouteNotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::CONFLICT => Self::Conflict,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => Self::Invalid,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::BAD_GATEWAY => Self::Upstream,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_client_error() => Self::Malformed,
            _ => Self::Internal,
        }
    }

    /// A stable code and a sentence, for failures that no service has words for.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => ("bad_request", "The request could not be read"),
            Self::Mismatched | Self::Invalid => ("validation_error", "Request validation failed"),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                "Expected a body of application/json",
            ),
            Self::PayloadTooLarge => ("payload_too_large", "The body is too large"),
            Self::Unauthenticated => ("unauthorized", "Invalid or missing credential"),
            Self::Forbidden => ("forbidden", "The credential does not allow this"),
            Self::NotFound | Self::RouteNotFound => ("not_found", "Not Found"),
            Self::MethodNotAllowed => ("method_not_allowed", "Method Not Allowed"),
            Self::Conflict => ("conflict", "The object is in another state"),
            Self::RateLimited => ("rate_limited", "Too many requests"),
            Self::Unavailable => ("unavailable", "The service is unavailable"),
            Self::Upstream => ("upstream_error", "An outside service answered wrongly"),
            Self::Internal => ("internal", INTERNAL_MESSAGE),
        }
    }
}

/// Which part of the request a bad field stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// The body.
    Body,
    /// The query string.
    Query,
    /// The path.
    Path,
    /// A header.
    Header,
}

impl Location {
    /// The name in error bodies: `body`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Query => "query",
            Self::Path => "path",
            Self::Header => "header",
        }
    }
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldIssue {
    /// Where the field stands.
    pub location: Location,
    /// The field, with dots for nesting and numbers for places in lists: `messages.0.content`. Empty for the whole part.
    pub field: String,
    /// What is wrong with it.
    pub error: String,
    /// A stable name of the rule: `missing`, `invalid_type`, `unknown_field`, `invalid_value`.
    pub rule: &'static str,
    /// What was sent, where it is known, short and no secret.
    pub input: Option<Value>,
    /// The bound that was crossed: `min_length` and 1.
    pub bound: Option<(&'static str, Value)>,
}

/// Longest text that is shown again, in bytes.
const MAX_INPUT: usize = 200;
/// What the names of fields have in them that hold secrets.
const SECRETS: [&str; 8] = [
    "pass",
    "token",
    "secret",
    "key",
    "code",
    "credential",
    "auth",
    "webhook",
];

impl FieldIssue {
    /// What is wrong with `field`, told under the name of a rule.
    pub fn new(
        location: Location,
        field: impl Into<String>,
        rule: &'static str,
        error: impl Into<String>,
    ) -> Self {
        Self {
            location,
            field: field.into(),
            error: error.into(),
            rule,
            input: None,
            bound: None,
        }
    }

    /// The same issue that shows what was sent: a number, a truth value or a short text, and never a secret.
    #[must_use]
    pub fn with_input(mut self, input: impl Into<Value>) -> Self {
        let input = input.into();
        let shown = match &input {
            Value::String(text) => text.len() <= MAX_INPUT,
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
            Value::Array(_) | Value::Object(_) => false,
        };
        let field = self.field.to_ascii_lowercase();
        let secret = SECRETS.iter().any(|part| field.contains(part));
        self.input = (shown && !secret).then_some(input);
        self
    }

    /// The same issue that tells the bound that was crossed.
    #[must_use]
    pub fn with_bound(mut self, name: &'static str, bound: impl Into<Value>) -> Self {
        self.bound = Some((name, bound.into()));
        self
    }
}

impl From<FieldError> for FieldIssue {
    fn from(error: FieldError) -> Self {
        Self::new(Location::Body, error.field, "invalid_value", error.error)
    }
}

#[derive(Debug, Clone)]
struct Parts {
    class: ErrorClass,
    status: Option<StatusCode>,
    code: Cow<'static, str>,
    message: String,
    issues: Vec<FieldIssue>,
    retry_after: Option<Duration>,
}

/// A failed request. Every [`ServiceError`] converts into it; the middleware renders it in the dialect of the route.
#[derive(Debug, Clone)]
pub struct ApiError(Box<Parts>);

impl ApiError {
    /// A failure with its own code and words.
    pub fn new(
        class: ErrorClass,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Parts {
            class,
            status: None,
            code: code.into(),
            message: message.into(),
            issues: Vec::new(),
            retry_after: None,
        }))
    }

    /// A failure in the words every failure of its class has.
    pub fn of(class: ErrorClass) -> Self {
        let (code, message) = class.words();
        Self::new(class, code, message)
    }

    /// An input whose fields are wrong.
    pub fn invalid(class: ErrorClass, issues: Vec<FieldIssue>) -> Self {
        let mut error = Self::of(class);
        error.0.issues = issues;
        error
    }

    /// Too many requests.
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::of(ErrorClass::RateLimited).with_retry_after(retry_after)
    }

    /// Logs `cause` with its chain and shows none of it.
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        tracing::error!(cause = %Chain(cause), "request failed");
        Self::of(ErrorClass::Internal)
    }

    /// The same failure with other words.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// The same failure with a status of its own, whatever the dialect's table says.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// The same failure that says when to come back.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.0.retry_after = Some(retry_after);
        self
    }

    /// What went wrong.
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// The status that replaces the dialect's.
    pub fn status_override(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// A stable name.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// Words safe to show.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields that are wrong.
    pub fn issues(&self) -> &[FieldIssue] {
        &self.0.issues
    }

    /// When to come back.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl<E: ServiceError> From<E> for ApiError {
    /// The boundary at which causes are logged, once, with their chain.
    fn from(error: E) -> Self {
        let (class, issues, retry_after) = match error.kind() {
            ErrorKind::NotFound => (ErrorClass::NotFound, Vec::new(), None),
            ErrorKind::Conflict => (ErrorClass::Conflict, Vec::new(), None),
            ErrorKind::Invalid(fields) => (
                ErrorClass::Invalid,
                fields.into_iter().map(FieldIssue::from).collect(),
                None,
            ),
            ErrorKind::Unauthenticated => (ErrorClass::Unauthenticated, Vec::new(), None),
            ErrorKind::Forbidden => (ErrorClass::Forbidden, Vec::new(), None),
            ErrorKind::RateLimited { retry_after } => {
                (ErrorClass::RateLimited, Vec::new(), Some(retry_after))
            }
            ErrorKind::Busy { retry_after } => {
                tracing::warn!(code = error.code(), "a request is turned away");
                (ErrorClass::Unavailable, Vec::new(), Some(retry_after))
            }
            ErrorKind::Unavailable => {
                tracing::warn!(cause = %Chain(&error), code = error.code(), "a needed part is unavailable");
                (ErrorClass::Unavailable, Vec::new(), None)
            }
            ErrorKind::Upstream => {
                tracing::warn!(cause = %Chain(&error), code = error.code(), "an outside service failed");
                (ErrorClass::Upstream, Vec::new(), None)
            }
            ErrorKind::Internal => {
                tracing::error!(cause = %Chain(&error), code = error.code(), "request failed");
                (ErrorClass::Internal, Vec::new(), None)
            }
        };
        let message = if class == ErrorClass::Internal {
            INTERNAL_MESSAGE.to_owned()
        } else {
            error.public_message()
        };
        Self(Box::new(Parts {
            class,
            status: None,
            code: Cow::Borrowed(error.code()),
            message,
            issues,
            retry_after,
        }))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.status.unwrap_or(self.0.class.default_status())
    }

    /// Only what is seen where the middleware is missing; it replaces this by the dialect's own form.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(
            serde_json::json!({ "error": { "code": self.code(), "message": self.message() } }),
        )
    }
}

/// The documents describe a dialect's errors for every operation alike, so an operation has nothing to add.
impl Apiv2Errors for ApiError {}

/// An error and its causes, `: ` between them.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
