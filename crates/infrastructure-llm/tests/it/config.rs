//! What a configuration may hold, and that it keeps its secrets.

use majordomo_infrastructure_llm::{
    OpenAiChatModel, ProviderConfig, ProviderConfigError, ProviderKey,
};

use crate::support::KEY;

fn error_of(config: &ProviderConfig) -> ProviderConfigError {
    OpenAiChatModel::new(config).err().expect("an error")
}

#[test]
fn secrets_cannot_be_printed() {
    let config = ProviderConfig::new("acme", format!("https://user:{KEY}@example.org"))
        .with_api_key(ProviderKey::new(KEY));
    assert!(!format!("{config:?} {:#?}", config.api_key).contains(KEY));
    let error = error_of(&config);
    assert!(matches!(
        error,
        ProviderConfigError::CredentialsInUrl { .. }
    ));
    assert!(!format!("{error} {error:?}").contains(KEY));
    let config = ProviderConfig::new("acme", "https://example.org")
        .with_api_key(ProviderKey::new(format!("{KEY}\nx")));
    let error = error_of(&config);
    assert!(matches!(error, ProviderConfigError::ApiKey { .. }));
    assert!(!format!("{error} {error:?}").contains(KEY));
}

#[test]
fn only_usable_addresses_are_taken() {
    for url in [
        "",
        "example.org",
        "ftp://example.org",
        "http://",
        "http://h/v1?x=1",
        "http://h/#a",
    ] {
        let error = error_of(&ProviderConfig::new("acme", url));
        assert!(
            matches!(error, ProviderConfigError::BaseUrl { .. }),
            "{url}"
        );
    }
    let empty = ProviderConfig::new("acme", "http://h").with_api_key(ProviderKey::new("  "));
    assert!(matches!(
        error_of(&empty),
        ProviderConfigError::ApiKey { .. }
    ));
    for url in [
        "http://h/v1",
        "http://h/v1/",
        "http://[::1]:8080",
        " http://localhost:11434 ",
    ] {
        assert!(
            OpenAiChatModel::new(&ProviderConfig::new("acme", url)).is_ok(),
            "{url}"
        );
    }
}
