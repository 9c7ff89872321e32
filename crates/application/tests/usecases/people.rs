//! Users, what ends their tokens, and what limits keys.

mod keys;
mod own_password;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use majordomo_application::Caller;
use majordomo_application::access::{
    AccessConfig, AccessError, AccessPorts, AccessService, AddUser, CreateApiKey, LoggedIn,
    Presented, SignIn, SignedIn, UserError, UserPorts, UserService,
};
use majordomo_application::usage::{BudgetConfig, Budgets, PeriodLimits};
use majordomo_domain::{BudgetLimit, CredentialKind, RequestSource, Scope, User, UserRole};
use majordomo_testkit::{
    FixedClock, InMemoryMasterTokenStore, InMemorySigningKeyStore, InMemoryStore,
    PlainPasswordHasher, SequentialIds,
};

struct World {
    access: Arc<AccessService>,
    users: UserService,
    budgets: Arc<Budgets>,
    store: Arc<InMemoryStore>,
    clock: Arc<FixedClock>,
}

const fn tokens(most: u64) -> BudgetLimit {
    BudgetLimit {
        cost: None,
        tokens: Some(most),
    }
}

const fn from(address: Option<IpAddr>) -> RequestSource {
    RequestSource {
        address,
        request: None,
    }
}

const HERE: RequestSource = from(None);

fn operator() -> Caller {
    Caller::operator(CredentialKind::MasterToken)
}

fn sign_in(username: &str, password: &str) -> SignIn {
    SignIn {
        username: username.to_owned(),
        password: password.to_owned(),
    }
}

impl World {
    async fn new() -> Self {
        let (store, clock) = (
            Arc::new(InMemoryStore::new()),
            Arc::new(FixedClock::default()),
        );
        let ports = AccessPorts {
            keys: store.clone(),
            users: store.clone(),
            audit: store.clone(),
            master_token: Arc::new(InMemoryMasterTokenStore::default()),
            signing_key: Arc::new(InMemorySigningKeyStore::default()),
            hasher: Arc::new(PlainPasswordHasher),
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::new()),
        };
        let config = AccessConfig {
            session_token_ttl: Duration::from_hours(1),
            login_token_ttl: Duration::from_hours(2),
            configured_keys: Vec::new(),
        };
        let limits = BudgetConfig {
            key: PeriodLimits {
                day: tokens(100),
                ..PeriodLimits::default()
            },
            ..BudgetConfig::default()
        };
        let budgets = Budgets::open(store.clone(), clock.clone(), limits).await;
        let budgets = budgets.unwrap();
        let access = AccessService::open(ports, config).await.unwrap();
        let access = Arc::new(access.with_budgets(budgets.clone()));
        let ports = UserPorts {
            users: store.clone(),
            hasher: Arc::new(PlainPasswordHasher),
        };
        Self {
            users: UserService::new(access.clone(), ports),
            access,
            budgets,
            store,
            clock,
        }
    }

    async fn add(&self, username: &str, role: UserRole) -> User {
        let request = AddUser {
            username: username.to_owned(),
            role,
            password: role.has_password().then(|| "secret1".to_owned()),
        };
        self.users.add(&operator(), request).await.unwrap()
    }

    async fn sign_in(&self, username: &str) -> SignedIn {
        let request = sign_in(username, "secret1");
        self.users.sign_in(request, HERE).await.unwrap()
    }

    async fn show(&self, token: &str) -> Result<Caller, AccessError> {
        let presented = Presented::Token(token.to_owned());
        self.access.authenticate(presented, HERE).await
    }
}

