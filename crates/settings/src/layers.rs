//! Joins the layers - defaults, file, stored settings, environment, flags - into one [`Settings`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{Config, File, FileFormat};

use crate::Settings;
use crate::environment::{environment_table, variable_of};
use crate::error::{Origin, SettingsError};
use crate::load::{LoadOptions, Overrides, decode, parse_file, read_file};
use crate::secret::Secret;
use crate::sections::ProviderSettings;
use crate::stored::{StoredProvider, StoredSettings};

/// The variable that may hold the keys under which stored secrets are sealed: base64, the current one first, with
/// commas between them. It is no setting: no file has it.
pub const SECRET_KEY_VARIABLE: &str = "MAJORDOMO_SECRET_KEY";

/// The layers that a process starts with. They stay as they are while it runs; what is stored between them changes.
#[derive(Clone, Default)]
pub struct Layers {
    file: Option<(PathBuf, toml::Table)>,
    environment: BTreeMap<String, String>,
    environment_table: toml::Table,
    overrides: Overrides,
}

/// All layers joined.
#[derive(Debug, Clone)]
pub struct Layered {
    /// What holds.
    pub settings: Settings,
    /// Keys that a variable sets, whatever is stored, with the variable. Providers are `providers.NAME`.
    pub fixed: BTreeMap<String, String>,
    /// Stored keys that do not hold because they fit the other layers no longer, with what is wrong.
    pub ignored: BTreeMap<String, String>,
}

impl Layers {
    /// Reads file and environment.
    ///
    /// # Errors
    /// The file cannot be read or is not TOML; a key is unknown in the file or in the environment, or has the wrong type.
    pub fn read<E>(options: LoadOptions<E>) -> Result<Self, SettingsError>
    where
        E: IntoIterator<Item = (String, String)>,
    {
        let environment: BTreeMap<String, String> = options.env.into_iter().collect();
        // Each layer must be right by itself, so that no mistake hides behind a later layer.
        let file = match read_file(options.config_file, options.default_file)? {
            None => None,
            Some((path, text)) => {
                let table = parse_file(&path, &text)?;
                decode(&table, |_| Some(Origin::File(path.clone())))?;
                Some((path, table))
            }
        };
        let environment_table = environment_table(&environment)?;
        decode(&environment_table, |key| {
            Some(Origin::Variable(variable_of(key)))
        })?;
        Ok(Self {
            file,
            environment,
            environment_table,
            overrides: options.overrides,
        })
    }

    /// Joins the layers with what is stored, looks up the secrets that stand in variables and files, and validates.
    ///
    /// A stored model of a provider that is configured no longer is passed over, so that it does not keep a server from
    /// starting whose file was changed; see [`Layered::ignored`].
    ///
    /// # Errors
    /// A value has the wrong type or makes no sense.
    pub fn join(&self, stored: &StoredSettings) -> Result<Layered, SettingsError> {
        let stored_table = stored.table()?;
        let mut layers = Config::builder();
        let file = self.file.as_ref().map(|(_, table)| table);
        for table in file
            .into_iter()
            .chain([&stored_table, &self.environment_table])
        {
            layers = layers.add_source(File::from_str(&table.to_string(), FileFormat::Toml));
        }
        let joined: toml::Table = layers
            .build()
            .and_then(Config::try_deserialize)
            .map_err(|_| SettingsError::invalid("settings", "the layers cannot be joined"))?;
        let mut settings = decode(&joined, |_| None)?;

        let mut fixed = self.fixed_keys();
        self.overrides.clone().apply(&mut settings);
        settings.models.detect_providers(&self.environment);
        for (name, provider) in &stored.providers {
            let known = settings.models.providers.iter_mut();
            match known.into_iter().find(|known| known.name == *name) {
                Some(known) => match self.variable_of_provider(known) {
                    Some(variable) => {
                        fixed.insert(format!("providers.{name}"), variable);
                    }
                    None => change_provider(known, provider),
                },
                None => settings
                    .models
                    .providers
                    .extend(new_provider(name, provider)),
            }
        }
        let ignored = self.pass_over_unknown_models(&mut settings, stored);
        settings.models.resolve_secrets(&self.environment)?;
        settings.database.resolve_secrets()?;
        settings.validate()?;
        Ok(Layered {
            settings,
            fixed,
            ignored,
        })
    }

