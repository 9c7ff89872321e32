//! Settings that are changed while the server runs: stored ones, over the file and under the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use majordomo_application::FieldError;
use majordomo_application::chat::ChatService;
use majordomo_application::models::ModelRegistry;
use majordomo_application::oauth::{Connections, OAuthService};
use majordomo_application::ports::settings_repository::SettingValue;
use majordomo_application::ports::{
    EffectiveSettings, ProviderSummary, SettingsLayers, SettingsRepository, StoredLayer,
};
use majordomo_application::settings::{
    KEPT_PREFIX, PREFERENCE_PREFIX, SECRET_PREFIX, SettingsError as StoredSettingsError,
    SettingsPorts, SettingsSecrets, SettingsService,
};
use majordomo_domain::AuditRecord;
use majordomo_infrastructure_system::{
    MalformedSecretKey, SecretKey, SecretKeyFile, SecretKeyFileError, SecretKeys, SystemClock,
    XChaChaSecretBox,
};
use majordomo_settings::{
    Effect, Layered, Layers, ProviderKind, SECRET_KEY_VARIABLE, STORABLE, Secret, Settings,
    SettingsError, StoredProvider, StoredSettings,
};
use thiserror::Error;

use super::models::registry_config;
use super::services::agent;
use crate::startup::with_causes;
use crate::telemetry::{self, LevelError};

/// Stored keys that are no settings of the file: who the agent is, what dialects keep, secrets of other parts.
const OTHER_KEYS: [&str; 4] = ["identity.", KEPT_PREFIX, PREFERENCE_PREFIX, SECRET_PREFIX];
/// What is logged.
const LOG_LEVEL: &str = "logging.level";
/// How the keys of stored providers begin.
const PROVIDERS: &str = "providers.";

/// Why stored settings or their secrets cannot be used.
#[derive(Debug, Error)]
pub enum LiveSettingsError {
    /// The environment holds no key.
    #[error("{SECRET_KEY_VARIABLE}: {0}")]
    Variable(MalformedSecretKey),
    /// The file of the keys cannot be used.
    #[error(transparent)]
    KeyFile(#[from] SecretKeyFileError),
    /// Secrets are stored, but their key is gone.
    #[error(
        "the database holds sealed secrets, but their key {} is missing; restore it, or set {SECRET_KEY_VARIABLE}",
        .0.display()
    )]
    MissingKey(PathBuf),
    /// The stored key of memories is none.
    #[error("the stored key of memories cannot be used: {0}")]
    MemoryKey(MalformedSecretKey),
    /// No key can be made.
    #[error("no secret key can be made: the system's random source does not work")]
    Random,
    /// What is stored cannot be read.
    #[error("{}", with_causes(.0))]
    Stored(#[from] StoredSettingsError),
    /// The layers do not fit together.
    #[error(transparent)]
    Layers(#[from] SettingsError),
    /// What is stored makes no sense.
    #[error("{}: {} (in the stored settings)", .0.field, .0.error)]
    Wrong(FieldError),
}

impl LiveSettingsError {
    /// Whether the configuration is to blame.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Variable(_) | Self::Layers(_))
    }
}

/// Settings with what is stored, and what is needed to change it.
pub(crate) struct LiveSettings {
    repository: Arc<dyn SettingsRepository>,
    secrets: SettingsSecrets,
    layers: FileAndEnvironment,
    effective: EffectiveSettings,
}

