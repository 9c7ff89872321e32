//! Reading and changing settings, with effect at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use majordomo_domain::{AuditRecord, Scope, UserId, UserRole};

use crate::caller::Caller;
use crate::chat::{AgentIdentity, ChatService};
use crate::error::FieldError;
use crate::models::ModelRegistry;
use crate::ports::settings_repository::{
    MAX_SETTING_NAME, SettingChange, SettingValue, SettingsRepository, StoredSetting, StoredValue,
};
use crate::ports::{Clock, EffectiveSettings, ProviderSummary, SettingsLayers, StoredLayer};
use crate::settings::identity::check_length;
use crate::settings::update::record_keys;
use crate::settings::{
    Change, IdentityFile, IdentityFiles, KEPT_PREFIX, MAX_SETTINGS, MAX_VALUE_BYTES,
    PREFERENCE_PREFIX, SECRET_PREFIX, SettingsError, SettingsSecrets, SettingsUpdate, UpdateReport,
};

/// Most users whose `USER.md` is kept at hand.
const MAX_USERS: u32 = 10_000;
/// How the keys of providers begin: `providers.NAME.base_url`, `.api_key`, `.kind`.
const PROVIDERS: &str = "providers.";
/// How the keys of models begin.
const MODELS: &str = "models.";

/// What settings need.
pub struct SettingsPorts {
    /// Stored settings.
    pub repository: Arc<dyn SettingsRepository>,
    /// Their secrets.
    pub secrets: SettingsSecrets,
    /// The other layers.
    pub layers: Arc<dyn SettingsLayers>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// What holds for a caller. No secrets.
#[derive(Debug, Clone, Default)]
pub struct SettingsView {
    /// What holds, by key; without keys that are not set.
    pub values: BTreeMap<String, SettingValue>,
    /// The providers of models.
    pub providers: Vec<ProviderSummary>,
    /// Keys of secrets that are stored.
    pub secrets: BTreeSet<String>,
    /// Keys that the environment sets, with the variable; see [`EffectiveSettings::fixed`].
    pub fixed: BTreeMap<String, String>,
    /// Keys that take effect when the server starts again.
    pub after_restart: BTreeSet<String>,
    /// What dialects keep for everybody, by name.
    pub kept: BTreeMap<String, String>,
    /// What dialects keep for the caller, by name.
    pub preferences: BTreeMap<String, String>,
    /// The caller's `USER.md`.
    pub user_file: String,
}

/// What holds at the moment, without secrets.
#[derive(Default)]
struct InForce {
    values: BTreeMap<String, SettingValue>,
    providers: Vec<ProviderSummary>,
    fixed: BTreeMap<String, String>,
    after_restart: BTreeSet<String>,
    identity: AgentIdentity,
}

/// Settings that are changed while the server runs.
pub struct SettingsService {
    ports: SettingsPorts,
    models: Arc<ModelRegistry>,
    chat: Arc<ChatService>,
    in_force: Mutex<InForce>,
    /// Held from reading what is stored until the change is in force.
    changing: tokio::sync::Mutex<()>,
}

impl SettingsService {
    /// A service over what is stored, of which `effective` holds already in `models` and `chat`. Tells the agent who it
    /// is.
    pub async fn open(
        ports: SettingsPorts,
        effective: EffectiveSettings,
        models: Arc<ModelRegistry>,
        chat: Arc<ChatService>,
    ) -> Result<Self, SettingsError> {
        let user_files = ports
            .repository
            .named(IdentityFile::User.key(), MAX_USERS)
            .await?;
        let users: HashMap<UserId, String> = user_files
            .into_iter()
            .filter_map(|setting| Some((setting.owner, text_of(setting.value)?)))
            .collect();
        let stored = ports.secrets.installation().await?;
        let service = Self {
            ports,
            models,
            chat,
            in_force: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        };
        for (key, problem) in &effective.ignored {
            tracing::warn!(key, problem, "a stored setting is passed over");
        }
        service.put_in_force(effective, &stored, users);
        Ok(service)
    }

