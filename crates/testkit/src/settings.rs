//! Settings without files: layers over given defaults, and a box that seals so that tests can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use majordomo_application::FieldError;
use majordomo_application::chat::{AgentConfig, ChatService};
use majordomo_application::models::ModelRegistry;
use majordomo_application::oauth::Connections;
use majordomo_application::ports::settings_repository::SettingValue;
use majordomo_application::ports::{
    Clock, EffectiveSettings, ProviderSummary, SecretBox, SecretError, SecretPlace, SettingsLayers,
    SettingsRepository, StoredLayer,
};
use majordomo_application::settings::{SettingsPorts, SettingsSecrets, SettingsService};

/// Seals by writing backwards, with the place before it: unlike the secret, and bound to its place.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackwardsSecretBox;

impl SecretBox for BackwardsSecretBox {
    fn seal(&self, place: SecretPlace<'_>, secret: &str) -> Result<String, SecretError> {
        let backwards: String = secret.chars().rev().collect();
        Ok(format!("{}{backwards}", prefix(place)))
    }

    fn open(&self, place: SecretPlace<'_>, sealed: &str) -> Result<String, SecretError> {
        let backwards = sealed.strip_prefix(&prefix(place));
        let backwards = backwards.ok_or(SecretError::Tampered)?;
        Ok(backwards.chars().rev().collect())
    }

    fn is_current(&self, sealed: &str) -> bool {
        sealed.starts_with("sealed:")
    }
}

fn prefix(place: SecretPlace<'_>) -> String {
    format!(
        "sealed:{}/{}/{}:",
        place.table,
        place.column,
        place.row.join("/")
    )
}

/// Layers over an agent's configuration: a few keys can be stored, each within bounds.
pub struct SimpleSettingsLayers {
    agent: AgentConfig,
    /// Keys that a variable sets.
    pub fixed: BTreeMap<String, String>,
}

impl SimpleSettingsLayers {
    /// Layers over this configuration.
    pub const fn over(agent: AgentConfig) -> Self {
        Self {
            agent,
            fixed: BTreeMap::new(),
        }
    }
}

#[async_trait]
impl SettingsLayers for SimpleSettingsLayers {
    async fn join(
        &self,
        stored: &StoredLayer,
        _with_models: bool,
    ) -> Result<EffectiveSettings, FieldError> {
        let mut effective = EffectiveSettings {
            values: BTreeMap::new(),
            providers: Vec::new(),
            fixed: self.fixed.clone(),
            ignored: BTreeMap::new(),
            after_restart: BTreeSet::new(),
            connections: Connections::default(),
            agent: self.agent.clone(),
            models: None,
        };
        let number = |number: u64| SettingValue::Integer(number.cast_signed());
        let agent = &self.agent;
        for (key, value) in [
            (
                "agent.system_prompt",
                SettingValue::Text(agent.system_prompt.clone()),
            ),
            ("agent.max_steps", number(agent.max_steps.into())),
            ("agent.context_tokens", number(agent.context_tokens)),
            (
                "agent.turn_timeout_secs",
                number(agent.turn_timeout.as_secs()),
            ),
        ] {
            effective.values.insert(key.to_owned(), value);
        }
        let mut providers = BTreeMap::new();
        for (key, value) in &stored.values {
            if let Some((name, field)) = provider_field(key) {
                let provider = providers.entry(name).or_insert_with(|| provider(name));
                if field == "base_url" {
                    provider.base_url = value.as_text().map(str::to_owned);
                }
                continue;
            }
            if ["kept.", "secrets.", "identity.", "preference."]
                .iter()
                .any(|prefix| key.starts_with(prefix))
            {
                continue;
            }
            set(&mut effective, key, value)?;
            effective.values.insert(key.clone(), value.clone());
        }
        for key in stored.secrets.keys() {
            if let Some((name, _)) = provider_field(key) {
                providers
                    .entry(name)
                    .or_insert_with(|| provider(name))
                    .has_key = true;
            }
        }
        effective.providers = providers.into_values().collect();
        check_default(&mut effective);
        Ok(effective)
    }

    fn put_in_force(&self, _: &EffectiveSettings) {}
}

fn provider_field(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix("providers.")?.split_once('.')
}

fn provider(name: &str) -> ProviderSummary {
    ProviderSummary {
        name: name.to_owned(),
        base_url: None,
        has_key: false,
    }
}

fn set(
    effective: &mut EffectiveSettings,
    key: &str,
    value: &SettingValue,
) -> Result<(), FieldError> {
    let agent = &mut effective.agent;
    match (key, value) {
        ("agent.system_prompt", SettingValue::Text(text)) => agent.system_prompt.clone_from(text),
        ("agent.temperature", SettingValue::Number(number)) if (0.0..=2.0).contains(number) => {
            agent.temperature = Some(*number);
        }
        ("agent.max_tokens", SettingValue::Integer(number)) if *number > 0 => {
            agent.max_tokens = u32::try_from(*number).ok();
        }
        ("agent.max_steps", SettingValue::Integer(number)) if (1..=1000).contains(number) => {
            agent.max_steps = u32::try_from(*number).unwrap_or(1);
        }
        ("agent.max_concurrent_runs", SettingValue::Integer(_)) => {
            effective.after_restart.insert(key.to_owned());
        }
        ("models.default", SettingValue::Text(_))
        | ("models.fallback", SettingValue::List(_))
        | (
            "agent.context_tokens"
            | "agent.turn_timeout_secs"
            | "security.session_token_ttl_hours"
            | "security.rate_limit_key_rpm",
            SettingValue::Integer(_),
        ) => {}
        _ => return Err(FieldError::new(key, "makes no sense")),
    }
    Ok(())
}

/// A default model of an unknown provider is passed over.
fn check_default(effective: &mut EffectiveSettings) {
    let default = effective.values.get("models.default");
    let provider = default
        .and_then(SettingValue::as_text)
        .and_then(|model| model.split_once('/'))
        .map(|(provider, _)| provider.to_owned());
    if let Some(provider) = provider
        && provider != "builtin"
        && !effective
            .providers
            .iter()
            .any(|known| known.name == provider)
    {
        effective.values.remove("models.default");
        let problem = format!("no provider is called `{provider}`");
        effective
            .ignored
            .insert("models.default".to_owned(), problem);
    }
}

/// A settings service over [`SimpleSettingsLayers`] and [`BackwardsSecretBox`].
///
/// # Panics
/// When storage fails.
pub async fn settings_service(
    repository: Arc<dyn SettingsRepository>,
    clock: Arc<dyn Clock>,
    layers: SimpleSettingsLayers,
    models: Arc<ModelRegistry>,
    chat: Arc<ChatService>,
) -> Arc<SettingsService> {
    let secrets = SettingsSecrets::new(repository.clone(), Arc::new(BackwardsSecretBox));
    let stored = secrets.installation().await;
    let stored = stored.unwrap_or_else(|error| panic!("stored settings: {error}"));
    let effective = layers.join(&stored, false).await;
    let effective = effective.unwrap_or_else(|error| panic!("settings: {error:?}"));
    let ports = SettingsPorts {
        repository,
        secrets,
        layers: Arc::new(layers),
        clock,
    };
    let service = SettingsService::open(ports, effective, models, chat).await;
    Arc::new(service.unwrap_or_else(|error| panic!("settings: {error}")))
}
