//! What a dialect says about itself, and which dialect a path belongs to.

use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, HttpResponseBuilder};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;
use uuid::Uuid;

use crate::base_path::BasePath;
use crate::error::{ApiError, ErrorClass, FieldIssue};
use crate::rate_limit::LimitClass;

/// A failure, ready to be put into a dialect's words.
#[derive(Debug)]
pub struct ErrorView<'a> {
    /// What went wrong.
    pub class: ErrorClass,
    /// The status the answer will have.
    pub status: StatusCode,
    /// A stable name, in snake case.
    pub code: &'a str,
    /// Words safe to show.
    pub message: &'a str,
    /// The fields that are wrong.
    pub issues: &'a [FieldIssue],
    /// When to come back, in whole seconds, at least 1.
    pub retry_after: Option<u64>,
    /// The request's id, as in `X-Request-Id`.
    pub request_id: Uuid,
    /// The request's method.
    pub method: &'a Method,
    /// The request's path, without its query.
    pub path: &'a str,
}

/// One API's way of saying that something failed.
pub trait Dialect: Send + Sync + 'static {
    /// A short name: `pocketpaw`.
    fn name(&self) -> &'static str;

    /// The dialect's status for a class of failures.
    fn status(&self, class: ErrorClass) -> StatusCode {
        class.default_status()
    }

    /// The JSON body of a failure.
    fn body(&self, error: &ErrorView<'_>) -> Value;

    /// The schema of [`body`](Self::body) for a class of failures, for the dialect's document.
    fn error_schema(&self, class: ErrorClass, generator: &mut SchemaGenerator) -> Schema;
}

/// What a failed request was, as far as its answer needs it.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// The request's id.
    pub request_id: Uuid,
    /// The request's method.
    pub method: &'a Method,
    /// The request's path.
    pub path: &'a str,
}

/// The answer to a failed request in the words of `dialect`.
pub fn render(dialect: &dyn Dialect, error: &ApiError, failed: Failed<'_>) -> HttpResponse {
    let status = error
        .status_override()
        .unwrap_or_else(|| dialect.status(error.class()));
    let retry_after = error.retry_after().map(whole_seconds);
    let body = dialect.body(&ErrorView {
        class: error.class(),
        status,
        code: error.code(),
        message: error.message(),
        issues: error.issues(),
        retry_after,
        request_id: failed.request_id,
        method: failed.method,
        path: failed.path,
    });
    let mut response: HttpResponseBuilder = HttpResponse::build(status);
    if let Some(seconds) = retry_after {
        response.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
    }
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    }
    response
        .insert_header((
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ))
        .body(body.to_string())
}

/// Rounded up, so that who waits as told is let in.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    let partial = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(partial).max(1)
}

/// What holds for the paths under one prefix.
#[derive(Clone, Copy)]
pub struct Mount {
    /// How failures are told.
    pub dialect: &'static dyn Dialect,
    /// How often one address may ask.
    pub limit: LimitClass,
}

/// Which dialect and which limit a path has: the longest prefix decides. Paths are those within this server.
pub struct Mounts {
    base: BasePath,
    fallback: Mount,
    /// Longest prefix first.
    prefixes: Vec<(String, Mount)>,
}

impl Mounts {
    /// Paths under no prefix speak `dialect`.
    pub fn new(dialect: &'static dyn Dialect, limit: LimitClass) -> Self {
        Self {
            base: BasePath::default(),
            fallback: Mount { dialect, limit },
            prefixes: Vec::new(),
        }
    }

    /// `prefix` and everything below it speaks `dialect`.
    #[must_use]
    pub fn at(mut self, prefix: &str, dialect: &'static dyn Dialect, limit: LimitClass) -> Self {
        let prefix = prefix.trim_end_matches('/').to_owned();
        self.prefixes.retain(|(known, _)| *known != prefix);
        self.prefixes.push((prefix, Mount { dialect, limit }));
        self.prefixes
            .sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        self
    }

    /// The same, shown to clients under `base`.
    #[must_use]
    pub fn under(self, base: BasePath) -> Self {
        Self { base, ..self }
    }

    /// The path under which clients see the server.
    pub const fn base(&self) -> &BasePath {
        &self.base
    }

    /// What holds for `path`.
    pub fn find(&self, path: &str) -> Mount {
        self.prefixes
            .iter()
            .find(|(prefix, _)| {
                path.strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .map_or(self.fallback, |(_, mount)| *mount)
    }
}

/// The dialect of one request whose path is in more than one, kept with the request by whoever has looked at it. The
/// kernel tells failures in it.
#[derive(Clone, Copy)]
pub struct SpokenDialect(pub &'static dyn Dialect);
