//! Providers, models and keys that cannot be used are refused, and no key is ever quoted.

use crate::{Case, refuse, refuse_variable};

#[test]
fn models_and_providers() {
    let provider =
        |rest: &str| format!("[[models.providers]]\nname = \"a\"\nkind = \"openai\"\n{rest}");
    refuse(
        "[[models.providers]]\nname = \"a\"",
        "models.providers[0].kind",
        "missing",
    );
    refuse(
        "[[models.providers]]\nkind = \"openai\"",
        "models.providers[0].name",
        "missing",
    );
    refuse(
        "[[models.providers]]\nname = \"A b\"\nkind = \"openai\"",
        "models.providers[0].name",
        "expected 1 to 64",
    );
    refuse(
        "[[models.providers]]\nname = \"majordomo\"\nkind = \"openai\"",
        "models.providers[0].name",
        "reserved",
    );
    refuse(
        &provider(&provider("")),
        "models.providers[1].name",
        "already",
    );
    refuse(
        &provider("base_url = \"ftp://x\""),
        "models.providers[0].base_url",
        "expected an address",
    );
    refuse(
        &provider("api_key = \"hush\"\napi_key_env = \"X\""),
        "models.providers[0].api_key",
        "only one of",
    );
    refuse(
        &provider("api_key = \" \""),
        "models.providers[0].api_key",
        "must not be empty",
    );
    refuse(
        &provider("api_key_env = \"NOT_THERE\""),
        "models.providers[0].api_key_env",
        "`NOT_THERE` is not set",
    );
    refuse(
        &provider("api_key_file = \"/nonexistent/key\""),
        "models.providers[0].api_key_file",
        "cannot read",
    );
    refuse(
        &provider("idle_timeout_secs = 0"),
        "models.providers[0].idle_timeout_secs",
        "out of range",
    );
    refuse(
        "[models]\ndefault = \"a/b\"",
        "models.default",
        "no provider is called `a`",
    );
    refuse(
        "[models]\ndefault = \"a\"",
        "models.default",
        "expected `NAME/MODEL`",
    );
    refuse(
        "[models]\nfallback = [\"builtin/assistant\", \"a/b\"]",
        "models.fallback[1]",
        "no provider is called `a`",
    );
    assert!(
        Case::file("[models]\ndefault = \"builtin/assistant\"")
            .load()
            .is_ok()
    );
}

#[test]
fn credentials_are_checked_and_never_quoted() {
    let uuid = "018f4e6e-0000-7000-8000-000000000001";
    refuse(
        "[security.api_key_users]\n\"hush\" = \"nobody\"",
        "security.api_key_users",
        "expected a UUID",
    );
    refuse(
        "[security.api_key_users]\n\"hush\" = 7",
        "security.api_key_users",
        "expected a UUID",
    );
    refuse(
        &format!("[security.api_key_users]\n\"\" = \"{uuid}\""),
        "security.api_key_users",
        "must not be empty",
    );
    refuse_variable(
        "MAJORDOMO__SECURITY__API_KEY_USERS",
        "{ hush = \"nobody\" }",
        "security.api_key_users",
        "expected a UUID",
    );
    refuse_variable(
        "MAJORDOMO__SECURITY__API_KEY_USERS",
        "hush=nobody",
        "security.api_key_users",
        "expected a TOML table",
    );
    refuse(
        "[[models.providers]]\nname = \"a\"\nkind = \"openai\"\napi_key = [\"hush\"]",
        "models.providers[0].api_key",
        "expected text",
    );

    let key = |hash: &str, user: &str| {
        format!("[[security.api_keys]]\nhash = '{hash}'\nuser_id = '{user}'")
    };
    let good = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";
    assert_eq!(
        Case::file(key(good, uuid))
            .load()
            .unwrap()
            .security
            .api_keys[0]
            .hash
            .expose(),
        good
    );
    refuse(
        &key(good, "nobody"),
        "security.api_keys[0].user_id",
        "expected a UUID",
    );
    refuse(
        "[[security.api_keys]]\nhash = 'hush'",
        "security.api_keys[0].user_id",
        "missing",
    );
    for hash in [
        "hush",
        "",
        "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=19456,t=2$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=x,t=2,p=1$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA$",
    ] {
        refuse(
            &key(hash, uuid),
            "security.api_keys[0].hash",
            "expected an Argon2id hash",
        );
    }
}
