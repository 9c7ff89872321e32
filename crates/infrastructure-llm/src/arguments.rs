//! Tool-call arguments on their way back to a provider that wants them as a JSON object rather than as text.

use std::borrow::Cow;

use serde_json::value::{RawValue, to_raw_value};

/// The arguments as an object. What a model once wrote and is not an object is kept under `invalid_arguments`, so that
/// it sees its own mistake.
pub(crate) fn as_object(arguments: &str) -> Cow<'_, RawValue> {
    if let Ok(raw) = serde_json::from_str::<&RawValue>(arguments)
        && raw.get().starts_with('{')
    {
        return Cow::Borrowed(raw);
    }
    let object = if arguments.trim().is_empty() {
        serde_json::json!({})
    } else {
        serde_json::json!({ "invalid_arguments": arguments })
    };
    Cow::Owned(to_raw_value(&object).unwrap_or_default())
}
