//! One error as a line of the file: a JSON object.

use majordomo_application::ports::{LoggedError, NewLoggedError, Severity};
use majordomo_domain::Timestamp;
use serde_json::{Map, Value, json};

/// The line of an error, with its line break.
pub(super) fn write(entry: &LoggedError) -> String {
    let error = &entry.error;
    let context: Map<String, Value> = error
        .context
        .iter()
        .map(|(name, value)| (name.clone(), Value::String(value.clone())))
        .collect();
    let object = json!({
        "id": entry.id,
        "at": entry.at.as_micros(),
        "source": error.source,
        "severity": error.severity.as_str(),
        "message": error.message,
        "trace": error.trace,
        "context": context,
    });
    format!("{object}\n")
}

/// The error of a line; `None` for anything else, such as half a line that a crash left.
pub(super) fn read(line: &str) -> Option<LoggedError> {
    let object: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| Some(object.get(name)?.as_str()?.to_owned());
    let severity = [Severity::Warning, Severity::Critical]
        .into_iter()
        .find(|severity| {
            object.get("severity").and_then(Value::as_str) == Some(severity.as_str())
        })?;
    let context = object.get("context")?.as_object()?;
    Some(LoggedError {
        id: text("id")?,
        at: Timestamp::from_micros(object.get("at")?.as_i64()?),
        error: NewLoggedError {
            source: text("source")?,
            severity,
            message: text("message")?,
            trace: text("trace")?,
            context: context
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
        },
    })
}