    /// What holds for the caller.
    pub async fn view(&self, caller: &Caller) -> Result<SettingsView, SettingsError> {
        if !caller.scopes.allows(Scope::SettingsWrite) {
            caller.require(Scope::SettingsRead)?;
        }
        let operator = UserId::operator();
        let installation = self.repository().list(&operator, MAX_SETTINGS).await?;
        let personal = if caller.user == operator {
            Vec::new()
        } else {
            self.repository().list(&caller.user, MAX_SETTINGS).await?
        };
        let mut view = SettingsView::default();
        for setting in &installation {
            if matches!(setting.value, StoredValue::Sealed(_)) {
                view.secrets.insert(setting.name.clone());
            }
        }
        let own = if caller.user == operator {
            &installation
        } else {
            &personal
        };
        view.kept = under(KEPT_PREFIX, &installation);
        view.preferences = under(PREFERENCE_PREFIX, own);
        let in_force = self.in_force();
        view.values.clone_from(&in_force.values);
        view.providers.clone_from(&in_force.providers);
        view.fixed.clone_from(&in_force.fixed);
        view.after_restart.clone_from(&in_force.after_restart);
        let user_file = in_force.identity.users.get(&caller.user);
        view.user_file = user_file.cloned().unwrap_or_default();
        Ok(view)
    }

    /// What dialects keep for everybody, and nothing else: what callers with `scope` may see of the settings.
    pub async fn kept(&self, caller: &Caller, scope: Scope) -> Result<SettingsView, SettingsError> {
        caller.require(scope)?;
        let operator = UserId::operator();
        let installation = self.repository().list(&operator, MAX_SETTINGS).await?;
        Ok(SettingsView {
            kept: under(KEPT_PREFIX, &installation),
            ..SettingsView::default()
        })
    }

    /// As [`update`](Self::update), for administrators' credentials with `scope`, of what dialects keep and the server
    /// itself does not heed. Whatever else is named is refused as without the scope of all settings.
    pub async fn keep(
        &self,
        caller: &Caller,
        scope: Scope,
        update: SettingsUpdate,
    ) -> Result<UpdateReport, SettingsError> {
        caller.require_change(scope)?;
        let mut changes = update.installation.iter();
        let kept = changes.all(|(key, change)| {
            key.starts_with(KEPT_PREFIX) && !matches!(change, Change::Secret(_))
        });
        if !kept || !update.personal.is_empty() {
            caller.require_change(Scope::SettingsWrite)?;
        }
        self.apply(caller, update, "settings.update").await
    }

    /// Fails unless the caller may change anything at all.
    pub fn may_update(&self, caller: &Caller) -> Result<(), SettingsError> {
        Ok(caller.require_change(Scope::SettingsWrite)?)
    }

    /// Changes settings, all of them or none, with effect at once where that is possible.
    ///
    /// Keys of the installation are those of the configuration file which can be stored (`agent.temperature`),
    /// `providers.NAME.{kind,base_url,api_key}`, `identity.{soul,style,instructions}`, and what is kept under
    /// [`SECRET_PREFIX`] and [`KEPT_PREFIX`]. Personal keys are `identity.user` and those under [`PREFERENCE_PREFIX`].
    pub async fn update(
        &self,
        caller: &Caller,
        update: SettingsUpdate,
    ) -> Result<UpdateReport, SettingsError> {
        caller.require_change(Scope::SettingsWrite)?;
        self.apply(caller, update, "settings.update").await
    }

    /// As [`update`](Self::update), for callers whose scope has been checked.
    pub(super) async fn apply(
        &self,
        caller: &Caller,
        update: SettingsUpdate,
        action: &'static str,
    ) -> Result<UpdateReport, SettingsError> {
        if !update.installation.is_empty() && !is_administrator(caller) {
            return Err(SettingsError::NotAdministrator);
        }
        check_keys(&update)?;
        let _changing = self.changing.lock().await;
        let stored = self
            .repository()
            .list(&UserId::operator(), MAX_SETTINGS)
            .await?;
        let mut installation = update.installation;
        let mut report = UpdateReport::default();
        forget_keys_of_moved_providers(&stored, &mut installation, &mut report);
        drop_unchanged(&stored, &mut installation);
        let mut layer = self.ports.secrets.layer(&stored)?;
        for (key, change) in &installation {
            put(&mut layer, key, change);
        }
        let with_models = installation
            .keys()
            .any(|key| key.starts_with(PROVIDERS) || key.starts_with(MODELS));
        let effective = self.ports.layers.join(&layer, with_models).await?;
        if let Some((key, problem)) = effective
            .ignored
            .iter()
            .find(|(key, _)| installation.contains_key(*key))
        {
            return Err(FieldError::new(key, problem).into());
        }
        report_effects(&installation, &effective, &mut report);
        self.store(caller, &installation, &update.personal, action)
            .await?;
        let mut users = self.in_force().identity.users.clone();
        match update.personal.get(IdentityFile::User.key()) {
            Some(Change::Set(SettingValue::Text(text))) => {
                users.insert(caller.user.clone(), text.clone());
            }
            Some(_) => {
                users.remove(&caller.user);
            }
            None => {}
        }
        self.put_in_force(effective, &layer, users);
        Ok(report)
    }

