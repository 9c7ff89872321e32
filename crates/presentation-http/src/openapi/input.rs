//! Typed parts of a request: JSON bodies, query strings and path parameters, with errors that name the field.

use std::future::{Future, Ready, ready};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use serde_path_to_error::Segment;

use super::collector::{Fragment, record_parameter};
use crate::error::{ApiError, ErrorClass, FieldIssue, Location};
use crate::kernel::{DEFAULT_BODY_LIMIT, Kernel};

/// A JSON body: one object. It must be declared as `application/json` (or `...+json`), be no larger than the limit, and nest no
/// deeper than 128 levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body<T>(pub T);

/// As [`Body`] where the body may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionalBody<T>(pub Option<T>);

/// How many bytes the JSON bodies of a scope or resource may have, given as its `app_data`; the kernel's limit holds
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimit(pub usize);

/// 2^53: from here on floating point numbers skip integers.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

type Reading<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = limit_of(request);
        let declared = is_json(request.headers());
        let length = declared_length(request.headers());
        let payload = payload.take();
        Box::pin(async move {
            let bytes = read(payload, length, limit).await?;
            if !declared {
                return Err(ApiError::of(ErrorClass::UnsupportedMediaType));
            }
            parse(&bytes).map(Body)
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for OptionalBody<T> {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = limit_of(request);
        let declared = is_json(request.headers());
        let length = declared_length(request.headers());
        let payload = payload.take();
        Box::pin(async move {
            let bytes = read(payload, length, limit).await?;
            if bytes.is_empty() {
                return Ok(Self(None));
            }
            if !declared {
                return Err(ApiError::of(ErrorClass::UnsupportedMediaType));
            }
            parse(&bytes).map(|body| Self(Some(body)))
        })
    }
}

fn limit_of(request: &HttpRequest) -> usize {
    request.app_data::<BodyLimit>().map_or_else(
        || Kernel::of(request).map_or(DEFAULT_BODY_LIMIT, Kernel::body_limit),
        |limit| limit.0,
    )
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence
            .len()
            .checked_sub("+json".len())
            .and_then(|start| essence.get(start..))
            .is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads the whole body, without a copy when it comes in one piece.
async fn read(
    mut payload: Payload,
    declared: Option<usize>,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::of(ErrorClass::PayloadTooLarge)
            .with_message(format!("The body is larger than {limit} bytes"))
    };
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| {
            ApiError::of(ErrorClass::Malformed).with_message("The body was not sent completely")
        })?;
        if first.len() + joined.len() + chunk.len() > limit {
            return Err(too_large());
        }
        if first.is_empty() && joined.is_empty() {
            first = chunk;
        } else {
            if joined.is_empty() {
                joined.reserve(declared.unwrap_or(0).max(first.len() + chunk.len()));
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&chunk);
        }
    }
    Ok(if joined.is_empty() {
        first
    } else {
        joined.freeze()
    })
}

/// Reads a JSON object; looks for the field at fault only when there is a fault.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // The reader of structs would take a list for one, too.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(no_object(bytes));
    }
    serde_json::from_slice(bytes).or_else(|error| {
        if !error.is_data() {
            return Err(not_json(&error));
        }
        if let Some(body) = with_plain_integers(bytes) {
            return Ok(body);
        }
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let message = plain_words(&error.inner().to_string());
            mismatched(Location::Body, error.path(), &message, |place| {
                sent_at(bytes, place)
            })
        })
    })
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::of(ErrorClass::Malformed).with_message(format!("The body is not valid JSON: {error}"))
}

fn no_object(bytes: &[u8]) -> ApiError {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        return not_json(&error);
    }
    let words = "must be a JSON object";
    let issue = FieldIssue::new(Location::Body, "", "invalid_type", words);
    ApiError::invalid(ErrorClass::Mismatched, vec![issue])
}

/// What stands at a place in a body.
fn sent_at(bytes: &[u8], place: &[String]) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    for step in place {
        value = match &mut value {
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?.take(),
            Value::Object(members) => members.get_mut(step)?.take(),
            _ => return None,
        };
    }
    Some(value)
}

/// A body that does not fit as it is, with `1.0` read as `1`, which JSON Schema counts as an integer, too; `None` when it
/// does not fit either way.
pub fn with_plain_integers<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut value = serde_json::from_slice(bytes).ok()?;
    make_integers_plain(&mut value).then(|| serde_json::from_value(value).ok())?
}

