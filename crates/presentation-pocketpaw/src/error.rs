//! How failures are told: `{"detail": "words"}`, and for input that does not fit a list of places,
//! `{"detail": [{"type", "loc", "msg", "input", "ctx"?}]}`.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use majordomo_presentation_http::{Dialect, ErrorClass, ErrorView, FieldIssue};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// The dialect, for [`mount`](crate::mount) and for documents.
pub static DIALECT: PocketPaw = PocketPaw;

/// The dialect of `PocketPaw`'s clients.
#[derive(Debug, Clone, Copy)]
pub struct PocketPaw;

/// A failure.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "documents what `body` writes by hand")]
pub(crate) struct ErrorBody {
    /// What is wrong, in words.
    detail: String,
}

/// Input that does not fit.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "documents what `body` writes by hand")]
struct ValidationErrorBody {
    /// One entry for each fault.
    detail: Vec<ValidationIssue>,
}

/// One fault of the input.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "documents what `body` writes by hand")]
struct ValidationIssue {
    /// The rule's stable name: `missing`, `string_too_short`.
    #[schemars(rename = "type")]
    kind: String,
    /// Where it stands: `["body", "media", 0]`.
    loc: Vec<Value>,
    /// What is wrong, in words.
    msg: String,
    /// What was sent, where it is short and no secret; else null.
    input: Option<Value>,
    /// The bound that was crossed: `{"min_length": 1}`.
    #[schemars(default)]
    ctx: Option<BTreeMap<String, Value>>,
}

impl Dialect for PocketPaw {
    fn name(&self) -> &'static str {
        "pocketpaw"
    }

    fn status(&self, class: ErrorClass) -> StatusCode {
        match class {
            ErrorClass::Malformed | ErrorClass::UnsupportedMediaType => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            class => class.default_status(),
        }
    }

    fn body(&self, error: &ErrorView<'_>) -> Value {
        if error.status == StatusCode::UNPROCESSABLE_ENTITY {
            return json!({ "detail": issues(error) });
        }
        // Refused credentials are told in the same words, wherever they stood.
        let words = match error.code {
            "missing_credential" | "invalid_credential" => "Unauthorized",
            _ => error.message,
        };
        json!({ "detail": words })
    }

    fn error_schema(&self, class: ErrorClass, generator: &mut SchemaGenerator) -> Schema {
        if self.status(class) == StatusCode::UNPROCESSABLE_ENTITY {
            generator.subschema_for::<ValidationErrorBody>()
        } else {
            generator.subschema_for::<ErrorBody>()
        }
    }
}

fn issues(error: &ErrorView<'_>) -> Vec<Value> {
    if !error.issues.is_empty() {
        return error.issues.iter().map(issue).collect();
    }
    let rule = match error.class {
        ErrorClass::Malformed => "json_invalid",
        ErrorClass::UnsupportedMediaType => "json_type",
        _ => "value_error",
    };
    vec![json!({ "type": rule, "loc": ["body"], "msg": error.message, "input": null })]
}

fn issue(issue: &FieldIssue) -> Value {
    let (rule, words) = match issue.rule {
        "missing" => ("missing", "Field required"),
        "unknown_field" => ("extra_forbidden", issue.error.as_str()),
        "invalid_value" => ("value_error", issue.error.as_str()),
        rule => (rule, issue.error.as_str()),
    };
    let segments = issue.field.split('.').filter(|segment| !segment.is_empty());
    let place: Vec<Value> = std::iter::once(Value::from(issue.location.as_str()))
        .chain(segments.map(|segment| {
            segment
                .parse::<u64>()
                .map_or_else(|_| segment.into(), Value::from)
        }))
        .collect();
    let mut told = json!({ "type": rule, "loc": place, "msg": words, "input": issue.input });
    if let (Value::Object(told), Some((name, bound))) = (&mut told, &issue.bound) {
        told.insert("ctx".to_owned(), json!({ *name: bound }));
    }
    told
}
