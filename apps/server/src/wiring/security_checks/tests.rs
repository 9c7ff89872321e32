//! What the checks find.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use majordomo_application::ports::SecurityCheck as _;
use majordomo_domain::{CheckSeverity, SecurityCheckResult};
use majordomo_infrastructure_system::{
    AUDIT_HEAD_FILE, MASTER_TOKEN_FILE, SECRET_KEY_FILE, SIGNING_KEY_FILE,
};
use majordomo_settings::{Layers, LoadOptions, Settings, StoredSettings};

use super::files::find_secrets;
use super::{FileCheck, SettingsCheck, is_weak};

fn secrets_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let table = text.parse::<toml::Table>().unwrap();
    find_secrets("", &toml::Value::Table(table), &mut found);
    found
}

#[test]
fn secrets_in_plain_text_are_named_by_their_place() {
    let text = r#"
        [database]
        url = "postgres://u:hidden@host/db"
        [[models.providers]]
        api_key = "hidden"
        api_key_file = "/run/secrets/openai"
        [security.api_key_users]
        hidden = "018f4e6e-0000-7000-8000-000000000001"
    "#;
    let mut found = secrets_of(text);
    found.sort();
    assert_eq!(
        found,
        [
            "database.url",
            "models.providers[0].api_key",
            "security.api_key_users"
        ]
    );
}

#[test]
fn settings_without_secrets_are_clean() {
    let text = "[database]\nurl = \"postgres://host/db\"\n[server]\npublic_url = \"https://a@b\"\n";
    assert_eq!(secrets_of(text), Vec::<String>::new());
}

#[test]
fn short_and_monotonous_secrets_are_weak() {
    assert!(is_weak("changeme"));
    assert!(is_weak(&"ab".repeat(30)));
    assert!(!is_weak("q7Zp1xL0vR4tK9mW2sYb8c"));
}

#[tokio::test]
async fn a_shared_token_file_is_critical() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join(MASTER_TOKEN_FILE);
    fs::write(&token, "q7Zp1xL0vR4tK9mW2sYb8c").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let settings = Settings::default();
    let results = FileCheck::new(&settings, folder.path()).examine().await;
    let found = results
        .iter()
        .find(|result| result.check == "Access token")
        .unwrap();
    assert!(!found.passed);
    assert_eq!(found.severity, CheckSeverity::Critical);
    assert!(found.remedy.is_some());
}

/// What a check of the settings says.
fn settings_check(check: &str, change: impl FnOnce(&mut Settings)) -> SecurityCheckResult {
    let mut settings = Settings::default();
    change(&mut settings);
    let results = SettingsCheck::new(&settings).results;
    let result = results.into_iter().find(|result| result.check == check);
    result.unwrap_or_else(|| panic!("no check {check}"))
}

/// The check passes one set-up, and tells how to mend the other.
#[track_caller]
fn tells_apart(
    check: &str,
    good: impl FnOnce(&mut Settings),
    bad: impl FnOnce(&mut Settings),
    severity: CheckSeverity,
) {
    let good = settings_check(check, good);
    assert!(good.passed && good.remedy.is_none(), "{good:?}");
    let bad = settings_check(check, bad);
    assert!(!bad.passed && bad.remedy.is_some(), "{bad:?}");
    assert_eq!(bad.severity, severity, "{bad:?}");
}

fn beyond(settings: &mut Settings) {
    settings.server.listen = vec![([0, 0, 0, 0], 8888).into()];
}

fn proxied(settings: &mut Settings) {
    settings.server.public_url = Some("https://chat.example.org".to_owned());
    settings.server.trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
    settings.security.localhost_auth_bypass = false;
}