/// Whether there was any number to change. The depth is bounded: the reader of JSON refuses more than 128 levels.
fn make_integers_plain(value: &mut Value) -> bool {
    match value {
        Value::Number(number) => {
            let text = number.as_f64().filter(|float| {
                number.is_f64() && float.fract() == 0.0 && float.abs() < LARGEST_EXACT
            });
            let plain = text.and_then(|float| format!("{float:.0}").parse::<i64>().ok());
            if let Some(plain) = plain {
                *number = plain.into();
            }
            plain.is_some()
        }
        Value::Array(items) => make_each_plain(items.iter_mut()),
        Value::Object(members) => make_each_plain(members.values_mut()),
        _ => false,
    }
}

fn make_each_plain<'a>(values: impl Iterator<Item = &'a mut Value>) -> bool {
    let mut changed = false;
    for value in values {
        changed |= make_integers_plain(value);
    }
    changed
}

/// A parser's message without ` at line 1 column 2` and without the names of our types.
pub fn plain_words(message: &str) -> String {
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(text, _)| text);
    message.rsplit_once("expected struct ").map_or_else(
        || message.to_owned(),
        |(before, _)| format!("{before}expected an object"),
    )
}

/// The names and positions that lead to a place in a body, outermost first.
pub fn place_of(path: &serde_path_to_error::Path) -> Vec<String> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// `sent` finds what stands at a place.
fn mismatched(
    location: Location,
    path: &serde_path_to_error::Path,
    message: &str,
    sent: impl FnOnce(&[String]) -> Option<Value>,
) -> ApiError {
    let mut field = place_of(path);
    let place = field.clone();
    let quoted = |prefix: &str| {
        message
            .strip_prefix(prefix)
            .and_then(|rest| rest.split('`').next())
            .map(str::to_owned)
    };
    let (rule, error) = if let Some(name) = quoted("missing field `") {
        if field.last() != Some(&name) {
            field.push(name);
        }
        ("missing", "is required".to_owned())
    } else if let Some(name) = quoted("unknown field `") {
        if field.last() != Some(&name) {
            field.push(name);
        }
        ("unknown_field", message.to_owned())
    } else if message.starts_with("invalid type") {
        ("invalid_type", message.to_owned())
    } else {
        ("invalid_value", message.to_owned())
    };
    let issue = FieldIssue::new(location, field.join("."), rule, error);
    // What has an unknown name may be a secret whose name is misspelled.
    let input = match rule {
        "missing" | "unknown_field" => None,
        _ => sent(&place),
    };
    let issue = match input {
        Some(input) => issue.with_input(input),
        None => issue,
    };
    ApiError::invalid(ErrorClass::Mismatched, vec![issue])
}

fn json_content(schema: &schemars::Schema) -> serde_json::Value {
    json!({ "application/json": { "schema": schema } })
}

impl<T: JsonSchema> Apiv2Schema for Body<T> {}

impl<T: JsonSchema> OperationModifier for Body<T> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |generator| Fragment::Body {
            required: true,
            content: json_content(&generator.subschema_for::<T>()),
        });
    }
}

impl<T: JsonSchema> Apiv2Schema for OptionalBody<T> {}

impl<T: JsonSchema> OperationModifier for OptionalBody<T> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |generator| Fragment::Body {
            required: false,
            content: json_content(&generator.subschema_for::<T>()),
        });
    }
}

/// The query string as a struct. Unknown names are passed over: a `token` may stand among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Params<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut pairs = form_urlencoded::parse(request.query_string().as_bytes());
        let deserializer = serde_urlencoded::Deserializer::new(pairs);
        ready(
            serde_path_to_error::deserialize(deserializer)
                .map(Params)
                .map_err(|error| {
                    let message = error.inner().to_string();
                    mismatched(Location::Query, error.path(), &message, |place| {
                        let (_, value) = pairs.find(|(name, _)| place.iter().eq([name]))?;
                        Some(value.into_owned().into())
                    })
                }),
        )
    }
}

impl<T: JsonSchema> Apiv2Schema for Params<T> {}

impl<T: JsonSchema> OperationModifier for Params<T> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |generator| {
            Fragment::Query(T::json_schema(generator).to_value())
        });
    }
}

/// The path's parameters: one value, a tuple in the path's order, or a struct by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathParams<T>(pub T);

impl<T: DeserializeOwned> FromRequest for PathParams<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.match_info().load().map(PathParams).map_err(
            |error: serde::de::value::Error| {
                let words = error.to_string();
                let issue = FieldIssue::new(Location::Path, "", "invalid_value", words);
                ApiError::invalid(ErrorClass::Mismatched, vec![issue])
            },
        ))
    }
}

impl<T: JsonSchema> Apiv2Schema for PathParams<T> {}

impl<T: JsonSchema> OperationModifier for PathParams<T> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |generator| {
            Fragment::Path(T::json_schema(generator).to_value())
        });
    }
}
