//! Credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use majordomo_application::Caller;
use majordomo_application::access::{
    AccessConfig, AccessError, AccessPorts, AccessService, ConfiguredKey, ConfiguredRights,
    ConfiguredSecret, CreateApiKey, IssuedToken, Presented,
};
use majordomo_application::ports::{ApiKeyRepository, Clock as _, PasswordHasher};
use majordomo_domain::{CredentialKind, RequestSource, Scope, UserId};
use majordomo_testkit::{
    FailingStore, FixedClock, InMemoryMasterTokenStore, InMemorySigningKeyStore, InMemoryStore,
    PlainPasswordHasher, SequentialIds, Stores,
};

/// Where requests come from that do not care.
const HERE: RequestSource = RequestSource {
    address: None,
    request: None,
};

struct World {
    access: AccessService,
    clock: Arc<FixedClock>,
    hasher: Arc<CountingHasher>,
    master: String,
}

impl World {
    async fn open_session(&self) -> IssuedToken {
        let source = HERE;
        self.access
            .open_session(&self.master, source)
            .await
            .unwrap()
    }
}

async fn world() -> World {
    world_on(Arc::new(InMemoryStore::default())).await
}

async fn world_on(keys: Arc<dyn ApiKeyRepository>) -> World {
    let clock = Arc::new(FixedClock::default());
    let hasher = Arc::new(CountingHasher::default());
    let hash = hasher.hash("sk-hashed".to_owned()).await.unwrap();
    let ports = AccessPorts {
        keys,
        users: Arc::new(InMemoryStore::new()),
        audit: Arc::new(InMemoryStore::new()),
        signing_key: Arc::new(InMemorySigningKeyStore::default()),
        master_token: Arc::new(InMemoryMasterTokenStore::default()),
        hasher: hasher.clone(),
        clock: clock.clone(),
        ids: Arc::new(SequentialIds::default()),
    };
    let user = |name: &str| UserId::parse(name).unwrap();
    let configured_keys = vec![
        ConfiguredKey {
            secret: ConfiguredSecret::Plain("sk-plain".to_owned()),
            rights: ConfiguredRights::of(user("u1")),
        },
        ConfiguredKey {
            secret: ConfiguredSecret::Hash(hash),
            rights: ConfiguredRights::of(user("u2")),
        },
    ];
    let config = AccessConfig {
        session_token_ttl: Duration::from_hours(1),
        login_token_ttl: Duration::from_hours(2),
        configured_keys,
    };
    let access = AccessService::open(ports, config).await.unwrap();
    let master = access
        .show_master_token(&Caller::operator(CredentialKind::CommandLine))
        .unwrap();
    World {
        access,
        clock,
        hasher,
        master,
    }
}

/// Counts how often a secret is compared, which takes a moment.
#[derive(Default)]
struct CountingHasher(AtomicUsize);

#[async_trait::async_trait]
impl PasswordHasher for CountingHasher {
    async fn verify(&self, hash: String, secret: String) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        PlainPasswordHasher.verify(hash, secret).await
    }
    async fn hash(&self, secret: String) -> Option<String> {
        PlainPasswordHasher.hash(secret).await
    }
}

impl World {
    async fn show(&self, token: &str) -> Result<Caller, AccessError> {
        self.access
            .authenticate(Presented::Token(token.to_owned()), HERE)
            .await
    }

    async fn key(&self, scopes: &[&str]) -> (String, majordomo_domain::ApiKeyId) {
        let request = CreateApiKey {
            name: "script".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            expires_at: None,
            ..CreateApiKey::default()
        };
        let operator = Caller::operator(CredentialKind::MasterToken);
        let issued = self.access.create_key(&operator, request).await.unwrap();
        (issued.secret, issued.key.id)
    }
}

