//! `[models]`: which models answer, and how their providers are reached.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::catalogue::{choice, section};
use crate::error::SettingsError;
use crate::secret::Secret;
use crate::validate::{check_http_url, check_range};

/// The model that is always there and needs no provider.
const BUILTIN_MODEL: &str = "builtin/assistant";

/// Provider names with a meaning of their own in model names.
const RESERVED_NAMES: [&str; 2] = ["majordomo", "builtin"];

choice! {
    /// The protocol that a provider speaks.
    pub enum ProviderKind {
        /// OpenAI's chat completions, which many other servers speak too.
        OpenAi = "openai",
        /// Anthropic's messages.
        Anthropic = "anthropic",
        /// Google's Gemini.
        Gemini = "gemini",
        /// Ollama's own protocol.
        Ollama = "ollama",
    }
}

section! {
    /// Which models answer.
    pub struct ModelsSettings {
        /// The model that answers where a request names none, as `NAME/MODEL`: the name of a provider and the
        /// provider's name of the model. Not set: the first model of the first provider, or `builtin/assistant`.
        default: Option<String> = None, example "\"builtin/assistant\"";
        /// Models that are tried in this order when one fails before it has begun to answer.
        fallback: Vec<String> = Vec::new();
        /// Where models come from. With none, the variables `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` and
        /// `GEMINI_API_KEY` each add a provider (named `openai`, `anthropic`, `gemini`).
        providers: Vec<ProviderSettings> = Vec::new();
    }
}

section! {
    /// One provider of models.
    pub struct ProviderSettings {
        /// What the provider is called in `NAME/MODEL`: `a` to `z`, digits, `_` and `-`; `majordomo` and `builtin` are taken.
        name: String = String::new() => required, example "\"openai\"";
        /// The protocol that the provider speaks.
        kind: ProviderKind = ProviderKind::OpenAi => required, example "\"openai\"";
        /// Address of the API, up to where the protocol's own paths begin. Not set: the maker's own service.
        base_url: Option<String> = None, example "\"https://api.openai.com/v1\"";
        /// The key itself. At most one of `api_key`, `api_key_env` and `api_key_file` may be set; after loading, this
        /// holds the key whichever it was.
        api_key: Option<Secret> = None, example "\"sk-...\"";
        /// Name of the environment variable that holds the key.
        api_key_env: Option<String> = None, example "\"OPENAI_API_KEY\"";
        /// File that contains the key.
        api_key_file: Option<PathBuf> = None, example "\"/run/secrets/openai\"";
        /// Names of the models to offer, those for embeddings too; no others can be asked. Empty: those that the provider lists itself.
        models: Vec<String> = Vec::new();
        /// Seconds to wait for a connection.
        connect_timeout_secs: u64 = 10;
        /// Seconds to wait for the next piece of an answer.
        idle_timeout_secs: u64 = 120;
        /// Seconds to wait for the whole answer.
        total_timeout_secs: u64 = 600;
        /// Tokens of the context window of this provider's models. Not set: `agent.context_tokens`.
        context_tokens: Option<u32> = None, example "128000";
    }
}

impl ModelsSettings {
    /// Adds the providers whose usual variables are set, where no provider is configured.
    pub(crate) fn detect_providers(&mut self, environment: &BTreeMap<String, String>) {
        if !self.providers.is_empty() {
            return;
        }
        let usual = [
            (ProviderKind::OpenAi, "OPENAI_API_KEY"),
            (ProviderKind::Anthropic, "ANTHROPIC_API_KEY"),
            (ProviderKind::Gemini, "GEMINI_API_KEY"),
        ];
        for (kind, variable) in usual {
            if environment
                .get(variable)
                .is_some_and(|key| !key.trim().is_empty())
            {
                self.providers.push(ProviderSettings {
                    name: kind.as_str().to_owned(),
                    kind,
                    api_key_env: Some(variable.to_owned()),
                    ..ProviderSettings::default()
                });
            }
        }
    }

