//! The few parts of a request that decide where it goes, read without reading the rest.

use std::borrow::Cow;

use bytes::Bytes;
use majordomo_presentation_http::{ApiError, ErrorClass};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::invalid_parameter;
use crate::{AGENT, AGENT_PREFIX};

/// Deepest nesting of lists and objects that is passed on; the depth JSON readers commonly accept.
const MAX_DEPTH: usize = 127;

/// The parts of a request that decide where it goes.
#[derive(Debug)]
pub(super) struct Head<'a> {
    body: &'a Bytes,
    /// The model's name.
    pub(super) model: Cow<'a, str>,
    /// Where the name stands in the body, quotes included.
    span: std::ops::Range<usize>,
    /// Whether a stream is wanted.
    pub(super) stream: bool,
}

/// What is to answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// The agent.
    Agent {
        /// The model it is to use, where one is named.
        model: Option<&'a str>,
    },
    /// The model itself.
    Model,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(default)]
    stream: Option<bool>,
}

impl<'a> Head<'a> {
    /// Reads a body. It must be one JSON object, UTF-8, nested no deeper than [`MAX_DEPTH`].
    pub(super) fn read(body: &'a Bytes) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|_| malformed("The body is not UTF-8"))?;
        if is_too_deep(text.as_bytes()) {
            return Err(malformed("The body is nested too deeply"));
        }
        // The reader of structs would take a list for one, too.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(malformed("The body must be a JSON object"));
        }
        let fields: Fields<'a> = serde_json::from_str(text).map_err(|error| wrong(&error))?;
        let missing = || invalid_parameter("model", "missing", "is required");
        let raw = fields.model.ok_or_else(missing)?.get();
        let model = read_name(raw)?;
        if model.trim().is_empty() {
            return Err(missing());
        }
        let start = raw.as_ptr().addr() - text.as_ptr().addr();
        Ok(Self {
            body,
            model,
            span: start..start + raw.len(),
            stream: fields.stream.unwrap_or(false),
        })
    }

    /// What is to answer.
    pub(super) fn target(&self) -> Target<'_> {
        if self.model == AGENT {
            return Target::Agent { model: None };
        }
        self.model
            .strip_prefix(AGENT_PREFIX)
            .map_or(Target::Model, |model| Target::Agent { model: Some(model) })
    }

    /// The body with another model's name; not a byte of the rest is touched.
    pub(super) fn body_for(&self, model: &str) -> Bytes {
        let parts = (
            self.body.get(..self.span.start),
            self.body.get(self.span.end..),
        );
        let (Some(before), Some(after)) = parts else {
            return self.body.clone();
        };
        if self.model == model {
            return self.body.clone();
        }
        let name = serde_json::Value::from(model).to_string();
        let mut spliced = Vec::with_capacity(before.len() + name.len() + after.len());
        spliced.extend_from_slice(before);
        spliced.extend_from_slice(name.as_bytes());
        spliced.extend_from_slice(after);
        Bytes::from(spliced)
    }
}

/// Most names need no unescaping, and then no copy.
fn read_name(raw: &str) -> Result<Cow<'_, str>, ApiError> {
    serde_json::from_str::<&str>(raw)
        .map(Cow::Borrowed)
        .or_else(|_| serde_json::from_str::<String>(raw).map(Cow::Owned))
        .map_err(|_| invalid_parameter("model", "invalid_type", "expected a string"))
}

fn malformed(message: &str) -> ApiError {
    ApiError::of(ErrorClass::Malformed).with_message(message)
}

/// `error` quotes a few characters at most; where it stands helps more.
fn wrong(error: &serde_json::Error) -> ApiError {
    if error.is_data() {
        let words = error.to_string();
        return if words.contains("duplicate field") {
            invalid_parameter("", "invalid_value", &words)
        } else {
            invalid_parameter("stream", "invalid_type", "expected a boolean")
        };
    }
    malformed(&format!(
        "The body is not valid JSON (line {}, column {})",
        error.line(),
        error.column()
    ))
}

/// Whether lists and objects are nested deeper than [`MAX_DEPTH`]. Right for valid JSON; what it says of other texts does
/// not matter.
fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