/// Joins what is stored with `settings`, which hold what the command line has changed besides.
pub(crate) async fn live_settings(
    settings: &mut Settings,
    layers: Layers,
    data_dir: &Path,
    repository: Arc<dyn SettingsRepository>,
) -> Result<LiveSettings, LiveSettingsError> {
    let keys = secret_keys(&layers, data_dir, repository.as_ref()).await?;
    let secrets = SettingsSecrets::new(repository.clone(), Arc::new(XChaChaSecretBox::new(keys)));
    secrets.check().await?;
    let stored = secrets.installation().await?;
    let (layer, _) = stored_settings(&stored).map_err(LiveSettingsError::Wrong)?;
    let joined = layers.join(&layer)?.settings;
    let (ttl, rpm) = (
        joined.security.session_token_ttl_hours,
        joined.security.rate_limit_key_rpm,
    );
    settings.agent = joined.agent;
    settings.models = joined.models;
    settings.logging.level = joined.logging.level;
    settings.security.session_token_ttl_hours = ttl;
    settings.security.rate_limit_key_rpm = rpm;
    let layers = FileAndEnvironment {
        layers,
        started: settings.clone(),
        oauth: None,
    };
    let effective = layers
        .join(&stored, false)
        .await
        .map_err(LiveSettingsError::Wrong)?;
    Ok(LiveSettings {
        repository,
        secrets,
        layers,
        effective,
    })
}

impl LiveSettings {
    /// The secrets among them.
    pub(crate) const fn secrets(&self) -> &SettingsSecrets {
        &self.secrets
    }

    /// The use cases over these settings.
    pub(crate) async fn service(
        self,
        models: Arc<ModelRegistry>,
        chat: Arc<ChatService>,
        oauth: Arc<OAuthService>,
    ) -> Result<Arc<SettingsService>, LiveSettingsError> {
        let ports = SettingsPorts {
            repository: self.repository,
            secrets: self.secrets,
            layers: Arc::new(FileAndEnvironment {
                oauth: Some(oauth),
                ..self.layers
            }),
            clock: Arc::new(SystemClock),
        };
        let service = SettingsService::open(ports, self.effective, models, chat).await?;
        Ok(Arc::new(service))
    }
}

/// The keys that seal secrets: of the environment, else of the file, which is made where nothing is sealed yet.
pub(crate) async fn secret_keys(
    layers: &Layers,
    data_dir: &Path,
    repository: &dyn SettingsRepository,
) -> Result<SecretKeys, LiveSettingsError> {
    if let Some(keys) = layers.secret_keys() {
        return SecretKeys::parse(keys.expose()).map_err(LiveSettingsError::Variable);
    }
    let file = SecretKeyFile::new(data_dir);
    if let Some(keys) = file.load()? {
        return Ok(keys);
    }
    let any = SettingsSecrets::any(repository).await;
    if any.map_err(StoredSettingsError::from)? {
        return Err(LiveSettingsError::MissingKey(file.path().to_owned()));
    }
    let key = SecretKey::generate().map_err(|_| LiveSettingsError::Random)?;
    let keys = SecretKeys::single(key);
    file.store(&keys)?;
    Ok(keys)
}

/// The layers of this process.
struct FileAndEnvironment {
    layers: Layers,
    /// What the process started with.
    started: Settings,
    /// Who must know under which names this server is known elsewhere.
    oauth: Option<Arc<OAuthService>>,
}

#[async_trait]
impl SettingsLayers for FileAndEnvironment {
    async fn join(
        &self,
        stored: &StoredLayer,
        with_models: bool,
    ) -> Result<EffectiveSettings, FieldError> {
        let (layer, unknown) = stored_settings(stored)?;
        let Layered {
            settings,
            fixed,
            mut ignored,
        } = self.layers.join(&layer).map_err(field_error)?;
        telemetry::check_level(&settings.logging.level)
            .map_err(|LevelError(problem)| FieldError::new(LOG_LEVEL, problem))?;
        ignored.extend(unknown);
        let models = if with_models {
            let config = registry_config(&settings).await;
            let config = config.map_err(|error| FieldError::new("providers", error.to_string()))?;
            Some(config)
        } else {
            None
        };
        let mut values = BTreeMap::new();
        let mut after_restart = BTreeSet::new();
        for storable in STORABLE {
            let value = storable.value(&settings);
            if storable.effect == Effect::AfterRestart && value != storable.value(&self.started) {
                after_restart.insert(storable.key.to_owned());
            }
            if let Some(value) = value.as_ref().and_then(from_toml) {
                values.insert(storable.key.to_owned(), value);
            }
        }
        values.extend(shown_only(&self.started));
        let providers = settings.models.providers.iter();
        let providers = providers.map(|provider| ProviderSummary {
            name: provider.name.clone(),
            base_url: provider.base_url.clone(),
            has_key: provider.api_key.is_some(),
        });
        Ok(EffectiveSettings {
            connections: connections(&settings, stored, &fixed),
            values,
            providers: providers.collect(),
            fixed,
            ignored,
            after_restart,
            agent: agent(&settings),
            models,
        })
    }

