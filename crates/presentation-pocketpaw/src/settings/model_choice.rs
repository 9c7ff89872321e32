//! Which model answers, where clients choose a provider and have a model for each.

use serde_json::{Map, Value};

/// A provider as clients choose it: the name, this server's name of it, the setting of its model.
const PROVIDERS: [(&str, &str, &str); 9] = [
    ("anthropic", "anthropic", "anthropic_model"),
    ("openai", "openai", "openai_model"),
    ("gemini", "gemini", "gemini_model"),
    ("google", "gemini", "gemini_model"),
    ("ollama", "ollama", "ollama_model"),
    (
        "openai_compatible",
        "openai_compatible",
        "openai_compatible_model",
    ),
    ("openrouter", "openrouter", "openrouter_model"),
    ("litellm", "litellm", "litellm_model"),
    ("builtin", "builtin", ""),
];

/// An agent backend as clients choose it, with the settings of its provider and model.
const BACKENDS: [(&str, &str, &str); 3] = [
    (
        "claude_agent_sdk",
        "claude_sdk_provider",
        "claude_sdk_model",
    ),
    (
        "openai_agents",
        "openai_agents_provider",
        "openai_agents_model",
    ),
    ("google_adk", "google_adk_provider", "google_adk_model"),
];

/// Whether changing this setting may choose another model.
pub(super) fn chooses(name: &str) -> bool {
    ["llm_provider", "agent_backend"].contains(&name)
        || PROVIDERS.iter().any(|(_, _, model)| *model == name)
        || BACKENDS
            .iter()
            .any(|(_, provider, model)| *provider == name || *model == name)
}

/// The model that all settings together choose, as `PROVIDER/MODEL`: that of the chosen provider, else that of the
/// backend's.
pub(super) fn chosen(settings: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| {
        let text = settings.get(name).and_then(Value::as_str);
        text.map(str::trim).filter(|text| !text.is_empty())
    };
    let backend = text("agent_backend");
    let backend = BACKENDS.iter().find(|(name, _, _)| Some(*name) == backend);
    let of_backend = backend.and_then(|(_, provider, _)| text(provider));
    let provider = text("llm_provider")
        .filter(|provider| *provider != "auto")
        .or(of_backend)?;
    let (_, name, model) = PROVIDERS.iter().find(|(known, _, _)| *known == provider)?;
    // The backend's own model is one of its provider.
    let own = backend
        .filter(|_| of_backend == Some(provider))
        .and_then(|(_, _, model)| text(model));
    Some(format!("{name}/{}", own.or_else(|| text(model))?))
}
