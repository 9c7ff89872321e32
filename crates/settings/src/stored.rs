//! What can be set while the server runs: the layer between the file and the environment.

use std::collections::BTreeMap;

use crate::Settings;
use crate::catalogue::SettingValue;
use crate::error::{Origin, SettingsError};
use crate::load::decode;
use crate::secret::Secret;
use crate::sections::ProviderKind;

/// When a stored setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// With the next request or turn.
    AtOnce,
    /// When the server starts again.
    AfterRestart,
}

/// A key that can be stored.
#[derive(Debug, Clone, Copy)]
pub struct Storable {
    /// The key, such as `agent.temperature`.
    pub key: &'static str,
    /// When it takes effect.
    pub effect: Effect,
    value: fn(&Settings) -> Option<toml::Value>,
}

impl Storable {
    /// The key's value in these settings, `None` where it is not set.
    pub fn value(&self, settings: &Settings) -> Option<toml::Value> {
        (self.value)(settings)
    }

    /// The key of this name.
    pub fn find(key: &str) -> Option<&'static Self> {
        STORABLE.iter().find(|storable| storable.key == key)
    }
}

macro_rules! storable {
    ($($section:ident . $field:ident: $effect:ident,)*) => {
        /// Every key that can be stored. Models' providers are stored beside them, by name.
        pub const STORABLE: &[Storable] = &[$(Storable {
            key: concat!(stringify!($section), ".", stringify!($field)),
            effect: Effect::$effect,
            value: |settings| settings.$section.$field.to_toml(),
        },)*];
    };
}

storable! {
    models.default: AtOnce,
    models.fallback: AtOnce,
    agent.max_steps: AtOnce,
    agent.system_prompt: AtOnce,
    agent.max_concurrent_runs: AfterRestart,
    agent.queue_per_session: AtOnce,
    agent.temperature: AtOnce,
    agent.max_tokens: AtOnce,
    agent.context_tokens: AtOnce,
    agent.loop_breaker: AtOnce,
    agent.turn_timeout_secs: AtOnce,
    agent.tool_timeout_secs: AfterRestart,
    logging.level: AtOnce,
    security.session_token_ttl_hours: AfterRestart,
    security.rate_limit_key_rpm: AfterRestart,
}

/// What is stored of a provider: it changes the one of this name in the file, or adds one.
#[derive(Debug, Clone)]
pub struct StoredProvider {
    /// The protocol, where it is added.
    pub kind: ProviderKind,
    /// Address of the API. A key of the file is not sent to another address than the file's.
    pub base_url: Option<String>,
    /// The key.
    pub api_key: Option<Secret>,
}

/// The stored layer.
#[derive(Debug, Clone, Default)]
pub struct StoredSettings {
    values: BTreeMap<&'static str, toml::Value>,
    /// Providers by name.
    pub providers: BTreeMap<String, StoredProvider>,
}

impl StoredSettings {
    /// Sets a key.
    ///
    /// # Errors
    /// The key cannot be stored.
    pub fn set(&mut self, key: &str, value: toml::Value) -> Result<(), SettingsError> {
        let storable = Storable::find(key).ok_or_else(|| {
            SettingsError::invalid(key, "cannot be changed while the server runs")
        })?;
        self.values.insert(storable.key, value);
        Ok(())
    }

    /// Whether the key is set.
    pub(crate) fn sets(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The layer as a table, each value of the right type.
    pub(crate) fn table(&self) -> Result<toml::Table, SettingsError> {
        let mut table = toml::Table::new();
        for (key, value) in &self.values {
            let Some((section, field)) = key.split_once('.') else {
                continue;
            };
            if let toml::Value::Table(keys) = table
                .entry(section)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            {
                keys.insert(field.to_owned(), value.clone());
            }
        }
        decode(&table, |_| Some(Origin::Stored))?;
        Ok(table)
    }
}