    fn put_in_force(&self, effective: &EffectiveSettings) {
        if let Some(oauth) = &self.oauth {
            oauth.be_known_as(effective.connections.clone());
        }
        let level = effective.values.get(LOG_LEVEL);
        let level = level.and_then(SettingValue::as_text);
        if let Some(Err(error)) = level.map(telemetry::set_level) {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "the level of the log stays as it was");
        }
    }
}

/// Under which names this server is known at other services: what the environment says, else what is stored, else what
/// the file says.
fn connections(
    settings: &Settings,
    stored: &StoredLayer,
    fixed: &BTreeMap<String, String>,
) -> Connections {
    let name = |key: &str, secret: &str, configured: &Option<String>| {
        let stored = stored.secrets.get(&format!("{SECRET_PREFIX}{secret}"));
        let stored = stored.filter(|_| !fixed.contains_key(key));
        stored.map_or_else(|| configured.clone(), |name| Some(name.expose().to_owned()))
    };
    let oauth = &settings.oauth;
    Connections {
        google_client_id: name(
            "oauth.google_client_id",
            "google_oauth_client_id",
            &oauth.google_client_id,
        ),
        spotify_client_id: name(
            "oauth.spotify_client_id",
            "spotify_client_id",
            &oauth.spotify_client_id,
        ),
    }
}

