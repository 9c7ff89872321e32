//! Settings as clients see them.

use majordomo_application::ports::settings_repository::SettingValue;
use majordomo_application::settings::SettingsView;
use serde_json::{Map, Value, json};

use super::catalogue::{DEFAULTS, Field, Place, name_of, to_json};
use super::fields::SECRETS;

/// Names under which settings are kept begin with this.
pub(super) const KEPT: &str = "pocketpaw.";
/// What tells how the settings stand: read only.
pub(super) const STATUS: &str = "settings_status";

/// All settings by name, secrets left out.
pub(super) fn shown(view: &SettingsView) -> Map<String, Value> {
    let mut settings: Map<String, Value> = DEFAULTS
        .iter()
        .map(|(field, default)| (field.name.to_owned(), value(view, field, default)))
        .collect();
    settings.insert(STATUS.to_owned(), status(view));
    settings
}

/// What a setting is at the moment.
fn value(view: &SettingsView, field: &Field, default: &Value) -> Value {
    let held = match field.place {
        Place::Core(key) => view.values.get(key).map(to_json),
        Place::Address(provider) => {
            let provider = view.providers.iter().find(|known| known.name == provider);
            provider.and_then(|known| known.base_url.as_deref().map(Value::from))
        }
        Place::Kept => kept(&view.kept, field.name),
        Place::Personal => kept(&view.preferences, field.name),
        Place::Elsewhere("server.listen") => listening(view, field.name),
        Place::Elsewhere("server.allowed_origins") => {
            view.values.get("server.allowed_origins").map(to_json)
        }
        Place::Protected if field.name == "localhost_auth_bypass" => view
            .values
            .get("security.localhost_auth_bypass")
            .map(to_json),
        Place::Elsewhere(_) | Place::Protected => None,
    };
    held.unwrap_or_else(|| default.clone())
}

/// What is kept under a name.
fn kept(kept: &std::collections::BTreeMap<String, String>, name: &str) -> Option<Value> {
    serde_json::from_str(kept.get(&format!("{KEPT}{name}"))?).ok()
}

/// The first address the server listens on.
fn listening(view: &SettingsView, name: &str) -> Option<Value> {
    let SettingValue::List(addresses) = view.values.get("server.listen")? else {
        return None;
    };
    let address: std::net::SocketAddr = addresses.first()?.parse().ok()?;
    Some(if name == "web_port" {
        address.port().into()
    } else {
        address.ip().to_string().into()
    })
}

/// What waits for a restart, what the environment decides, which secrets are set.
fn status(view: &SettingsView) -> Value {
    let restart: Vec<&str> = view.after_restart.iter().map(|key| name_of(key)).collect();
    let fixed: Map<String, Value> = view
        .fixed
        .iter()
        .map(|(key, variable)| (name_of(key).to_owned(), variable.as_str().into()))
        .collect();
    let set: Vec<&str> = SECRETS
        .iter()
        .filter(|(_, key)| view.secrets.contains(*key) || has_key(view, key))
        .map(|(name, _)| *name)
        .collect();
    json!({
        "restart_required": restart,
        "fixed_by_environment": fixed,
        "secrets_set": set,
    })
}

/// Whether the provider whose key this is has one, wherever it is set.
fn has_key(view: &SettingsView, key: &str) -> bool {
    let provider = key
        .strip_prefix("providers.")
        .and_then(|rest| rest.strip_suffix(".api_key"));
    view.providers
        .iter()
        .any(|known| Some(known.name.as_str()) == provider && known.has_key)
}
