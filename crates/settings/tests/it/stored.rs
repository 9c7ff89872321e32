//! What is stored while the server runs: over the file, under the environment.

use majordomo_settings::{
    Effect, Layered, Layers, ProviderKind, STORABLE, Secret, Storable, StoredProvider,
    StoredSettings,
};

use crate::Case;

impl Case {
    fn layers(&self) -> Layers {
        Layers::read(self.options()).unwrap()
    }

    fn join(&self, stored: &StoredSettings) -> Layered {
        self.layers().join(stored).unwrap()
    }
}

fn stored(values: &[(&str, toml::Value)]) -> StoredSettings {
    let mut stored = StoredSettings::default();
    for (key, value) in values {
        stored.set(key, value.clone()).unwrap();
    }
    stored
}

fn provider(base_url: Option<&str>, api_key: Option<&str>) -> StoredProvider {
    StoredProvider {
        kind: ProviderKind::OpenAi,
        base_url: base_url.map(str::to_owned),
        api_key: api_key.map(Secret::new),
    }
}

fn key_of(layered: &Layered, name: &str) -> Option<String> {
    let providers = &layered.settings.models.providers;
    let provider = providers.iter().find(|provider| provider.name == name);
    let key = provider.unwrap().api_key.as_ref();
    key.map(|key| key.expose().to_owned())
}

#[test]
fn stored_values_stand_between_file_and_environment() {
    let case = Case::file("[agent]\nmax_steps = 3\nmax_tokens = 30\ntemperature = 0.3\n")
        .env("MAJORDOMO__AGENT__MAX_TOKENS", "40");
    let stored = stored(&[
        ("agent.max_tokens", 35.into()),
        ("agent.temperature", 1.5.into()),
        ("agent.system_prompt", "Say \"hm\".\n".into()),
    ]);
    let layered = case.join(&stored);
    let agent = &layered.settings.agent;
    assert_eq!(agent.max_steps, 3);
    assert_eq!(agent.max_tokens, Some(40));
    assert_eq!(agent.temperature, Some(1.5));
    assert_eq!(agent.system_prompt, "Say \"hm\".\n");
    assert_eq!(
        layered.fixed["agent.max_tokens"],
        "MAJORDOMO__AGENT__MAX_TOKENS"
    );
    assert!(!layered.fixed.contains_key("agent.temperature"));
    assert!(layered.ignored.is_empty());
}

#[test]
fn wrong_stored_values_are_refused_by_key() {
    let layers = Case::file("").layers();
    for (key, value, words) in [
        ("agent.temperature", toml::Value::from(3.0), "out of range"),
        ("agent.max_steps", "many".into(), "expected u32"),
        ("agent.max_steps", (-1).into(), "expected u32"),
        ("agent.loop_breaker", 1.into(), "expected a boolean"),
        (
            "security.rate_limit_key_rpm",
            0.into(),
            "security.rate_limit_key_rpm",
        ),
    ] {
        let error = layers.join(&stored(&[(key, value)])).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(&format!("{key}: ")), "{error}");
        assert!(error.contains(words), "{error}");
    }
    for key in [
        "server.listen",
        "security.localhost_auth_bypass",
        "agent.nope",
        "agent",
    ] {
        let refused = StoredSettings::default().set(key, 1.into()).unwrap_err();
        assert!(refused.to_string().contains("cannot be changed"));
    }
}

#[test]
fn a_provider_is_added_by_its_key() {
    let mut stored = stored(&[("models.default", "openrouter/some/model".into())]);
    let url = Some("https://openrouter.ai/api/v1");
    stored
        .providers
        .insert("openrouter".to_owned(), provider(url, Some("hush")));
    stored
        .providers
        .insert("empty".to_owned(), provider(None, None));
    let layered = Case::file("").join(&stored);
    assert_eq!(layered.settings.models.providers.len(), 1);
    assert_eq!(key_of(&layered, "openrouter").as_deref(), Some("hush"));
    assert_eq!(
        layered.settings.models.default.as_deref(),
        Some("openrouter/some/model")
    );
    assert!(!format!("{layered:?} {stored:?}").contains("hush"));
}

#[test]
fn a_key_of_the_file_is_not_sent_to_a_stored_address() {
    let file =
        "[[models.providers]]\nname = \"openai\"\nkind = \"openai\"\napi_key = \"of the file\"\n";
    let case = Case::file(file);
    let with = |provider| {
        let mut stored = StoredSettings::default();
        stored.providers.insert("openai".to_owned(), provider);
        case.join(&stored)
    };
    let elsewhere = Some("http://127.0.0.1:1/v1");
    assert_eq!(
        key_of(&with(provider(None, None)), "openai").as_deref(),
        Some("of the file")
    );
    assert_eq!(key_of(&with(provider(elsewhere, None)), "openai"), None);
    assert_eq!(
        key_of(&with(provider(elsewhere, Some("stored"))), "openai").as_deref(),
        Some("stored")
    );
    assert_eq!(
        key_of(&with(provider(None, Some("stored"))), "openai").as_deref(),
        Some("stored")
    );
}

#[test]
fn providers_of_the_environment_stay_as_they_are() {
    let mut stored = StoredSettings::default();
    stored
        .providers
        .insert("openai".to_owned(), provider(None, Some("stored")));
    let found = Case::file("")
        .env("OPENAI_API_KEY", "of the environment")
        .join(&stored);
    assert_eq!(
        key_of(&found, "openai").as_deref(),
        Some("of the environment")
    );
    assert_eq!(found.fixed["providers.openai"], "OPENAI_API_KEY");
    let list = "[{ name = \"openai\", kind = \"openai\", api_key = \"listed\" }]";
    let listed = Case::file("")
        .env("MAJORDOMO__MODELS__PROVIDERS", list)
        .join(&stored);
    assert_eq!(key_of(&listed, "openai").as_deref(), Some("listed"));
    assert_eq!(
        listed.fixed["providers.openai"],
        "MAJORDOMO__MODELS__PROVIDERS"
    );
}

#[test]
fn a_stored_model_whose_provider_is_gone_is_passed_over() {
    let file = "[models]\ndefault = \"builtin/assistant\"\n";
    let stored = stored(&[
        ("models.default", "gone/model".into()),
        (
            "models.fallback",
            vec!["gone/model", "builtin/assistant"].into(),
        ),
    ]);
    let layered = Case::file(file).join(&stored);
    let models = &layered.settings.models;
    assert_eq!(models.default.as_deref(), Some("builtin/assistant"));
    assert_eq!(models.fallback, ["builtin/assistant"]);
    assert_eq!(
        layered.ignored["models.default"],
        "no provider is called `gone`"
    );
    assert!(layered.ignored.contains_key("models.fallback"));
}

#[test]
fn every_storable_key_shows_its_value() {
    let settings = Case::file("[agent]\ntemperature = 0.5\n").load().unwrap();
    for storable in STORABLE {
        let optional = ["models.default", "agent.max_tokens"].contains(&storable.key);
        assert_eq!(
            storable.value(&settings).is_none(),
            optional,
            "{}",
            storable.key
        );
    }
    let temperature = Storable::find("agent.temperature").unwrap();
    assert_eq!(temperature.value(&settings), Some(0.5.into()));
    assert_eq!(temperature.effect, Effect::AtOnce);
}
