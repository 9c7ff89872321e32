//! Reads the error bodies of all protocols. Compatible servers mix them freely, so one reader knows them all.

use std::time::Duration;

use http::StatusCode;
use majordomo_application::ports::ModelErrorKind;
use serde_json::Value;

use super::retry_after::parse_seconds;

/// Codes and phrases (lower case) that say that the input is too long: OpenAI, llama.cpp, vLLM, Anthropic, Gemini, Ollama.
const CONTEXT: [&str; 10] = [
    "context_length_exceeded",
    "exceed_context_size",
    "model_context_window_exceeded",
    "maximum context length",
    "prompt is too long",
    "exceeds the maximum number of tokens",
    "exceeds the available context size",
    "exceeds the context length",
    "maximum input length",
    "input is too large to process",
];
/// Codes that say that the content is refused: OpenAI, Azure, `OpenRouter`, and Gemini's block reasons.
const REFUSED: [&str; 6] = [
    "content_policy_violation",
    "content_filter",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "safety",
    "prohibited_content",
];
const AUTH: [&str; 6] = [
    "invalid_api_key",
    "api_key_invalid",
    "authentication_error",
    "permission_error",
    "permission_denied",
    "unauthenticated",
];
const RATE_LIMITED: [&str; 5] = [
    "rate_limit_error",
    "rate_limit_exceeded",
    "insufficient_quota",
    "resource_exhausted",
    "too_many_requests",
];
const TIMEOUT: [&str; 3] = ["timeout_error", "deadline_exceeded", "request_timeout"];
/// Codes that say that there is no such model: OpenAI, Anthropic, Gemini.
const UNKNOWN_MODEL: [&str; 3] = ["model_not_found", "not_found_error", "not_found"];
const INVALID: [&str; 2] = ["invalid_request_error", "invalid_argument"];

/// An error body, as far as it could be read.
pub(crate) struct ErrorBody {
    value: Value,
}

impl ErrorBody {
    /// Reads a response body; anything but JSON says nothing, since it is a page of some proxy.
    pub(crate) fn read(body: &[u8]) -> Self {
        Self::from_value(serde_json::from_slice(body).unwrap_or_default())
    }

    /// Takes a decoded body, `{"error": {...}}` or what is within `error`.
    pub(crate) fn from_value(mut value: Value) -> Self {
        // Gemini wraps the error of a stream in a list.
        if let Value::Array(items) = value {
            value = items.into_iter().next().unwrap_or_default();
        }
        if let Some(error) = value.get_mut("error") {
            value = error.take();
        }
        Self { value }
    }

    /// What the provider says, where it says something.
    pub(crate) fn message(&self) -> Option<&str> {
        self.value
            .as_str()
            .or_else(|| self.text("message"))
            .or_else(|| self.text("detail"))
    }

    /// What kind of error this is.
    pub(crate) fn kind(
        &self,
        status: Option<StatusCode>,
        header_wait: Option<Duration>,
    ) -> ModelErrorKind {
        let wait = || header_wait.or_else(|| self.retry_delay());
        let rate_limited = || ModelErrorKind::RateLimited {
            retry_after: wait(),
        };
        let unavailable = || {
            wait().map_or(ModelErrorKind::Unavailable, |retry_after| {
                ModelErrorKind::Overloaded { retry_after }
            })
        };
        let message = self.message().unwrap_or_default().to_lowercase();
        if CONTEXT.iter().any(|word| message.contains(word)) || self.has_code(&CONTEXT) {
            return ModelErrorKind::ContextTooLong;
        }
        if self.has_code(&AUTH) {
            return ModelErrorKind::Auth;
        }
        if self.has_code(&REFUSED) {
            return ModelErrorKind::Refused;
        }
        if self.has_code(&UNKNOWN_MODEL) {
            return ModelErrorKind::UnknownModel;
        }
        match status.map(|s| s.as_u16()) {
            // One that says nothing comes from something else than the provider: the address is wrong.
            Some(404) if !message.is_empty() => ModelErrorKind::UnknownModel,
            Some(401..=403) => ModelErrorKind::Auth,
            Some(408 | 504) => ModelErrorKind::Timeout,
            Some(413) => ModelErrorKind::ContextTooLong,
            Some(429) => rate_limited(),
            Some(409 | 425 | 500..) => unavailable(),
            Some(_) => ModelErrorKind::Invalid,
            None if self.has_code(&RATE_LIMITED) || self.number("code") == Some(429) => {
                rate_limited()
            }
            None if self.has_code(&TIMEOUT) => ModelErrorKind::Timeout,
            None if self.has_code(&INVALID) => ModelErrorKind::Invalid,
            None => unavailable(),
        }
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.value.get(field).and_then(Value::as_str)
    }

    fn number(&self, field: &str) -> Option<u64> {
        self.value.get(field).and_then(Value::as_u64)
    }

    fn details(&self) -> impl Iterator<Item = &Value> {
        let details = self.value.get("details").and_then(Value::as_array);
        details.into_iter().flatten()
    }

    /// Whether one of the fields that hold codes (OpenAI `code` and `type`, Anthropic `type`, Google `status` and
    /// `details[].reason`) is one of `codes`.
    fn has_code(&self, codes: &[&str]) -> bool {
        let own = ["code", "type", "status"].map(|field| self.text(field));
        let reasons = self
            .details()
            .map(|d| d.get("reason").and_then(Value::as_str));
        own.into_iter().chain(reasons).flatten().any(|found| {
            codes
                .iter()
                .any(|code| found.eq_ignore_ascii_case(code) || is_variant(found, code))
        })
    }

    /// Google's `RetryInfo`.
    fn retry_delay(&self) -> Option<Duration> {
        self.details()
            .find_map(|d| parse_seconds(d.get("retryDelay")?.as_str()?))
    }
}

/// llama.cpp appends `_error` to its codes.
fn is_variant(found: &str, code: &str) -> bool {
    found.strip_suffix("_error") == Some(code)
}
