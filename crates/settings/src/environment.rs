//! The environment layer: `MAJORDOMO__SECTION__KEY` variables, converted to the type of the setting that they name.

use std::collections::BTreeMap;

use crate::Settings;
use crate::catalogue::{Field, Kind};
use crate::error::{Origin, SettingsError};

/// What the name of every variable that holds a setting begins with.
const PREFIX: &str = "MAJORDOMO__";

/// The environment of this process. What is not UTF-8 is kept with U+FFFD in place of the wrong bytes, so that
/// loading can refuse it where it matters instead of overlooking it.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    })
}

/// The variable that sets the key, such as `MAJORDOMO__SERVER__LISTEN` for `server.listen`.
fn variable_name(section: &str, key: &str) -> String {
    format!("{PREFIX}{}__{}", section.to_uppercase(), key.to_uppercase())
}

/// The variable that sets the key, or the table that the key is part of.
pub(crate) fn variable_of(path: &str) -> String {
    let mut parts = path.split(['.', '[']);
    variable_name(
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    )
}

/// Every setting that has a variable, by the name of that variable.
fn settings_by_variable() -> BTreeMap<String, (&'static str, &'static Field)> {
    let mut settings = BTreeMap::new();
    for section in Settings::FIELDS {
        if let Kind::Section(fields) = section.kind {
            for field in fields {
                settings.insert(
                    variable_name(section.name, field.name),
                    (section.name, field),
                );
            }
        }
    }
    settings
}

/// Collects the settings of the environment as one TOML table. Refuses unknown variables and values of the wrong type.
pub(crate) fn environment_table(
    environment: &BTreeMap<String, String>,
) -> Result<toml::Table, SettingsError> {
    let settings = settings_by_variable();
    let mut table = toml::Table::new();
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let refuse = |problem: &str| SettingsError::Key {
            key: path.to_lowercase().replace("__", "."),
            problem: problem.to_owned(),
            origin: Some(Origin::Variable(name.clone())),
        };
        let (section, field) = settings.get(name).ok_or_else(|| refuse("unknown key"))?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(refuse("the value is not UTF-8"));
        }
        let value = convert(&field.kind, text)
            .map_err(|expected| refuse(&format!("expected {expected}")))?;
        if let toml::Value::Table(keys) = table
            .entry(*section)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
        {
            keys.insert(field.name.to_owned(), value);
        }
    }
    Ok(table)
}

/// Converts the text of a variable to the kind of its setting; the error says what was expected.
fn convert(kind: &Kind, text: &str) -> Result<toml::Value, String> {
    let trimmed = text.trim();
    match kind {
        Kind::Flag => trimmed
            .parse()
            .map(toml::Value::Boolean)
            .map_err(|_| kind.label()),
        Kind::Integer => trimmed
            .parse()
            .map(toml::Value::Integer)
            .map_err(|_| kind.label()),
        Kind::Number => trimmed
            .parse()
            .map(toml::Value::Float)
            .map_err(|_| kind.label()),
        Kind::Text | Kind::Choice(_) => Ok(toml::Value::String(text.to_owned())),
        Kind::List(Kind::Section(_)) => match trimmed.parse() {
            Ok(value @ toml::Value::Array(_)) => Ok(value),
            _ => Err("a TOML array of tables, such as [{ key = \"value\" }]".to_owned()),
        },
        Kind::TextTable | Kind::Section(_) => match trimmed.parse() {
            Ok(value @ toml::Value::Table(_)) => Ok(value),
            _ => Err("a TOML table, such as { key = \"value\" }".to_owned()),
        },
        Kind::List(item) => convert_list(item, trimmed),
    }
}

/// Converts `a,b` or `["a", "b"]`. An unquoted `[` begins an IPv6 address, not an array.
fn convert_list(item: &Kind, text: &str) -> Result<toml::Value, String> {
    let quoted_array = text
        .strip_prefix('[')
        .is_some_and(|rest| rest.trim_start().starts_with(['"', '\'', ']']));
    if quoted_array {
        return match text.parse() {
            Ok(value @ toml::Value::Array(_)) => Ok(value),
            _ => Err("a list: values with commas between them, or a TOML array".to_owned()),
        };
    }
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| convert(item, part))
        .collect::<Result<Vec<_>, _>>()
        .map(toml::Value::Array)
}
