//! Turns everything that goes wrong at a provider into the port's typed errors, with messages that are safe to show.

mod body;
mod retry_after;
mod scrub;

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderMap;
use hyper_util::client::legacy::Error as ClientError;
use majordomo_application::ports::{ModelError, ModelErrorKind};
use serde_json::Value;

use crate::config::ProviderKey;
use body::ErrorBody;

pub(crate) use retry_after::retry_after;

/// Makes the errors of one provider. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Failures(Arc<Provider>);

struct Provider {
    name: String,
    key: Option<ProviderKey>,
}

impl Failures {
    pub(crate) fn new(name: &str, key: Option<ProviderKey>) -> Self {
        Self(Arc::new(Provider {
            name: name.to_owned(),
            key,
        }))
    }

    /// The provider's configured name.
    pub(crate) fn provider(&self) -> &str {
        &self.0.name
    }

    /// An error whose message begins with the provider's name.
    pub(crate) fn error(&self, kind: ModelErrorKind, what: impl Display) -> ModelError {
        ModelError::new(kind, format!("{}: {what}", self.0.name))
    }

    /// The answer breaks the protocol.
    pub(crate) fn malformed(&self, what: impl Display) -> ModelError {
        self.error(ModelErrorKind::Malformed, what)
    }

    /// The answer ended before it was whole.
    pub(crate) fn broke_off(&self) -> ModelError {
        self.malformed("the answer broke off before its end")
    }

    /// A frame is no JSON of the protocol. The library's own message may quote the data, so it is not shown.
    pub(crate) fn undecodable(&self, error: &serde_json::Error) -> ModelError {
        use serde_json::error::Category;
        self.malformed(match error.classify() {
            Category::Eof => "a part of the answer is cut short",
            Category::Syntax | Category::Io => "a part of the answer is not JSON",
            Category::Data => "a part of the answer does not fit the protocol",
        })
    }

    /// Nothing came for the allowed time.
    pub(crate) fn timeout(&self, waited: Duration) -> ModelError {
        self.error(
            ModelErrorKind::Timeout,
            format_args!("no answer within {} s", seconds(waited)),
        )
    }

    /// The request failed before any answer.
    pub(crate) fn unreachable(&self, error: &ClientError) -> ModelError {
        if !error.is_connect() && timed_out(error) {
            return self.error(ModelErrorKind::Timeout, "the connection timed out");
        }
        let words = transport_words(error);
        self.error(
            ModelErrorKind::Unavailable,
            format_args!("cannot be reached: {words}"),
        )
    }

    /// The provider answered with a status other than success.
    pub(crate) fn refusal(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> ModelError {
        let body = ErrorBody::read(body);
        let kind = body.kind(Some(status), retry_after(headers));
        self.upstream(kind, Some(status), &body)
    }

    /// The provider reported an error within its answer.
    pub(crate) fn in_band(&self, error: Value) -> ModelError {
        let body = ErrorBody::from_value(error);
        let kind = body.kind(None, None);
        self.upstream(kind, None, &body)
    }

    fn upstream(
        &self,
        kind: ModelErrorKind,
        status: Option<StatusCode>,
        body: &ErrorBody,
    ) -> ModelError {
        let status = status.map_or_else(String::new, |s| format!(" (HTTP {})", s.as_u16()));
        // What a provider says to a wrong key tends to quote the key.
        if kind == ModelErrorKind::Auth {
            let what = if self.0.key.is_some() {
                "the API key is refused"
            } else {
                "an API key is wanted and none is configured"
            };
            return self.error(kind, format_args!("{what}{status}"));
        }
        let message = body
            .message()
            .map(|m| scrub::scrub(m, self.0.key.as_ref().map(ProviderKey::expose)))
            .filter(|m| !m.is_empty());
        let message = message.as_deref().unwrap_or(match kind {
            ModelErrorKind::RateLimited { .. } => "too many requests",
            ModelErrorKind::ContextTooLong => "the conversation is too long for the model",
            ModelErrorKind::Refused => "the content is refused",
            ModelErrorKind::Timeout => "the provider timed out",
            ModelErrorKind::Unavailable | ModelErrorKind::Overloaded { .. } => {
                "the provider failed"
            }
            _ => "the request is refused",
        });
        self.error(kind, format_args!("{message}{status}"))
    }
}

/// Whole seconds where it is whole, else with a fraction.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Whether the system gave the connection up.
fn timed_out(error: &ClientError) -> bool {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    let mut io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.any(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// What went wrong on the way, without addresses: they may be private.
fn transport_words(error: &ClientError) -> String {
    let mut cause = error.source();
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return io_words(io);
        }
        // The resolver's error is private to the HTTP library; only its words tell.
        if current.to_string().starts_with("dns error") {
            return "the host name cannot be resolved".to_owned();
        }
        cause = current.source();
    }
    if error.is_connect() {
        "no connection".to_owned()
    } else {
        "the connection was closed before an answer came".to_owned()
    }
}

/// Layers of the connection wrap one IO error in another; the innermost tells.
fn io_words(error: &io::Error) -> String {
    let Some(inner) = error.get_ref() else {
        return io_kind(error.kind());
    };
    if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
        return format!("TLS failed: {tls}");
    }
    match inner.downcast_ref::<io::Error>() {
        Some(io) => io_words(io),
        None => io_kind(error.kind()),
    }
}

fn io_kind(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::TimedOut => "no connection in time".to_owned(),
        kind => kind.to_string(),
    }
}