    async fn store(
        &self,
        caller: &Caller,
        installation: &BTreeMap<String, Change>,
        personal: &BTreeMap<String, Change>,
        action: &'static str,
    ) -> Result<(), SettingsError> {
        let mut changes = Vec::new();
        let operator = UserId::operator();
        let parts = [(&operator, installation), (&caller.user, personal)];
        for (owner, part) in parts {
            for (name, change) in part {
                let value = match change {
                    Change::Set(value) => Some(StoredValue::Plain(value.clone())),
                    Change::Forget => None,
                    Change::Secret(secret) => {
                        let sealed = self.ports.secrets.seal(owner, name, secret)?;
                        Some(StoredValue::Sealed(sealed))
                    }
                };
                changes.push(SettingChange {
                    owner: owner.clone(),
                    name: name.clone(),
                    value,
                });
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let now = self.clock().now();
        let keys = changes.iter().map(|change| change.name.as_str());
        let record: AuditRecord = record_keys(caller.record(action, now), keys);
        self.repository().change(&changes, now, &record).await?;
        Ok(())
    }

    /// Lets everything work as these settings say.
    fn put_in_force(
        &self,
        effective: EffectiveSettings,
        stored: &StoredLayer,
        users: HashMap<UserId, String>,
    ) {
        let text = |file: IdentityFile| {
            let value = stored.values.get(file.key());
            value
                .and_then(SettingValue::as_text)
                .unwrap_or_default()
                .to_owned()
        };
        let identity = AgentIdentity {
            soul: text(IdentityFile::Soul),
            style: text(IdentityFile::Style),
            instructions: text(IdentityFile::Instructions),
            users,
        };
        self.ports.layers.put_in_force(&effective);
        if let Some(models) = effective.models {
            self.models.replace(models);
        }
        self.chat.reconfigure(effective.agent);
        self.chat.set_identity(identity.clone());
        *self.in_force() = InForce {
            values: effective.values,
            providers: effective.providers,
            fixed: effective.fixed,
            after_restart: effective.after_restart,
            identity,
        };
    }

    /// The identity files as the agent sees them in conversations with the caller.
    pub(super) fn identity_files(&self, caller: &Caller) -> IdentityFiles {
        let in_force = self.in_force();
        let identity = &in_force.identity;
        let prompt = in_force.values.get(IdentityFile::Identity.key());
        let user = identity.users.get(&caller.user);
        IdentityFile::ALL
            .into_iter()
            .map(|file| {
                let text = match file {
                    IdentityFile::Identity => prompt.and_then(SettingValue::as_text),
                    IdentityFile::Soul => Some(identity.soul.as_str()),
                    IdentityFile::Style => Some(identity.style.as_str()),
                    IdentityFile::Instructions => Some(identity.instructions.as_str()),
                    IdentityFile::User => user.map(String::as_str),
                };
                (file, text.unwrap_or_default().to_owned())
            })
            .collect()
    }

    pub(super) fn repository(&self) -> &dyn SettingsRepository {
        self.ports.repository.as_ref()
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.ports.clock.as_ref()
    }

    fn in_force(&self) -> std::sync::MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_administrator(caller: &Caller) -> bool {
    matches!(caller.role, UserRole::Owner | UserRole::Admin)
}

/// The texts whose names begin with `prefix`, by the rest of their names.
fn under(prefix: &str, settings: &[StoredSetting]) -> BTreeMap<String, String> {
    settings
        .iter()
        .filter_map(|setting| {
            let name = setting.name.strip_prefix(prefix)?;
            Some((name.to_owned(), text_of(setting.value.clone())?))
        })
        .collect()
}

fn text_of(value: StoredValue) -> Option<String> {
    match value {
        StoredValue::Plain(SettingValue::Text(text)) => Some(text),
        _ => None,
    }
}

/// Refuses keys and values that could not be stored, and personal keys that are none.
fn check_keys(update: &SettingsUpdate) -> Result<(), SettingsError> {
    let mut wrong = Vec::new();
    for (key, change) in update.installation.iter().chain(&update.personal) {
        let bytes = match change {
            Change::Set(SettingValue::Text(text)) => text.len(),
            Change::Set(SettingValue::List(items)) => items.iter().map(String::len).sum(),
            Change::Secret(secret) => secret.expose().len(),
            Change::Set(_) | Change::Forget => 0,
        };
        if key.len() > MAX_SETTING_NAME {
            wrong.push(FieldError::new(key, "is not a setting"));
        } else if bytes > MAX_VALUE_BYTES {
            let words = format!("must not be longer than {MAX_VALUE_BYTES} bytes");
            wrong.push(FieldError::new(key, words));
        } else if must_be_secret(key) && matches!(change, Change::Set(_)) {
            wrong.push(FieldError::new(key, "is a secret"));
        } else if let Err(error) = check_length(key, change) {
            wrong.push(error);
        }
    }
    for key in update.personal.keys() {
        if key != IdentityFile::User.key() && !key.starts_with(PREFERENCE_PREFIX) {
            wrong.push(FieldError::new(key, "is not a preference"));
        }
    }
    for key in update.installation.keys() {
        if key == IdentityFile::User.key() || key.starts_with(PREFERENCE_PREFIX) {
            wrong.push(FieldError::new(key, "is a preference"));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(SettingsError::Invalid(wrong))
    }
}

fn must_be_secret(key: &str) -> bool {
    key.starts_with(SECRET_PREFIX) || (key.starts_with(PROVIDERS) && key.ends_with(".api_key"))
}

/// A stored key is not sent to another address than the one it was set for: who may set settings may not read keys.
fn forget_keys_of_moved_providers(
    stored: &[StoredSetting],
    changes: &mut BTreeMap<String, Change>,
    report: &mut UpdateReport,
) {
    let moved: Vec<String> = changes
        .iter()
        .filter_map(|(key, change)| {
            let provider = key.strip_prefix(PROVIDERS)?.strip_suffix(".base_url")?;
            let before = stored.iter().find(|setting| setting.name == *key);
            let same = match change {
                Change::Set(value) => {
                    before.is_some_and(|before| before.value == StoredValue::Plain(value.clone()))
                }
                _ => before.is_none(),
            };
            (!same).then(|| provider.to_owned())
        })
        .collect();
    for provider in moved {
        let key = format!("{PROVIDERS}{provider}.api_key");
        let has_key = stored.iter().any(|setting| setting.name == key);
        if has_key && !changes.contains_key(&key) {
            report.warnings.push(format!(
                "The address of {provider} changed, so its API key was forgotten; set it again"
            ));
            changes.insert(key, Change::Forget);
        }
    }
}

/// Leaves out what is stored already.
fn drop_unchanged(stored: &[StoredSetting], changes: &mut BTreeMap<String, Change>) {
    changes.retain(|key, change| {
        let before = stored.iter().find(|setting| setting.name == *key);
        match (change, before) {
            (Change::Set(value), Some(before)) => before.value != StoredValue::Plain(value.clone()),
            (Change::Forget, None) => false,
            _ => true,
        }
    });
}

fn put(layer: &mut StoredLayer, key: &str, change: &Change) {
    layer.values.remove(key);
    layer.secrets.remove(key);
    match change {
        Change::Set(value) => {
            layer.values.insert(key.to_owned(), value.clone());
        }
        Change::Secret(secret) => {
            layer.secrets.insert(key.to_owned(), secret.clone());
        }
        Change::Forget => {}
    }
}

/// Tells which changes wait for a restart, and which have no effect because the environment decides.
fn report_effects(
    changes: &BTreeMap<String, Change>,
    effective: &EffectiveSettings,
    report: &mut UpdateReport,
) {
    for key in changes.keys() {
        if effective.after_restart.contains(key) {
            report.after_restart.push(key.clone());
        }
        let provider = key
            .starts_with(PROVIDERS)
            .then(|| key.rsplit_once('.').map(|(provider, _)| provider))
            .flatten();
        let fixed = effective.fixed.get(provider.unwrap_or(key));
        if let Some(variable) = fixed {
            report.warnings.push(format!(
                "{key} is stored, but the environment variable {variable} decides"
            ));
        }
    }
}