#[tokio::test]
async fn every_credential_resolves_to_its_caller() {
    let world = world().await;
    assert_eq!(
        world.show(&world.master).await.unwrap().credential,
        CredentialKind::MasterToken
    );
    let session = world.open_session().await.secret;
    assert_eq!(
        world.show(&session).await.unwrap().credential,
        CredentialKind::SessionToken
    );
    let (secret, id) = world.key(&["chat"]).await;
    assert!(secret.starts_with("pp_") && secret.len() == 46);
    let caller = world.show(&secret).await.unwrap();
    assert_eq!(caller.credential, CredentialKind::ApiKey(id));
    assert!(caller.require(Scope::Chat).is_ok() && caller.require(Scope::Sessions).is_err());
    for (token, user) in [("sk-plain", "u1"), ("sk-hashed", "u2"), ("sk-hashed", "u2")] {
        let caller = world.show(token).await.unwrap();
        assert_eq!(caller.user.as_str(), user);
        assert!(caller.require(Scope::Chat).is_ok() && caller.require(Scope::Admin).is_err());
    }
    assert!(matches!(
        world.access.authenticate(Presented::Nothing, HERE).await,
        Err(AccessError::Missing)
    ));
    for wrong in ["", "x", "pp_x", "1:2", "99999999999:00"] {
        assert!(
            matches!(world.show(wrong).await, Err(AccessError::Wrong)),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn what_was_seen_a_moment_ago_needs_no_waiting() {
    let world = world().await;
    let (secret, _) = world.key(&["chat"]).await;
    let presented = Presented::Token(secret.clone());
    assert!(world.access.authenticate_now(&presented, HERE).is_none());
    world.show(&secret).await.unwrap();
    assert!(world.access.authenticate_now(&presented, HERE).is_some());
    world.clock.advance(Duration::from_secs(6));
    assert!(
        world.access.authenticate_now(&presented, HERE).is_none(),
        "looked up again after a few seconds"
    );
}

#[tokio::test]
async fn session_tokens_expire_and_die_with_the_master_token() {
    let world = world().await;
    let session = world.open_session().await.secret;
    world.clock.advance(Duration::from_hours(1));
    assert!(world.show(&session).await.is_err());
    let session = world.open_session().await.secret;
    let fresh = world
        .access
        .rotate_master_token(&Caller::operator(CredentialKind::MasterToken))
        .await
        .unwrap();
    assert!(world.show(&session).await.is_err() && world.show(&world.master).await.is_err());
    assert!(world.show(&fresh).await.is_ok());
}

#[tokio::test]
async fn a_login_never_has_more_scopes_than_the_credential_it_came_from() {
    let world = world().await;
    let (secret, _) = world.key(&["chat"]).await;
    let cookie = world.access.login(&secret, HERE).await.unwrap().secret;
    assert!(
        world
            .show(&cookie)
            .await
            .unwrap()
            .require(Scope::Admin)
            .is_err()
    );
    let cookie = world
        .access
        .login(&world.master, HERE)
        .await
        .unwrap()
        .secret;
    assert!(
        world
            .show(&cookie)
            .await
            .unwrap()
            .require(Scope::Admin)
            .is_ok()
    );
    assert!(
        world.access.login(&cookie, HERE).await.is_err(),
        "a session token logs nobody in"
    );
    assert!(
        world.access.open_session(&secret, HERE).await.is_err(),
        "only the master token opens sessions"
    );
}

#[tokio::test]
async fn revoked_rotated_and_expired_keys_open_nothing() {
    let world = world().await;
    let operator = Caller::operator(CredentialKind::MasterToken);
    let (first, id) = world.key(&["chat"]).await;
    world.show(&first).await.unwrap();
    let successor = world
        .access
        .rotate_key(&operator, &id, Duration::ZERO)
        .await
        .unwrap();
    assert!(world.show(&first).await.is_err() && world.show(&successor.secret).await.is_ok());
    world
        .access
        .revoke_key(&operator, &successor.key.id)
        .await
        .unwrap();
    assert!(world.show(&successor.secret).await.is_err());
    assert!(matches!(
        world.access.revoke_key(&operator, &id).await,
        Err(AccessError::KeyNotFound)
    ));
    let request = CreateApiKey {
        name: "short".to_owned(),
        scopes: vec!["chat".to_owned()],
        expires_at: Some(
            majordomo_application::ports::Clock::now(world.clock.as_ref())
                .plus(Duration::from_secs(10)),
        ),
        ..CreateApiKey::default()
    };
    let short = world
        .access
        .create_key(&operator, request)
        .await
        .unwrap()
        .secret;
    world.show(&short).await.unwrap();
    world.clock.advance(Duration::from_secs(10));
    assert!(world.show(&short).await.is_err());
}

#[tokio::test]
async fn keys_are_made_by_administrators_with_known_scopes_and_names() {
    let world = world().await;
    let operator = Caller::operator(CredentialKind::MasterToken);
    let (secret, _) = world.key(&["chat"]).await;
    let chatter = world.show(&secret).await.unwrap();
    let request = |name: &str, scope: &str| CreateApiKey {
        name: name.to_owned(),
        scopes: vec![scope.to_owned()],
        expires_at: None,
        ..CreateApiKey::default()
    };
    assert!(matches!(
        world
            .access
            .create_key(&chatter, request("x", "chat"))
            .await,
        Err(AccessError::Denied(_))
    ));
    assert!(matches!(
        world
            .access
            .create_key(&operator, request("x", "root"))
            .await,
        Err(AccessError::UnknownScopes(_))
    ));
    assert!(matches!(
        world
            .access
            .create_key(&operator, request(" ", "chat"))
            .await,
        Err(AccessError::Invalid(_))
    ));
    assert!(matches!(
        world.access.rotate_master_token(&chatter).await,
        Err(AccessError::Denied(_))
    ));
    assert!(matches!(
        world.access.list_keys(&chatter).await,
        Err(AccessError::Denied(_))
    ));
    let listed = world.access.list_keys(&operator).await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_hashed_key_is_compared_once_and_a_stored_key_never() {
    let world = world().await;
    let (first, second) = tokio::join!(world.show("sk-hashed"), world.show("sk-hashed"));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(world.hasher.0.load(Ordering::SeqCst), 1);
    let (secret, _) = world.key(&["chat"]).await;
    world.show(&secret).await.unwrap();
    assert_eq!(world.hasher.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_key_works_while_its_use_cannot_be_noted() {
    let store = Arc::new(FailingStore::around(&Stores::of(
        Arc::<InMemoryStore>::default(),
    )));
    let world = world_on(store.clone()).await;
    let (secret, _) = world.key(&["chat"]).await;
    store.fail("api_keys.touch", 1);
    world.show(&secret).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_used_all_the_time_is_looked_up_again_all_the_same() {
    let store: Arc<InMemoryStore> = Arc::default();
    let world = world_on(store.clone()).await;
    let (secret, id) = world.key(&["chat"]).await;
    world.show(&secret).await.unwrap();
    // Another replica on the same storage revokes it.
    let owner = UserId::operator();
    let record = majordomo_testkit::builders::record("api_key.revoke");
    let revoked = store.revoke(&owner, &id, world.clock.now(), &record).await;
    assert!(revoked.unwrap());
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(2));
        let _ = world.show(&secret).await;
    }
    assert!(matches!(world.show(&secret).await, Err(AccessError::Wrong)));
}