/// Settings that are not changed while the server runs, and that clients ask for all the same.
fn shown_only(started: &Settings) -> [(String, SettingValue); 3] {
    let listen = started.server.listen.iter().map(ToString::to_string);
    let bypass = started.security.localhost_auth_bypass;
    [
        ("server.listen", SettingValue::List(listen.collect())),
        (
            "server.allowed_origins",
            SettingValue::List(started.server.allowed_origins.clone()),
        ),
        ("security.localhost_auth_bypass", SettingValue::Flag(bypass)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}

/// The stored layer as the settings know it, and stored keys that this version does not know.
fn stored_settings(
    stored: &StoredLayer,
) -> Result<(StoredSettings, BTreeMap<String, String>), FieldError> {
    let mut settings = StoredSettings::default();
    let mut unknown = BTreeMap::new();
    for (key, value) in &stored.values {
        if OTHER_KEYS.iter().any(|prefix| key.starts_with(prefix)) {
            continue;
        }
        if let Some((provider, field)) = provider_field(&mut settings, key) {
            set_provider(provider, field, value)
                .map_err(|problem| FieldError::new(key.as_str(), problem))?;
        } else if let Err(error) = settings.set(key, to_toml(value)) {
            unknown.insert(key.clone(), field_error(error).error);
        }
    }
    for (key, secret) in &stored.secrets {
        if OTHER_KEYS.iter().any(|prefix| key.starts_with(prefix)) {
            continue;
        }
        match provider_field(&mut settings, key) {
            Some((provider, "api_key")) => provider.api_key = Some(Secret::new(secret.expose())),
            _ => {
                unknown.insert(key.clone(), "is not a secret of a provider".to_owned());
            }
        }
    }
    Ok((settings, unknown))
}

/// The stored provider that a key is about, and the part of it.
fn provider_field<'a, 'k>(
    settings: &'a mut StoredSettings,
    key: &'k str,
) -> Option<(&'a mut StoredProvider, &'k str)> {
    let (name, field) = key.strip_prefix(PROVIDERS)?.rsplit_once('.')?;
    let provider = settings
        .providers
        .entry(name.to_owned())
        .or_insert_with(|| StoredProvider {
            kind: ProviderKind::OpenAi,
            base_url: None,
            api_key: None,
        });
    Some((provider, field))
}

fn set_provider(
    provider: &mut StoredProvider,
    field: &str,
    value: &SettingValue,
) -> Result<(), &'static str> {
    let text = value.as_text().ok_or("expected text")?;
    match field {
        "kind" => {
            let kinds = [
                ProviderKind::OpenAi,
                ProviderKind::Anthropic,
                ProviderKind::Gemini,
                ProviderKind::Ollama,
            ];
            let kind = kinds.into_iter().find(|kind| kind.as_str() == text);
            provider.kind = kind.ok_or("expected the protocol of a provider")?;
        }
        "base_url" => provider.base_url = Some(text.to_owned()),
        _ => return Err("is not a setting of a provider"),
    }
    Ok(())
}

/// A key and what is wrong with it.
fn field_error(error: SettingsError) -> FieldError {
    match error {
        SettingsError::Key { key, problem, .. } => FieldError::new(key, problem),
        other => FieldError::new("settings", other.to_string()),
    }
}

fn to_toml(value: &SettingValue) -> toml::Value {
    match value {
        SettingValue::Flag(flag) => (*flag).into(),
        SettingValue::Integer(number) => (*number).into(),
        SettingValue::Number(number) => (*number).into(),
        SettingValue::Text(text) => text.as_str().into(),
        SettingValue::List(items) => items.clone().into(),
    }
}

fn from_toml(value: &toml::Value) -> Option<SettingValue> {
    Some(match value {
        toml::Value::Boolean(flag) => SettingValue::Flag(*flag),
        toml::Value::Integer(number) => SettingValue::Integer(*number),
        toml::Value::Float(number) => SettingValue::Number(*number),
        toml::Value::String(text) => SettingValue::Text(text.clone()),
        toml::Value::Array(items) => {
            let items = items.iter().map(|item| item.as_str().map(str::to_owned));
            SettingValue::List(items.collect::<Option<_>>()?)
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => return None,
    })
}

/// What rotating the keys came to.
pub(crate) struct Rotation {
    /// The id of the key that seals now.
    pub(crate) key_id: String,
    /// How many secrets were sealed anew.
    pub(crate) sealed: usize,
}

/// Seals every stored secret under a new key: one that is made, where the keys are in the file, else the first of the
/// environment. The file holds the old keys until all secrets are sealed anew, so that a crash in between loses nothing.
pub(crate) async fn rotate_secrets(
    layers: &Layers,
    data_dir: &Path,
    repository: Arc<dyn SettingsRepository>,
    record: &AuditRecord,
) -> Result<Rotation, LiveSettingsError> {
    let known = secret_keys(layers, data_dir, repository.as_ref()).await?;
    let file = layers
        .secret_keys()
        .is_none()
        .then(|| SecretKeyFile::new(data_dir));
    let keys = match &file {
        None => known,
        // One that broke off is gone on with: were another key added each time, the oldest would at last be given up
        // while secrets are still sealed under it.
        Some(_) if known.ids().count() > 1 => known,
        Some(file) => {
            let key = SecretKey::generate().map_err(|_| LiveSettingsError::Random)?;
            let keys = known.succeeded_by(key);
            file.store(&keys)?;
            keys
        }
    };
    let secrets = Arc::new(XChaChaSecretBox::new(keys.clone()));
    let sealed = SettingsSecrets::new(repository, secrets)
        .reseal(record)
        .await?;
    let current = keys.current_only();
    if let Some(file) = &file {
        file.store(&current)?;
    }
    let key_id = current.ids().next().unwrap_or_default().to_owned();
    Ok(Rotation { key_id, sealed })
}