    /// The keys that seal stored secrets, where the environment has them; see [`SECRET_KEY_VARIABLE`].
    pub fn secret_keys(&self) -> Option<Secret> {
        self.environment
            .get(SECRET_KEY_VARIABLE)
            .map(|keys| Secret::new(keys.as_str()))
    }

    /// The keys that variables set.
    fn fixed_keys(&self) -> BTreeMap<String, String> {
        let sections = self.environment_table.iter();
        sections
            .filter_map(|(section, keys)| Some((section, keys.as_table()?)))
            .flat_map(|(section, keys)| keys.keys().map(move |key| format!("{section}.{key}")))
            .map(|key| {
                let variable = variable_of(&key);
                (key, variable)
            })
            .collect()
    }

    fn sets_in_environment(&self, section: &str, key: &str) -> bool {
        self.environment_table
            .get(section)
            .and_then(|keys| keys.get(key))
            .is_some()
    }

    /// The variable that a provider comes from, `None` for one of the file.
    fn variable_of_provider(&self, provider: &ProviderSettings) -> Option<String> {
        if self.sets_in_environment("models", "providers") {
            return Some(variable_of("models.providers"));
        }
        let in_file = self
            .file
            .as_ref()
            .and_then(|(_, table)| table.get("models")?.get("providers")?.as_array())
            .is_some_and(|providers| !providers.is_empty());
        // Without a list of providers they were found by their usual variables.
        if in_file {
            None
        } else {
            provider.api_key_env.clone()
        }
    }

    /// Takes stored models of unknown providers back to what the file says, and tells which.
    fn pass_over_unknown_models(
        &self,
        settings: &mut Settings,
        stored: &StoredSettings,
    ) -> BTreeMap<String, String> {
        let mut ignored = BTreeMap::new();
        let file_models = || {
            let (_, table) = self.file.as_ref()?;
            decode(table, |_| None).ok().map(|settings| settings.models)
        };
        let holds = |key: &str| {
            stored.sets(&format!("models.{key}")) && !self.sets_in_environment("models", key)
        };
        let models = &mut settings.models;
        if holds("default")
            && let Some(default) = models.default.clone()
            && let Err(error) = models.check_model("models.default", &default)
        {
            ignored.insert("models.default".to_owned(), problem(&error));
            models.default = file_models().and_then(|models| models.default);
        }
        if holds("fallback") {
            for model in std::mem::take(&mut models.fallback) {
                match models.check_model("models.fallback", &model) {
                    Ok(()) => models.fallback.push(model),
                    Err(error) => {
                        ignored.insert("models.fallback".to_owned(), problem(&error));
                    }
                }
            }
        }
        ignored
    }
}

/// Puts what is stored over a provider of the file. A key of the file is never sent to another address.
fn change_provider(known: &mut ProviderSettings, stored: &StoredProvider) {
    if let Some(base_url) = &stored.base_url
        && known.base_url.as_ref() != Some(base_url)
    {
        known.base_url = Some(base_url.clone());
        known.api_key = None;
        known.api_key_env = None;
        known.api_key_file = None;
    }
    if let Some(api_key) = &stored.api_key {
        known.api_key = Some(api_key.clone());
        known.api_key_env = None;
        known.api_key_file = None;
    }
}

/// A provider that only is stored; without address and key there is nothing to ask.
fn new_provider(name: &str, stored: &StoredProvider) -> Option<ProviderSettings> {
    let is_told = stored.base_url.is_some() || stored.api_key.is_some();
    is_told.then(|| ProviderSettings {
        name: name.to_owned(),
        kind: stored.kind,
        base_url: stored.base_url.clone(),
        api_key: stored.api_key.clone(),
        ..ProviderSettings::default()
    })
}

/// What is wrong, without the key.
fn problem(error: &SettingsError) -> String {
    match error {
        SettingsError::Key { problem, .. } => problem.clone(),
        other => other.to_string(),
    }
}
