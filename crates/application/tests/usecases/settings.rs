//! Settings that are changed while the server runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use majordomo_application::ports::settings_repository::{SettingValue, StoredValue};
use majordomo_application::ports::{
    ModelMessage, ModelRequest, SecretText, SettingsRepository as _,
};
use majordomo_application::settings::{
    Change, IdentityFile, SettingsError, SettingsService, SettingsUpdate,
};
use majordomo_application::{Caller, ErrorKind, ServiceError as _};
use majordomo_domain::{CredentialKind, Scope, Scopes, UserId, UserRole};
use majordomo_testkit::settings::{SimpleSettingsLayers, settings_service};
use majordomo_testkit::{FixedClock, Script};

use crate::support::{World, config, drain, say};

const KEY: &str = "providers.openai.api_key";
const URL: &str = "providers.openai.base_url";

struct Fixture {
    world: World,
    settings: Arc<SettingsService>,
}

impl Fixture {
    async fn playing(scripts: impl IntoIterator<Item = Script>) -> Self {
        let world = World::playing(scripts);
        let mut layers = SimpleSettingsLayers::over(config());
        let variable = "MAJORDOMO__AGENT__MAX_STEPS".to_owned();
        layers.fixed.insert("agent.max_steps".to_owned(), variable);
        let settings = settings_service(
            world.store.clone(),
            Arc::new(FixedClock::default()),
            layers,
            world.models.clone(),
            world.chat.clone(),
        );
        Self {
            settings: settings.await,
            world,
        }
    }

    async fn set(&self, key: &str, change: Change) -> Result<Vec<String>, SettingsError> {
        let update = installation([(key, change)]);
        let report = self.settings.update(&operator(), update).await?;
        Ok(report.warnings)
    }

    async fn ask(&self, text: &str) {
        let turn = self.world.chat.send(&operator(), say("s", text)).await;
        drain(turn.unwrap().into_events()).await;
    }

    async fn value(&self, key: &str) -> Option<SettingValue> {
        let view = self.settings.view(&operator()).await.unwrap();
        view.values.get(key).cloned()
    }
}

fn operator() -> Caller {
    Caller::operator(CredentialKind::MasterToken)
}

fn caller(user: &str, role: UserRole, scopes: &[Scope]) -> Caller {
    let scopes: Scopes = scopes.iter().copied().collect();
    let user = UserId::parse(user).unwrap();
    Caller::new(user, role, scopes, CredentialKind::Login)
}

fn installation<const N: usize>(changes: [(&str, Change); N]) -> SettingsUpdate {
    SettingsUpdate {
        installation: BTreeMap::from(changes.map(|(key, change)| (key.to_owned(), change))),
        ..SettingsUpdate::default()
    }
}

/// The system prompt of a request.
fn prompt(request: &ModelRequest) -> &str {
    match request.messages.first().unwrap() {
        ModelMessage::System(text) => text,
        other => panic!("no system prompt: {other:?}"),
    }
}

fn text(text: &str) -> Change {
    Change::Set(SettingValue::Text(text.to_owned()))
}

fn secret(text: &str) -> Change {
    Change::Secret(SecretText::new(text))
}

#[tokio::test]
async fn a_change_takes_effect_with_the_next_turn() {
    let scripts = [Script::answer("one"), Script::answer("two")];
    let fixture = Fixture::playing(scripts).await;
    fixture.ask("hello").await;
    let change = Change::Set(SettingValue::Number(0.25));
    fixture.set("agent.temperature", change).await.unwrap();
    fixture
        .set("agent.system_prompt", text("Be kind."))
        .await
        .unwrap();
    fixture.ask("hello again").await;
    let asked = fixture.world.model.requests();
    assert_eq!(asked[0].temperature, None);
    assert_eq!(asked[1].temperature, Some(0.25));
    assert_eq!(prompt(&asked[1]), "Be kind.");

    fixture
        .set("agent.temperature", Change::Forget)
        .await
        .unwrap();
    assert_eq!(fixture.value("agent.temperature").await, None);
}

#[tokio::test]
async fn one_wrong_value_changes_nothing() {
    let fixture = Fixture::playing([]).await;
    let update = installation([
        ("agent.max_tokens", Change::Set(SettingValue::Integer(5))),
        ("agent.temperature", Change::Set(SettingValue::Number(9.0))),
    ]);
    let refused = fixture.settings.update(&operator(), update).await;
    let ErrorKind::Invalid(fields) = refused.unwrap_err().kind() else {
        panic!("not invalid");
    };
    assert_eq!(fields[0].field, "agent.temperature");
    assert_eq!(fixture.value("agent.max_tokens").await, None);
    assert!(fixture.world.store.audit_entries().is_empty());
    for (key, change) in [
        ("models.default", text("nobody/model")),
        ("agent.nonsense", text("x")),
        (KEY, text("a secret in the clear")),
        ("kept.x", text(&"x".repeat(70_000))),
        ("identity.soul", Change::Set(SettingValue::Flag(true))),
        ("preference.x", text("x")),
    ] {
        let refused = fixture.set(key, change).await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::Invalid(_)), "{key}");
    }
}

#[tokio::test]
async fn secrets_are_stored_sealed_and_never_shown() {
    let fixture = Fixture::playing([]).await;
    fixture.set(KEY, secret("hush-hush")).await.unwrap();
    let view = fixture.settings.view(&operator()).await.unwrap();
    assert!(view.secrets.contains(KEY));
    assert!(view.providers[0].has_key);
    assert!(!format!("{view:?}").contains("hush"));
    let stored = fixture
        .world
        .store
        .list(&UserId::operator(), 9)
        .await
        .unwrap();
    assert!(matches!(&stored[0].value, StoredValue::Sealed(text) if !text.contains("hush")));
    let entries = fixture.world.store.audit_entries();
    assert_eq!(entries[0].action, "settings.update");
    assert!(entries[0].details.contains(KEY) && !entries[0].details.contains("hush"));
}

