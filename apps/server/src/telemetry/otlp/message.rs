//! Spans as OTLP writes them in JSON: ids in hexadecimal, 64-bit numbers as text.

use majordomo_application::hex::hex;
use majordomo_domain::Timestamp;
use serde_json::{Value, json};

/// What a span says under one name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Attribute {
    Text(String),
    Texts(Vec<String>),
    Number(i64),
    Fraction(f64),
    Flag(bool),
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FinishedSpan {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    pub(super) name: String,
    /// Whether it is a question to another service.
    pub(super) is_client: bool,
    pub(super) begun: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) attributes: Vec<(&'static str, Attribute)>,
}

/// The `SpanKind` of work within the program.
const INTERNAL: u8 = 1;
/// The `SpanKind` of a question to another service.
const CLIENT: u8 = 3;
/// The `StatusCode` of what has failed.
const ERROR: u8 = 2;

/// The body of `POST /v1/traces`.
pub(super) fn message(spans: &[FinishedSpan]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    json!({ "resourceSpans": [{
        "resource": { "attributes": [text("service.name", "majordomo"), text("service.version", version)] },
        "scopeSpans": [{
            "scope": { "name": "majordomo", "version": version },
            "spans": spans.iter().map(span).collect::<Vec<_>>()
        }]
    }] })
}

fn span(span: &FinishedSpan) -> Value {
    let failed = span
        .attributes
        .iter()
        .any(|(name, _)| *name == "error.type");
    let attributes: Vec<Value> = span
        .attributes
        .iter()
        .map(|(name, value)| json!({ "key": name, "value": any_value(value) }))
        .collect();
    let mut object = json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "name": span.name,
        "kind": if span.is_client { CLIENT } else { INTERNAL },
        "startTimeUnixNano": nanos(span.begun),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": attributes,
        "status": if failed { json!({ "code": ERROR }) } else { json!({}) }
    });
    if let (Some(parent), Some(object)) = (&span.parent, object.as_object_mut()) {
        object.insert("parentSpanId".to_owned(), Value::String(hex(parent)));
    }
    object
}

fn any_value(value: &Attribute) -> Value {
    match value {
        Attribute::Text(text) => json!({ "stringValue": text }),
        Attribute::Texts(texts) => {
            let values: Vec<Value> = texts
                .iter()
                .map(|text| json!({ "stringValue": text }))
                .collect();
            json!({ "arrayValue": { "values": values } })
        }
        Attribute::Number(number) => json!({ "intValue": number.to_string() }),
        Attribute::Fraction(number) => json!({ "doubleValue": number }),
        Attribute::Flag(flag) => json!({ "boolValue": flag }),
    }
}

fn nanos(at: Timestamp) -> String {
    (i128::from(at.as_micros()) * 1000).to_string()
}
