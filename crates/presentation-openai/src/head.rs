//! The few parts of a request that decide where it goes, read without reading the rest.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use majordomo_presentation_http::{ApiError, ErrorClass};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::invalid_parameter;
use crate::passing::{Limit, Passing};
use crate::{AGENT, AGENT_PREFIX};

/// Deepest nesting of lists and objects that is passed on; the depth JSON readers commonly accept.
const MAX_DEPTH: usize = 127;

/// The parts of a request that decide where it goes.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    body: &'a Bytes,
    /// The model's name.
    pub(crate) model: Cow<'a, str>,
    /// Where the name stands in the body, quotes included.
    span: Range<usize>,
    /// Whether a stream is wanted.
    pub(crate) stream: bool,
    /// What the request says of the length of answers, and where.
    limits: Vec<Limit>,
    /// How many answers are wanted.
    pub(crate) answers: u64,
}

/// What is to answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
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
    #[serde(borrow, default)]
    max_tokens: Spot<'a>,
    #[serde(borrow, default)]
    max_completion_tokens: Spot<'a>,
    #[serde(borrow, default)]
    n: Option<&'a RawValue>,
}

/// A value wherever there is one, be it null.
#[derive(Default)]
struct Spot<'a>(Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Spot<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&'a RawValue>::deserialize(deserializer)?;
        Ok(Self(Some(value)))
    }
}

impl<'a> Head<'a> {
    /// Reads a body. It must be one JSON object, UTF-8, nested no deeper than [`MAX_DEPTH`].
    pub(crate) fn read(body: &'a Bytes) -> Result<Self, ApiError> {
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
        let limits = [fields.max_tokens.0, fields.max_completion_tokens.0];
        let limits = limits.into_iter().flatten().map(|limit| Limit {
            tokens: serde_json::from_str(limit.get()).ok(),
            span: span_of(limit.get(), text),
        });
        Ok(Self {
            body,
            model,
            span: span_of(raw, text),
            stream: fields.stream.unwrap_or(false),
            limits: limits.collect(),
            answers: fields.n.map_or(Ok(1), |n| read_answers(n.get()))?,
        })
    }

    /// The most tokens of an answer: the largest number, where the request names several.
    pub(crate) fn max_tokens(&self) -> Option<u64> {
        self.limits.iter().filter_map(|limit| limit.tokens).max()
    }

    /// What is to answer.
    pub(crate) fn target(&self) -> Target<'_> {
        if self.model == AGENT {
            return Target::Agent { model: None };
        }
        let named = self.model.strip_prefix(AGENT_PREFIX);
        named
            .filter(|model| !model.trim().is_empty())
            .map_or(Target::Model, |model| Target::Agent { model: Some(model) })
    }

    /// What is passed on to a provider that calls the model `model`.
    pub(crate) fn passing(&self, model: &str) -> Passing {
        let name = Value::from(model).to_string();
        Passing {
            body: self.body.clone(),
            name: (self.model != model).then(|| (self.span.clone(), name)),
            limits: self.limits.clone(),
        }
    }
}

/// Where `part`, which is a part of `text`, stands in it.
fn span_of(part: &str, text: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

fn read_answers(raw: &str) -> Result<u64, ApiError> {
    let answers: Option<u64> = serde_json::from_str(raw)
        .map_err(|_| invalid_parameter("n", "invalid_type", "expected an integer"))?;
    match answers.unwrap_or(1) {
        0 => Err(invalid_parameter(
            "n",
            "invalid_value",
            "must be at least 1",
        )),
        answers => Ok(answers),
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