#[tokio::test]
async fn a_key_does_not_follow_its_provider_to_another_address() {
    let fixture = Fixture::playing([]).await;
    let update = installation([(URL, text("http://one")), (KEY, secret("hush"))]);
    fixture.settings.update(&operator(), update).await.unwrap();
    assert!(
        fixture
            .set(URL, text("http://one"))
            .await
            .unwrap()
            .is_empty()
    );
    let warnings = fixture.set(URL, text("http://two")).await.unwrap();
    assert!(
        warnings[0].contains("API key was forgotten"),
        "{warnings:?}"
    );
    let view = fixture.settings.view(&operator()).await.unwrap();
    assert!(!view.secrets.contains(KEY));
    let update = installation([(URL, text("http://three")), (KEY, secret("hush"))]);
    let report = fixture.settings.update(&operator(), update).await.unwrap();
    assert!(report.warnings.is_empty());
}

#[tokio::test]
async fn what_the_environment_decides_and_what_waits_is_told() {
    let fixture = Fixture::playing([]).await;
    let update = installation([
        ("agent.max_steps", Change::Set(SettingValue::Integer(9))),
        (
            "agent.max_concurrent_runs",
            Change::Set(SettingValue::Integer(9)),
        ),
    ]);
    let report = fixture.settings.update(&operator(), update).await.unwrap();
    assert_eq!(report.after_restart, ["agent.max_concurrent_runs"]);
    assert!(report.warnings[0].contains("MAJORDOMO__AGENT__MAX_STEPS"));
}

#[tokio::test]
async fn only_owner_and_administrators_change_the_installation() {
    let fixture = Fixture::playing([]).await;
    let change = || installation([("agent.max_tokens", Change::Set(SettingValue::Integer(5)))]);
    let all = Scope::ALL;
    for (role, allowed) in [
        (UserRole::Admin, true),
        (UserRole::Member, false),
        (UserRole::Service, false),
        (UserRole::Viewer, false),
    ] {
        let result = fixture
            .settings
            .update(&caller("ann", role, &all), change())
            .await;
        assert_eq!(result.is_ok(), allowed, "{role}");
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Forbidden);
        }
    }
    let reader = caller("ann", UserRole::Admin, &[Scope::SettingsRead]);
    assert!(fixture.settings.update(&reader, change()).await.is_err());
    assert!(fixture.settings.view(&reader).await.is_ok());
    let chatter = caller("ann", UserRole::Admin, &[Scope::Chat]);
    assert!(fixture.settings.view(&chatter).await.is_err());
    assert!(
        fixture
            .settings
            .identity(&caller("bob", UserRole::Member, &all))
            .is_err()
    );
}

#[tokio::test]
async fn preferences_are_each_users_own() {
    let fixture = Fixture::playing([]).await;
    let member = |name| caller(name, UserRole::Member, &Scope::ALL);
    let update = SettingsUpdate {
        personal: BTreeMap::from([("preference.theme".to_owned(), text("dark"))]),
        ..SettingsUpdate::default()
    };
    fixture
        .settings
        .update(&member("ann"), update)
        .await
        .unwrap();
    let of = async |caller: &Caller| fixture.settings.view(caller).await.unwrap().preferences;
    assert_eq!(of(&member("ann")).await["theme"], "dark");
    assert!(of(&member("bob")).await.is_empty());
    assert!(of(&operator()).await.is_empty());
}

#[tokio::test]
async fn the_agent_is_who_it_was_made() {
    let scripts = [
        Script::answer("one"),
        Script::answer("two"),
        Script::answer("three"),
    ];
    let fixture = Fixture::playing(scripts).await;
    let files = BTreeMap::from([
        (IdentityFile::Style, "terse".to_owned()),
        (IdentityFile::User, "Name: Golden".to_owned()),
    ]);
    fixture
        .settings
        .set_identity(&operator(), files.clone())
        .await
        .unwrap();
    let shown = fixture.settings.identity(&operator()).unwrap();
    assert_eq!(shown[&IdentityFile::Identity], "You are a test.");
    assert_eq!(shown[&IdentityFile::Style], "terse");
    assert_eq!(shown[&IdentityFile::User], "Name: Golden");
    fixture.ask("hello").await;
    let asked = fixture.world.model.requests();
    assert_eq!(
        prompt(&asked[0]),
        "You are a test.\n\n# Style\n\nterse\n\n# About the user\n\nName: Golden"
    );

    // Another administrator sees the same agent, and not what it knows of the operator.
    let ann = caller("ann", UserRole::Admin, &Scope::ALL);
    let shown = fixture.settings.identity(&ann).unwrap();
    assert_eq!(shown[&IdentityFile::Style], "terse");
    assert_eq!(shown[&IdentityFile::User], "");

    // It is all there after a restart.
    let again = settings_service(
        fixture.world.store.clone(),
        Arc::new(FixedClock::default()),
        SimpleSettingsLayers::over(config()),
        fixture.world.models.clone(),
        fixture.world.chat.clone(),
    );
    let shown = again.await.identity(&operator()).unwrap();
    assert_eq!(shown[&IdentityFile::User], "Name: Golden");
}
