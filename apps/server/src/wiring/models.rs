//! Model providers from settings.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::models::{ModelRegistry, Provider, RegistryConfig};
use majordomo_application::ports::ChatModel;
use majordomo_domain::ModelRef;
use majordomo_infrastructure_llm::{
    AnthropicChatModel, BuiltinAssistant, GeminiChatModel, OllamaChatModel, OpenAiChatModel,
    ProviderConfig, ProviderConfigError, ProviderKey,
};
use majordomo_infrastructure_system::SystemClock;
use majordomo_settings::{ProviderKind, ProviderSettings, Settings};
use thiserror::Error;

/// The provider that needs no model.
pub(crate) const BUILTIN_PROVIDER: &str = BuiltinAssistant::PROVIDER;
/// Its only model.
const BUILTIN_MODEL: &str = BuiltinAssistant::MODEL;
/// How long an Ollama on this machine may take to answer the question whether it is there.
const DETECTION_TIMEOUT: Duration = Duration::from_millis(300);

/// A provider's settings are wrong.
#[derive(Debug, Error)]
pub enum ModelsConfigError {
    /// An adapter refuses them.
    #[error("models.providers: {0}")]
    Provider(#[from] ProviderConfigError),
    /// A model of the settings is no `NAME/MODEL`.
    #[error("{key}: expected `NAME/MODEL`")]
    Model {
        /// The key.
        key: &'static str,
    },
}

/// The registry of the configured providers. With none configured an Ollama at its standard address is used where one
/// answers; the built-in assistant is always there.
pub(crate) async fn models(settings: &Settings) -> Result<ModelRegistry, ModelsConfigError> {
    let config = registry_config(settings).await?;
    Ok(ModelRegistry::new(config, Arc::new(SystemClock)))
}

/// What the [`models`] of these settings are.
pub(crate) async fn registry_config(
    settings: &Settings,
) -> Result<RegistryConfig, ModelsConfigError> {
    let configured = &settings.models;
    let mut providers = Vec::new();
    for provider in &configured.providers {
        providers.push(Provider {
            name: provider.name.clone(),
            model: adapter(provider)?,
            models: provider.models.clone(),
            context_tokens: provider.context_tokens.map(u64::from),
        });
    }
    let mut detected = None;
    if providers.is_empty()
        && configured.default.is_none()
        && let Some((provider, model)) = local_ollama().await?
    {
        detected = Some(ModelRef::new(&provider.name, model));
        providers.push(provider);
    }
    let default = match &configured.default {
        Some(name) => ModelRef::parse(name).ok_or(ModelsConfigError::Model {
            key: "models.default",
        })?,
        None => detected.unwrap_or_else(|| first_model(&configured.providers)),
    };
    let fallback: Option<Vec<ModelRef>> = configured
        .fallback
        .iter()
        .map(|name| ModelRef::parse(name))
        .collect();
    let fallback = fallback.ok_or(ModelsConfigError::Model {
        key: "models.fallback",
    })?;
    providers.push(Provider {
        name: BUILTIN_PROVIDER.to_owned(),
        model: Arc::new(BuiltinAssistant::new(Arc::new(SystemClock))),
        models: vec![BUILTIN_MODEL.to_owned()],
        context_tokens: None,
    });
    Ok(RegistryConfig {
        providers,
        default,
        fallback,
    })
}

/// What answers when no default is configured: the first provider's first model, where one is known.
fn first_model(providers: &[ProviderSettings]) -> ModelRef {
    let first = providers.iter().find_map(|provider| {
        let first = provider.models.first().map(String::as_str);
        let model = first.or_else(|| customary_model(provider.kind))?;
        Some(ModelRef::new(&provider.name, model))
    });
    first.unwrap_or_else(|| ModelRef::new(BUILTIN_PROVIDER, BUILTIN_MODEL))
}

/// A model that every account with the provider has, small and current; `models.default` overrides it.
const fn customary_model(kind: ProviderKind) -> Option<&'static str> {
    match kind {
        ProviderKind::OpenAi => Some("gpt-5-mini"),
        ProviderKind::Anthropic => Some("claude-sonnet-4-5"),
        ProviderKind::Gemini => Some("gemini-2.5-flash"),
        ProviderKind::Ollama => None,
    }
}

fn adapter(settings: &ProviderSettings) -> Result<Arc<dyn ChatModel>, ProviderConfigError> {
    let base_url = match (&settings.base_url, settings.kind) {
        (Some(url), _) => url.clone(),
        (None, ProviderKind::OpenAi) => OpenAiChatModel::DEFAULT_BASE_URL.to_owned(),
        (None, ProviderKind::Anthropic) => AnthropicChatModel::DEFAULT_BASE_URL.to_owned(),
        (None, ProviderKind::Gemini) => GeminiChatModel::DEFAULT_BASE_URL.to_owned(),
        (None, ProviderKind::Ollama) => OllamaChatModel::DEFAULT_BASE_URL.to_owned(),
    };
    let config = ProviderConfig {
        name: settings.name.clone(),
        base_url,
        api_key: settings
            .api_key
            .as_ref()
            .map(|key| ProviderKey::new(key.expose())),
        connect_timeout: Duration::from_secs(settings.connect_timeout_secs),
        idle_timeout: Duration::from_secs(settings.idle_timeout_secs),
        total_timeout: Duration::from_secs(settings.total_timeout_secs),
    };
    Ok(match settings.kind {
        ProviderKind::OpenAi => Arc::new(OpenAiChatModel::new(&config)?),
        ProviderKind::Anthropic => Arc::new(AnthropicChatModel::new(&config)?),
        ProviderKind::Gemini => Arc::new(GeminiChatModel::new(&config)?),
        ProviderKind::Ollama => Arc::new(OllamaChatModel::new(&config)?),
    })
}

/// The Ollama of this machine and its first model, if it answers and has any.
async fn local_ollama() -> Result<Option<(Provider, String)>, ProviderConfigError> {
    let config = ProviderConfig::new("ollama", OllamaChatModel::DEFAULT_BASE_URL);
    let model: Arc<dyn ChatModel> = Arc::new(OllamaChatModel::new(&config)?);
    let answer = tokio::time::timeout(DETECTION_TIMEOUT, model.models()).await;
    let listed = answer.ok().and_then(Result::ok).unwrap_or_default();
    let Some(first) = listed.into_iter().next() else {
        return Ok(None);
    };
    let provider = Provider {
        name: "ollama".to_owned(),
        model,
        models: Vec::new(),
        context_tokens: None,
    };
    Ok(Some((provider, first.id)))
}
