//! A client's change of settings, checked and put into this server's words.

use std::collections::BTreeMap;

use majordomo_application::ports::SecretText;
use majordomo_application::ports::settings_repository::SettingValue;
use majordomo_application::settings::{
    Change, IdentityFile, KEPT_PREFIX, PREFERENCE_PREFIX, SettingsUpdate, SettingsView,
};
use majordomo_presentation_http::{ApiError, ErrorClass, FieldIssue, Location};
use serde_json::{Map, Value};

use super::catalogue::{Field, Known, Place, look_up, name_of, to_setting};
use super::model_choice;
use super::shown::{KEPT, STATUS, shown};

/// Most settings in one change.
const MAX_CHANGED: usize = 500;
/// Longest secret, in characters.
const MAX_SECRET: usize = 20_000;
/// Where `OpenRouter` is.
const OPENROUTER: &str = "https://openrouter.ai/api/v1";
/// How keys of some services begin, and what to say of those that do not.
const KEY_FORMATS: [(&str, &str, &str, &str); 2] = [
    (
        "anthropic_api_key",
        "Anthropic API key",
        "sk-ant-",
        "sk-ant-...",
    ),
    ("openai_api_key", "OpenAI API key", "sk-", "sk-..."),
];

/// A change whose values have the right shape.
pub(super) struct CheckedChange {
    shown: Vec<(&'static Field, Value)>,
    secrets: Vec<(&'static str, Option<String>)>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

impl CheckedChange {
    /// Checks names and shapes: everything that is wrong is told at once.
    pub(super) fn parse(body: Value) -> Result<Self, ApiError> {
        let settings = unwrap_settings(body)?;
        let mut change = Self {
            shown: Vec::new(),
            secrets: Vec::new(),
            warnings: Vec::new(),
        };
        let (mut issues, mut protected, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in settings {
            match look_up(&name) {
                Known::Protected => protected.push(name),
                Known::Unknown if name == STATUS => {}
                Known::Unknown => unknown.push(name),
                Known::Shown(field) => match field.check(&value) {
                    Ok(()) => change.shown.push((field, value)),
                    Err((rule, words)) => issues.push(issue(&name, rule, words)),
                },
                Known::Secret(key) => match secret(&value) {
                    Ok(text) => {
                        change
                            .warnings
                            .extend(format_warning(&name, text.as_deref()));
                        change.secrets.push((key, text));
                    }
                    Err(words) => issues.push(issue(&name, "string_type", words)),
                },
            }
        }
        if !protected.is_empty() {
            let fields = protected.join(", ");
            let words = format!("Field(s) {fields} cannot be modified via the API");
            return Err(ApiError::new(
                ErrorClass::Forbidden,
                "protected_settings",
                words,
            ));
        }
        if !issues.is_empty() {
            return Err(ApiError::invalid(ErrorClass::Invalid, issues));
        }
        if !unknown.is_empty() {
            let names = unknown
                .iter()
                .map(|name| name.chars().take(64).collect::<String>());
            let names: Vec<String> = names.take(20).collect();
            change.warnings.push(format!(
                "Unknown settings were ignored: {}",
                names.join(", ")
            ));
        }
        Ok(change)
    }

    /// The update that brings this change about. What is as it should be already is left out, so that a client may send
    /// all settings back.
    pub(super) fn into_update(self, view: &SettingsView) -> (SettingsUpdate, Vec<String>) {
        let mut current = shown(view);
        let mut update = SettingsUpdate::default();
        let mut warnings = self.warnings;
        let mut chooses = false;
        for (field, value) in self.shown {
            if current.get(field.name) == Some(&value) {
                continue;
            }
            chooses |= model_choice::chooses(field.name);
            put(&mut update, &mut warnings, field, &value, view);
            current.insert(field.name.to_owned(), value);
        }
        for (key, secret) in self.secrets {
            put_secret(&mut update, key, secret);
            chooses = true;
        }
        // A client that names the model itself needs no choice, and without a stored choice the file's default holds.
        if chooses && !update.installation.contains_key("models.default") {
            choose_model(&mut update, &mut warnings, &current, view);
        }
        (update, warnings)
    }
}

/// `{"settings": {...}}` or the settings themselves.
fn unwrap_settings(body: Value) -> Result<Map<String, Value>, ApiError> {
    let not_an_object = || {
        let issue = issue("", "dict_type", "Input should be a valid object");
        ApiError::invalid(ErrorClass::Mismatched, vec![issue])
    };
    let Value::Object(mut body) = body else {
        return Err(not_an_object());
    };
    let settings = match body.remove("settings") {
        Some(Value::Object(inner)) => inner,
        Some(_) => return Err(not_an_object()),
        None => body,
    };
    if settings.len() > MAX_CHANGED {
        let words = format!("Object should have at most {MAX_CHANGED} settings");
        let issue = issue("", "too_long", words);
        return Err(ApiError::invalid(ErrorClass::Invalid, vec![issue]));
    }
    Ok(settings)
}

pub(super) fn issue(name: &str, rule: &'static str, words: impl Into<String>) -> FieldIssue {
    let field: String = name.chars().take(64).collect();
    FieldIssue::new(Location::Body, field, rule, words)
}

/// A secret; `None` to forget it.
fn secret(value: &Value) -> Result<Option<String>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() > MAX_SECRET => Err("String is too long"),
        Value::String(text) => {
            let text = text.trim();
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
        _ => Err("Input should be a valid string"),
    }
}

/// A hint when a key does not look like one; it is taken all the same.
fn format_warning(name: &str, secret: Option<&str>) -> Option<String> {
    let secret = secret?;
    let (label, expected) = if name == "telegram_bot_token" {
        let fits = secret.split_once(':').is_some_and(|(id, rest)| {
            !id.is_empty() && id.chars().all(|c| c.is_ascii_digit()) && !rest.is_empty()
        });
        if fits {
            return None;
        }
        ("Telegram bot token", "123456789:ABC...")
    } else {
        let (_, label, prefix, expected) = KEY_FORMATS.iter().find(|(known, ..)| *known == name)?;
        if secret.starts_with(prefix) {
            return None;
        }
        (*label, *expected)
    };
    Some(format!(
        "{label} doesn't match expected format (expected format: {expected}). Double-check for typos or truncation."
    ))
}

fn put(
    update: &mut SettingsUpdate,
    warnings: &mut Vec<String>,
    field: &Field,
    value: &Value,
    view: &SettingsView,
) {
    let text = |value: &Value| Change::Set(SettingValue::Text(value.to_string()));
    match field.place {
        Place::Core(key) => {
            let change = to_setting(field, value).map_or(Change::Forget, Change::Set);
            update.installation.insert(key.to_owned(), change);
        }
        Place::Address(provider) => put_address(&mut update.installation, provider, field, value),
        Place::Kept => {
            let key = format!("{KEPT_PREFIX}{KEPT}{}", field.name);
            update.installation.insert(key, text(value));
        }
        Place::Personal => {
            let key = format!("{PREFERENCE_PREFIX}{KEPT}{}", field.name);
            update.personal.insert(key, text(value));
            if field.name == "user_display_name"
                && let Some(name) = value.as_str()
            {
                let file = with_name(&view.user_file, name);
                let change = Change::Set(SettingValue::Text(file));
                update
                    .personal
                    .insert(IdentityFile::User.key().to_owned(), change);
            }
        }
        Place::Elsewhere(place) => warnings.push(format!(
            "{} was not changed: it is set by {place}",
            field.name
        )),
        Place::Protected => {}
    }
}

fn put_address(
    installation: &mut BTreeMap<String, Change>,
    provider: &str,
    field: &Field,
    value: &Value,
) {
    let change = to_setting(field, value).map_or(Change::Forget, Change::Set);
    put_kind(installation, provider);
    installation.insert(format!("providers.{provider}.base_url"), change);
}

/// Says which protocol a provider speaks.
fn put_kind(installation: &mut BTreeMap<String, Change>, provider: &str) {
    let kind = match provider {
        "anthropic" | "gemini" | "ollama" => provider,
        _ => "openai",
    };
    let kind = Change::Set(SettingValue::Text(kind.to_owned()));
    installation.insert(format!("providers.{provider}.kind"), kind);
}

fn put_secret(update: &mut SettingsUpdate, key: &str, secret: Option<String>) {
    let installation = &mut update.installation;
    let provider = key
        .strip_prefix("providers.")
        .and_then(|rest| rest.strip_suffix(".api_key"));
    if let Some(provider) = provider {
        put_kind(installation, provider);
        if provider == "openrouter" {
            let address = Change::Set(SettingValue::Text(OPENROUTER.to_owned()));
            installation.insert("providers.openrouter.base_url".to_owned(), address);
        }
    }
    let change = secret.map_or(Change::Forget, |secret| {
        Change::Secret(SecretText::new(secret))
    });
    installation.insert(key.to_owned(), change);
}

/// Makes the model that the settings choose the default, when its provider is there.
fn choose_model(
    update: &mut SettingsUpdate,
    warnings: &mut Vec<String>,
    settings: &Map<String, Value>,
    view: &SettingsView,
) {
    // Only what somebody has chosen counts, not the defaults that are shown.
    let was_chosen = |name: &str| {
        let key = format!("{KEPT}{name}");
        view.kept.contains_key(&key)
            || update
                .installation
                .contains_key(&format!("{KEPT_PREFIX}{key}"))
    };
    let chosen: Map<String, Value> = settings
        .iter()
        .filter(|(name, _)| !is_switch(name) || was_chosen(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let Some(model) = model_choice::chosen(&chosen) else {
        return;
    };
    let provider = model.split('/').next().unwrap_or_default();
    if is_there(provider, &update.installation, view) {
        let default = Change::Set(SettingValue::Text(model));
        update
            .installation
            .insert("models.default".to_owned(), default);
    } else {
        warnings.push(format!(
            "{model} does not answer yet: set the API key or address of {provider}"
        ));
    }
}

/// Whether this setting switches between providers.
fn is_switch(name: &str) -> bool {
    name == "llm_provider" || name == "agent_backend"
}

/// Whether a provider is configured once the changes are made.
fn is_there(provider: &str, changes: &BTreeMap<String, Change>, view: &SettingsView) -> bool {
    let part = |part: &str| changes.get(&format!("providers.{provider}.{part}"));
    let set = |change: Option<&Change>| matches!(change, Some(Change::Set(_) | Change::Secret(_)));
    provider == "builtin"
        || set(part("api_key"))
        || set(part("base_url"))
        || view.providers.iter().any(|known| known.name == provider)
}

/// `USER.md` with this name in its line `Name:`.
fn with_name(file: &str, name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let line = format!("Name: {name}");
    if file.trim().is_empty() {
        return format!("# User Profile\n{line}\n");
    }
    let mut found = false;
    let mut lines: Vec<&str> = Vec::new();
    for old in file.lines() {
        if !found && old.trim_start().starts_with("Name:") {
            found = true;
            lines.push(&line);
        } else {
            lines.push(old);
        }
    }
    if !found {
        lines.push(&line);
    }
    lines.join("\n") + "\n"
}

/// The client's names in what the server says of its keys.
pub(super) fn in_client_words(words: &str) -> String {
    words
        .split(' ')
        .map(|word| {
            if word.contains('.') {
                name_of(word)
            } else {
                word
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
