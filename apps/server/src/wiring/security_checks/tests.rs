//! What the checks find.

use std::fs;

use majordomo_application::ports::SecurityCheck as _;
use majordomo_domain::CheckSeverity;
use majordomo_infrastructure_system::MASTER_TOKEN_FILE;
use majordomo_settings::Settings;

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