#[test]
fn every_check_of_the_settings_passes_and_fails() {
    use CheckSeverity::{Critical, Warning};

    tells_apart("Network exposure", |_| (), beyond, Critical);
    let behind = |settings: &mut Settings| {
        beyond(settings);
        proxied(settings);
    };
    tells_apart("Network exposure", proxied, behind, Warning);
    tells_apart("Bypass permissions", |_| (), beyond, Warning);
    let unnamed = |settings: &mut Settings| {
        proxied(settings);
        settings.server.trusted_proxies.clear();
    };
    tells_apart("Reverse proxy", proxied, unnamed, Warning);
    let everybody = |settings: &mut Settings| {
        settings.server.trusted_proxies = vec!["0.0.0.0/0".parse().unwrap()];
    };
    tells_apart("Reverse proxy", proxied, everybody, Critical);
    let plain = |settings: &mut Settings| {
        settings.server.public_url = Some("http://chat.example.org".to_owned());
    };
    tells_apart("HTTPS", proxied, plain, Critical);
    let origins = |origin: &str| {
        let origin = origin.to_owned();
        move |settings: &mut Settings| settings.server.allowed_origins = vec![origin]
    };
    tells_apart(
        "Web origins",
        origins("https://app.example.org"),
        origins("http://app.example.org"),
        Warning,
    );
    let unlimited = |settings: &mut Settings| settings.security.rate_limit_enabled = false;
    tells_apart("Rate limits", |_| (), unlimited, Critical);
    let for_ever = |settings: &mut Settings| settings.security.session_token_ttl_hours = 87_600;
    tells_apart("Session lifetime", |_| (), for_ever, Warning);
    let keys = |key: &str| {
        let text = format!(
            "[security.api_key_users]\n\"{key}\" = \"018f4e6e-0000-7000-8000-000000000001\"\n"
        );
        move |settings: &mut Settings| *settings = loaded(&text)
    };
    tells_apart(
        "Weak secrets",
        keys("sk-q7Zp1xL0vR4tK9mW2sYb8c"),
        keys("sk-changeme"),
        Critical,
    );
}

/// Settings of a file.
fn loaded(text: &str) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, text).unwrap();
    let options = LoadOptions::<[(String, String); 0]> {
        config_file: Some(file),
        ..LoadOptions::default()
    };
    let layers = Layers::read(options).unwrap();
    layers.join(&StoredSettings::default()).unwrap().settings
}

/// What the checks of files say, by check.
async fn file_checks(folder: &Path) -> BTreeMap<String, SecurityCheckResult> {
    let results = FileCheck::new(&Settings::default(), folder).examine().await;
    let named = results
        .into_iter()
        .map(|result| (result.check.clone(), result));
    named.collect()
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn every_check_of_files_passes_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let private = [
        ("Config file permissions", "config.toml", "[server]\n"),
        ("Access token", MASTER_TOKEN_FILE, "q7Zp1xL0vR4tK9mW2sYb8c"),
        ("Secret key", SECRET_KEY_FILE, "key"),
        ("Login key", SIGNING_KEY_FILE, "key"),
        ("Audit note", AUDIT_HEAD_FILE, "1 00 2026"),
        ("Database file", "majordomo.sqlite3", "data"),
    ];
    set_mode(folder.path(), 0o700);
    for (_, name, text) in private {
        fs::write(path(name), text).unwrap();
        set_mode(&path(name), 0o600);
    }
    let good = file_checks(folder.path()).await;
    for (check, result) in &good {
        // Whether a sandbox is installed depends on the machine.
        assert!(result.passed || check == "Sandbox", "{result:?}");
    }
    for (_, name, _) in private {
        set_mode(&path(name), 0o644);
    }
    set_mode(folder.path(), 0o755);
    fs::write(path(MASTER_TOKEN_FILE), "changeme").unwrap();
    fs::write(
        path("config.toml"),
        "[[models.providers]]\napi_key = \"sk-x\"\n",
    )
    .unwrap();
    let bad = file_checks(folder.path()).await;
    assert_eq!(bad.len(), good.len());
    for (check, result) in bad.iter().filter(|(check, _)| *check != "Sandbox") {
        assert!(
            !result.passed && result.remedy.is_some(),
            "{check}: {result:?}"
        );
    }
    assert_eq!(bad["Master token"].severity, CheckSeverity::Critical);
    assert!(!bad["Plaintext API keys"].message.contains("sk-x"));
}

#[test]
fn an_open_set_up_is_told() {
    let mut settings = Settings::default();
    settings.server.listen = vec![([0, 0, 0, 0], 8888).into()];
    settings.server.public_url = Some("http://chat.example.org".to_owned());
    settings.security.rate_limit_enabled = false;
    let results = SettingsCheck::new(&settings).results;
    let failed: Vec<&str> = results
        .iter()
        .filter(|result| !result.passed)
        .map(|result| result.check.as_str())
        .collect();
    assert_eq!(
        failed,
        [
            "Network exposure",
            "Bypass permissions",
            "Reverse proxy",
            "HTTPS",
            "Rate limits"
        ]
    );
}
