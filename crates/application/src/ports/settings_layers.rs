//! What stored settings amount to together with those that the process started with.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::secret_box::SecretText;
use super::settings_repository::SettingValue;
use crate::chat::AgentConfig;
use crate::error::FieldError;
use crate::models::RegistryConfig;
use crate::oauth::Connections;

/// The stored settings, opened: the layer over the configuration file and under the environment.
#[derive(Debug, Clone, Default)]
pub struct StoredLayer {
    /// Values by key: `agent.temperature`, `providers.openai.base_url`.
    pub values: BTreeMap<String, SettingValue>,
    /// Secrets by key: `providers.openai.api_key`.
    pub secrets: BTreeMap<String, SecretText>,
}

/// A provider of models, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSummary {
    /// Its name.
    pub name: String,
    /// The address that is configured for it, if any.
    pub base_url: Option<String>,
    /// Whether it has a key.
    pub has_key: bool,
}

/// All layers joined.
pub struct EffectiveSettings {
    /// What holds, by key; without those that are not set.
    pub values: BTreeMap<String, SettingValue>,
    /// The providers of models.
    pub providers: Vec<ProviderSummary>,
    /// Keys (`agent.temperature`, `providers.openai`) that the environment sets, whatever is stored, with the variable.
    pub fixed: BTreeMap<String, String>,
    /// Stored keys that do not hold because they fit the other layers no longer, with what is wrong.
    pub ignored: BTreeMap<String, String>,
    /// Keys whose value takes effect when the server starts again.
    pub after_restart: BTreeSet<String>,
    /// Under which names this server is known at other services.
    pub connections: Connections,
    /// How the agent works.
    pub agent: AgentConfig,
    /// Which models answer; `None` where it was not asked for.
    pub models: Option<RegistryConfig>,
}

/// Joins settings, and holds the process to those that no service owns.
#[async_trait]
pub trait SettingsLayers: Send + Sync {
    /// Joins the stored layer with all others. Changes nothing. Clients for models are only made when `with_models` asks
    /// for them.
    ///
    /// # Errors
    /// A stored key is unknown, or its value makes no sense; names the key.
    async fn join(
        &self,
        stored: &StoredLayer,
        with_models: bool,
    ) -> Result<EffectiveSettings, FieldError>;

    /// Lets work what no service of the settings owns: what is logged, how this server is known elsewhere. Called with the
    /// result of each [`join`](Self::join) whose stored layer holds from now on.
    fn put_in_force(&self, effective: &EffectiveSettings);
}