#[tokio::test]
async fn the_owner_is_registered_once_by_who_holds_the_server() {
    let world = World::new().await;
    let register = async |caller: Option<Caller>| {
        let request = sign_in("alice", "secret1");
        world.users.register(caller.as_ref(), request).await
    };
    assert!(world.users.needs_setup().await.unwrap());
    assert!(matches!(
        register(None).await,
        Err(UserError::RegistrationRefused)
    ));
    let signed_in = register(Some(operator())).await.unwrap();
    assert_eq!(signed_in.user.role, UserRole::Owner);
    let caller = world.show(&signed_in.token.secret).await.unwrap();
    assert_eq!(
        (caller.user, caller.role),
        (operator().user, UserRole::Owner)
    );
    assert!(matches!(
        register(Some(operator())).await,
        Err(UserError::AlreadyRegistered)
    ));
}

#[tokio::test]
async fn a_new_password_a_new_role_and_being_disabled_end_tokens_at_once() {
    let world = World::new().await;
    let id = world.add("alice", UserRole::Member).await.id;
    for change in ["password", "role", "disable"] {
        let token = world.sign_in("alice").await.token.secret;
        assert!(world.show(&token).await.is_ok(), "{change}");
        let users = &world.users;
        match change {
            "password" => {
                users
                    .set_password(&operator(), &id, "secret1".to_owned())
                    .await
            }
            "role" => users.set_role(&operator(), &id, UserRole::Viewer).await,
            _ => users.set_enabled(&operator(), &id, false).await,
        }
        .unwrap();
        assert!(world.show(&token).await.is_err(), "{change}");
    }
    let again = world.users.sign_in(sign_in("alice", "secret1"), HERE).await;
    assert!(matches!(again, Err(UserError::WrongPassword)));
}

#[tokio::test]
async fn the_keys_of_a_disabled_user_open_nothing_until_they_are_enabled() {
    let world = World::new().await;
    let id = world.add("alice", UserRole::Member).await.id;
    let token = world.sign_in("alice").await.token.secret;
    let alice = world.show(&token).await.unwrap();
    let request = CreateApiKey {
        name: "script".to_owned(),
        scopes: vec!["chat".to_owned()],
        ..CreateApiKey::default()
    };
    let key = world
        .access
        .create_key(&alice, request)
        .await
        .unwrap()
        .secret;
    assert!(world.show(&key).await.is_ok());
    world
        .users
        .set_enabled(&operator(), &id, false)
        .await
        .unwrap();
    assert!(world.show(&key).await.is_err());
    world
        .users
        .set_enabled(&operator(), &id, true)
        .await
        .unwrap();
    assert!(world.show(&key).await.is_ok());
}

#[tokio::test]
async fn roles_bound_what_users_may_do() {
    let world = World::new().await;
    let caller = async |name: &str, role| {
        world.add(name, role).await;
        let token = world.sign_in(name).await.token.secret;
        world.show(&token).await.unwrap()
    };
    let viewer = caller("viewer", UserRole::Viewer).await;
    assert!(viewer.require(Scope::Chat).is_ok() && viewer.require_change(Scope::Chat).is_err());
    let member = caller("member", UserRole::Member).await;
    assert!(member.require_change(Scope::Chat).is_ok() && member.require(Scope::Admin).is_err());
    let admin = caller("admin", UserRole::Admin).await;
    let add = |role| AddUser {
        username: format!("new-{role}"),
        role,
        password: Some("secret1".to_owned()),
    };
    assert!(
        world
            .users
            .add(&member, add(UserRole::Member))
            .await
            .is_err()
    );
    assert!(world.users.add(&admin, add(UserRole::Member)).await.is_ok());
    assert!(world.users.add(&admin, add(UserRole::Admin)).await.is_err());
    assert!(world.access.show_master_token(&admin).is_err());
    // An administrator's key does not make users: they would outlive it.
    let request = CreateApiKey {
        name: "script".to_owned(),
        scopes: vec!["admin".to_owned()],
        ..CreateApiKey::default()
    };
    let key = world
        .access
        .create_key(&admin, request)
        .await
        .unwrap()
        .secret;
    let key = world.show(&key).await.unwrap();
    assert!(key.require(Scope::Admin).is_ok());
    assert!(world.users.add(&key, add(UserRole::Viewer)).await.is_err());
}

