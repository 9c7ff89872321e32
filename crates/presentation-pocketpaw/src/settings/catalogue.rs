//! What a setting is: its name, what it may hold, and where it lives.

use std::sync::LazyLock;

use majordomo_application::ports::settings_repository::SettingValue;
use serde_json::Value;

use super::fields::{FIELDS, PROTECTED_NAMES, SECRETS};

/// Longest text, in characters.
const MAX_TEXT: usize = 20_000;
/// Longest list.
const MAX_ITEMS: usize = 1_000;
/// Longest table, in bytes of JSON.
const MAX_TABLE: usize = 16 * 1024;

/// What a setting may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Flag,
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A number within bounds.
    Number(f64, f64),
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    NullableText,
    NullableInteger,
    NullableNumber,
    /// A list of texts.
    Texts,
    /// A list of texts and whole numbers.
    List,
    /// A table of anything.
    Table,
}

/// Where a setting lives.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// The setting of this server with this key.
    Core(&'static str),
    /// The address of this provider of models.
    Address(&'static str),
    /// It is kept for clients, the same for everybody.
    Kept,
    /// It is kept for the clients of one user.
    Personal,
    /// It is not changed here, but there.
    Elsewhere(&'static str),
    /// It protects the server and is not changed by clients.
    Protected,
}

/// A setting that is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) place: Place,
    /// The default, as JSON.
    pub(super) default: &'static str,
}

/// What a name stands for.
pub(super) enum Known {
    Shown(&'static Field),
    /// A secret, with the key that holds it.
    Secret(&'static str),
    Protected,
    Unknown,
}

/// Looks a name up.
pub(super) fn look_up(name: &str) -> Known {
    if let Some(field) = FIELDS.iter().find(|field| field.name == name) {
        return match field.place {
            Place::Protected => Known::Protected,
            _ => Known::Shown(field),
        };
    }
    if let Some((_, key)) = SECRETS.iter().find(|(secret, _)| *secret == name) {
        return Known::Secret(key);
    }
    if PROTECTED_NAMES.contains(&name) {
        return Known::Protected;
    }
    Known::Unknown
}

/// The client's name of a key of this server, for errors.
pub(super) fn name_of(key: &str) -> &str {
    let field = FIELDS.iter().find(|field| match field.place {
        Place::Core(known) => known == key,
        Place::Address(provider) => {
            let rest = key
                .strip_prefix("providers.")
                .and_then(|rest| rest.strip_prefix(provider));
            rest.is_some_and(|rest| rest.is_empty() || rest == ".base_url")
        }
        _ => false,
    });
    let secret = SECRETS.iter().find(|(_, known)| *known == key);
    field
        .map(|field| field.name)
        .or(secret.map(|(name, _)| *name))
        .unwrap_or(key)
}

impl Field {
    /// The default.
    pub(super) fn default_value(&self) -> Value {
        serde_json::from_str(self.default).unwrap_or(Value::Null)
    }

    /// What is wrong with a value: the rule's name and words.
    pub(super) fn check(&self, value: &Value) -> Result<(), (&'static str, String)> {
        check(self.kind, value)
    }
}

fn check(kind: Kind, value: &Value) -> Result<(), (&'static str, String)> {
    let wrong = |rule, words: &str| Err((rule, words.to_owned()));
    match kind {
        Kind::NullableText | Kind::NullableInteger | Kind::NullableNumber if value.is_null() => {
            Ok(())
        }
        Kind::Flag if value.is_boolean() => Ok(()),
        Kind::Flag => wrong("bool_type", "Input should be a valid boolean"),
        Kind::Integer(low, high) => match value.as_i64() {
            Some(number) if (low..=high).contains(&number) => Ok(()),
            Some(_) => Err((
                "out_of_range",
                format!("Input should be from {low} to {high}"),
            )),
            None => wrong("int_type", "Input should be a valid integer"),
        },
        Kind::NullableInteger if value.as_i64().is_some_and(|number| number >= 0) => Ok(()),
        Kind::NullableInteger => wrong("int_type", "Input should be a valid integer or null"),
        Kind::Number(low, high) => match value.as_f64() {
            Some(number) if (low..=high).contains(&number) => Ok(()),
            Some(_) => Err((
                "out_of_range",
                format!("Input should be from {low} to {high}"),
            )),
            None => wrong("float_type", "Input should be a valid number"),
        },
        Kind::NullableNumber if value.is_number() => Ok(()),
        Kind::NullableNumber => wrong("float_type", "Input should be a valid number or null"),
        Kind::Text | Kind::NullableText => match value.as_str() {
            Some(text) if text.chars().count() > MAX_TEXT => Err((
                "string_too_long",
                format!("String should have at most {MAX_TEXT} characters"),
            )),
            Some(_) => Ok(()),
            None => wrong("string_type", "Input should be a valid string"),
        },
        Kind::Choice(words) if value.as_str().is_some_and(|word| words.contains(&word)) => Ok(()),
        Kind::Choice(words) => Err((
            "enum",
            format!("Input should be one of: {}", words.join(", ")),
        )),
        Kind::Texts => check_list(value, Value::is_string, "strings"),
        Kind::List => check_list(
            value,
            |item| item.is_string() || item.is_i64(),
            "strings or integers",
        ),
        Kind::Table if !value.is_object() => wrong("dict_type", "Input should be a valid object"),
        Kind::Table if value.to_string().len() > MAX_TABLE => Err((
            "too_long",
            format!("Input should have at most {MAX_TABLE} bytes"),
        )),
        Kind::Table => Ok(()),
    }
}

fn check_list(
    value: &Value,
    fits: impl Fn(&Value) -> bool,
    items: &str,
) -> Result<(), (&'static str, String)> {
    match value.as_array() {
        Some(list) if list.len() > MAX_ITEMS || value.to_string().len() > MAX_TABLE => Err((
            "too_long",
            format!("List should have at most {MAX_ITEMS} items and {MAX_TABLE} bytes"),
        )),
        Some(list) if list.iter().all(fits) => Ok(()),
        _ => Err(("list_type", format!("Input should be a list of {items}"))),
    }
}

/// A value of this server as JSON.
pub(super) fn to_json(value: &SettingValue) -> Value {
    match value {
        SettingValue::Flag(flag) => (*flag).into(),
        SettingValue::Integer(number) => (*number).into(),
        SettingValue::Number(number) => (*number).into(),
        SettingValue::Text(text) => text.as_str().into(),
        SettingValue::List(items) => items.as_slice().into(),
    }
}

/// A checked value of a setting of this server; `None` where it is null or empty and so to be forgotten.
pub(super) fn to_setting(field: &Field, value: &Value) -> Option<SettingValue> {
    Some(match (field.kind, value) {
        (_, Value::Null) => return None,
        (Kind::Number(..) | Kind::NullableNumber, number) => SettingValue::Number(number.as_f64()?),
        (_, Value::Bool(flag)) => SettingValue::Flag(*flag),
        (_, Value::Number(number)) => SettingValue::Integer(number.as_i64()?),
        (_, Value::String(text)) if text.is_empty() => return None,
        (_, Value::String(text)) => SettingValue::Text(text.clone()),
        (_, Value::Array(items)) => SettingValue::List(
            items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        ),
        (_, Value::Object(_)) => return None,
    })
}

/// The defaults of all shown settings, by name.
pub(super) static DEFAULTS: LazyLock<Vec<(&'static Field, Value)>> = LazyLock::new(|| {
    FIELDS
        .iter()
        .map(|field| (field, field.default_value()))
        .collect()
});