    /// Looks up the keys that stand in variables and files.
    pub(crate) fn resolve_secrets(
        &mut self,
        environment: &BTreeMap<String, String>,
    ) -> Result<(), SettingsError> {
        self.providers
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, provider)| {
                provider.resolve_secrets(&provider_key(index), environment)
            })
    }

    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        check_range(
            "models.providers",
            self.providers.len(),
            0..=64,
            " providers",
        )?;
        for (index, provider) in self.providers.iter().enumerate() {
            let key = provider_key(index);
            provider.validate(&key)?;
            if self
                .providers
                .iter()
                .take(index)
                .any(|earlier| earlier.name == provider.name)
            {
                let problem = format!("another provider is called `{}` already", provider.name);
                return Err(SettingsError::invalid(format!("{key}.name"), problem));
            }
        }
        if let Some(model) = &self.default {
            self.check_model("models.default", model)?;
        }
        check_range("models.fallback", self.fallback.len(), 0..=64, " models")?;
        self.fallback
            .iter()
            .enumerate()
            .try_for_each(|(index, model)| {
                self.check_model(&format!("models.fallback[{index}]"), model)
            })
    }

    /// Refuses a model whose provider is not configured.
    pub(crate) fn check_model(&self, key: &str, model: &str) -> Result<(), SettingsError> {
        if model == BUILTIN_MODEL {
            return Ok(());
        }
        match model.split_once('/') {
            Some((provider, name)) if !provider.is_empty() && !name.is_empty() => {
                if self.providers.iter().any(|known| known.name == provider) {
                    return Ok(());
                }
                Err(SettingsError::invalid(
                    key,
                    format!("no provider is called `{provider}`"),
                ))
            }
            _ => Err(SettingsError::invalid(key, "expected `NAME/MODEL`")),
        }
    }
}

impl ProviderSettings {
    /// Fills `api_key` from the variable or the file. `key` is the path of this provider.
    fn resolve_secrets(
        &mut self,
        key: &str,
        environment: &BTreeMap<String, String>,
    ) -> Result<(), SettingsError> {
        let sources = [
            self.api_key.is_some(),
            self.api_key_env.is_some(),
            self.api_key_file.is_some(),
        ];
        if sources.iter().filter(|set| **set).count() > 1 {
            let problem = "only one of `api_key`, `api_key_env` and `api_key_file` may be set";
            return Err(SettingsError::invalid(format!("{key}.api_key"), problem));
        }
        if let Some(variable) = &self.api_key_env {
            let value = environment
                .get(variable)
                .map(|value| value.trim())
                .unwrap_or_default();
            if value.is_empty() {
                let problem = format!("the environment variable `{variable}` is not set");
                return Err(SettingsError::invalid(
                    format!("{key}.api_key_env"),
                    problem,
                ));
            }
            self.api_key = Some(Secret::new(value));
        }
        if let Some(path) = &self.api_key_file {
            self.api_key = Some(Secret::read_file(&format!("{key}.api_key_file"), path)?);
        }
        Ok(())
    }

    /// Checks what the types cannot. `key` is the path of this provider.
    fn validate(&self, key: &str) -> Result<(), SettingsError> {
        let name_key = format!("{key}.name");
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if !(1..=64).contains(&self.name.len()) || !self.name.chars().all(allowed) {
            return Err(SettingsError::invalid(
                name_key,
                "expected 1 to 64 of `a` to `z`, digits, `_` and `-`",
            ));
        }
        if RESERVED_NAMES.contains(&self.name.as_str()) {
            return Err(SettingsError::invalid(
                name_key,
                format!("the name `{}` is reserved", self.name),
            ));
        }
        if let Some(url) = &self.base_url {
            check_http_url(&format!("{key}.base_url"), url)?;
        }
        if self
            .api_key
            .as_ref()
            .is_some_and(|secret| secret.expose().trim().is_empty())
        {
            return Err(SettingsError::invalid(
                format!("{key}.api_key"),
                "must not be empty",
            ));
        }
        if let Some(index) = self.models.iter().position(|model| model.trim().is_empty()) {
            return Err(SettingsError::invalid(
                format!("{key}.models[{index}]"),
                "must not be empty",
            ));
        }
        check_range(
            &format!("{key}.models"),
            self.models.len(),
            0..=1000,
            " models",
        )?;
        check_range(
            &format!("{key}.connect_timeout_secs"),
            self.connect_timeout_secs,
            1..=86_400,
            "",
        )?;
        check_range(
            &format!("{key}.idle_timeout_secs"),
            self.idle_timeout_secs,
            1..=86_400,
            "",
        )?;
        check_range(
            &format!("{key}.total_timeout_secs"),
            self.total_timeout_secs,
            1..=86_400,
            "",
        )?;
        match self.context_tokens {
            Some(tokens) => check_range(
                &format!("{key}.context_tokens"),
                tokens,
                256..=100_000_000,
                "",
            ),
            None => Ok(()),
        }
    }
}

/// The path of a provider in messages.
fn provider_key(index: usize) -> String {
    format!("models.providers[{index}]")
}