#[tokio::test]
async fn guessing_is_slowed_down_and_told_when_to_come_back() {
    let world = World::new().await;
    world.add("alice", UserRole::Member).await;
    let address = from(Some([192, 0, 2, 1].into()));
    let guess = async || {
        world
            .users
            .sign_in(sign_in("alice", "wrong-one"), address)
            .await
    };
    for _ in 0..5 {
        assert!(matches!(guess().await, Err(UserError::WrongPassword)));
    }
    assert!(matches!(guess().await, Err(UserError::Throttled(wait)) if !wait.is_zero()));
    world.clock.advance(Duration::from_secs(1));
    let right = world
        .users
        .sign_in(sign_in("alice", "secret1"), address)
        .await;
    assert!(right.is_ok());
}

#[tokio::test]
async fn tokens_past_half_of_their_life_are_renewed() {
    let world = World::new().await;
    world.add("alice", UserRole::Member).await;
    let token = world.sign_in("alice").await.token.secret;
    let caller = world.show(&token).await.unwrap();
    let presented = Presented::Token(token);
    assert!(world.access.renew_login(&presented, &caller).is_none());
    world.clock.advance(Duration::from_mins(61));
    let renewed = world.access.renew_login(&presented, &caller).unwrap();
    world.clock.advance(Duration::from_hours(1));
    assert!(world.show(&renewed.secret).await.is_ok());
}

#[tokio::test]
async fn a_pairing_token_ends_with_the_tokens_of_its_user() {
    let world = World::new().await;
    let id = world.add("alice", UserRole::Member).await.id;
    for change in ["nothing", "password", "role", "disable"] {
        let token = world.sign_in("alice").await.token.secret;
        let alice = world.show(&token).await.unwrap();
        let paired = world.access.pair(&alice).await.unwrap().secret;
        let (users, operator) = (&world.users, operator());
        match change {
            "password" => {
                let same = "secret1".to_owned();
                users.set_password(&operator, &id, same).await
            }
            "role" => users.set_role(&operator, &id, UserRole::Viewer).await,
            "disable" => users.set_enabled(&operator, &id, false).await,
            _ => Ok(()),
        }
        .unwrap();
        let redeemed = world.access.redeem(&paired, HERE).await;
        assert_eq!(redeemed.is_ok(), change == "nothing", "{change}");
    }
}

#[tokio::test]
async fn a_pairing_token_works_once_and_no_key_has_one() {
    let world = World::new().await;
    let token = world.access.pair(&operator()).await.unwrap().secret;
    assert!(world.access.is_pairing(&token));
    let paired = world.access.redeem(&token, HERE).await;
    let Ok(LoggedIn::Session(session)) = paired else {
        panic!("the operator's device gets a session token")
    };
    assert!(world.show(&session.secret).await.is_ok());
    assert!(world.access.redeem(&token, HERE).await.is_err());
    let key = Caller::operator(CredentialKind::ConfiguredKey);
    assert!(world.access.pair(&key).await.is_err());
    let waiting = world.access.pair(&operator()).await.unwrap().secret;
    world.access.rotate_master_token(&operator()).await.unwrap();
    assert!(!world.access.is_pairing(&waiting));
}

#[tokio::test]
async fn no_password_or_token_is_in_the_audit_log() {
    let world = World::new().await;
    let id = world.add("alice", UserRole::Member).await.id;
    let token = world.sign_in("alice").await.token.secret;
    let password = "hunter22".to_owned();
    let changed = world.users.set_password(&operator(), &id, password).await;
    changed.unwrap();
    let log = format!("{:?}", world.store.audit_entries());
    assert!(log.contains("user.add") && log.contains("user.password"));
    for secret in ["secret1", "hunter22", token.as_str()] {
        assert!(!log.contains(secret));
    }
}
