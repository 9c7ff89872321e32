//! What limits keys, and that nothing gets around it.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use majordomo_application::Caller;
use majordomo_application::access::{
    AccessError, CreateApiKey, IssuedApiKey, IssuedToken, Presented,
};
use majordomo_application::usage::UsageError;
use majordomo_domain::{ApiKey, BudgetLimit, BudgetPeriod, BudgetSubject, ModelRef, UserRole};

use super::{HERE, World, from, operator, tokens};

fn admin_key() -> CreateApiKey {
    CreateApiKey {
        name: "script".to_owned(),
        scopes: vec!["chat".to_owned(), "admin".to_owned()],
        ..CreateApiKey::default()
    }
}

impl World {
    async fn make(&self, request: CreateApiKey) -> IssuedApiKey {
        let made = self.access.create_key(&operator(), request).await;
        made.unwrap()
    }

    /// What was set for a key, by period.
    async fn budget(&self, key: &ApiKey) -> Vec<(BudgetPeriod, BudgetLimit)> {
        let subject = BudgetSubject::Key(key.id.clone());
        let listed = self.budgets.visible(&operator()).await.unwrap();
        let own = listed
            .into_iter()
            .map(|status| status.window)
            .filter(|limited| limited.window.subject == subject);
        own.map(|limited| (limited.window.period, limited.limit))
            .collect()
    }
}

#[tokio::test]
async fn a_limited_key_is_held_to_its_addresses_models_and_rate() {
    let world = World::new().await;
    let request = CreateApiKey {
        name: "script".to_owned(),
        scopes: vec!["chat".to_owned(), "admin".to_owned()],
        allowed_addresses: vec!["192.0.2.0/24".to_owned()],
        allowed_models: vec!["mock/*".to_owned()],
        requests_per_minute: std::num::NonZeroU32::new(7),
        ..CreateApiKey::default()
    };
    let key = world.access.create_key(&operator(), request).await.unwrap();
    let show = async |address: Option<IpAddr>| {
        let presented = Presented::Token(key.secret.clone());
        world.access.authenticate(presented, from(address)).await
    };
    for refused in [None, Some([192, 0, 3, 1].into())] {
        assert!(matches!(
            show(refused).await,
            Err(AccessError::AddressRefused)
        ));
    }
    let caller = show(Some([192, 0, 2, 1].into())).await.unwrap();
    assert!(caller.may_ask(&ModelRef::new("mock", "small")));
    assert!(!caller.may_ask(&ModelRef::new("paid", "large")));
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_as_long_as_asked() {
    let world = World::new().await;
    let request = CreateApiKey {
        name: "script".to_owned(),
        scopes: vec!["chat".to_owned()],
        ..CreateApiKey::default()
    };
    let old = world.access.create_key(&operator(), request).await.unwrap();
    let overlap = Duration::from_mins(10);
    let new = world
        .access
        .rotate_key(&operator(), &old.key.id, overlap)
        .await;
    let new = new.unwrap().secret;
    assert!(world.show(&old.secret).await.is_ok() && world.show(&new).await.is_ok());
    world.clock.advance(overlap);
    assert!(world.show(&old.secret).await.is_err() && world.show(&new).await.is_ok());
}

/// A key that could make another, or replace one, without its own limits would have none.
#[tokio::test]
async fn a_limited_key_makes_and_replaces_no_keys() {
    let world = World::new().await;
    let free = world.make(admin_key()).await;
    let limited = [
        CreateApiKey {
            allowed_addresses: vec!["192.0.2.0/24".to_owned()],
            ..admin_key()
        },
        CreateApiKey {
            allowed_models: vec!["mock/*".to_owned()],
            ..admin_key()
        },
        CreateApiKey {
            requests_per_minute: NonZeroU32::new(7),
            ..admin_key()
        },
        CreateApiKey {
            expires_at: Some(free.key.created_at.plus(Duration::from_hours(1))),
            ..admin_key()
        },
        CreateApiKey {
            budgets: vec![(BudgetPeriod::Month, tokens(5))],
            ..admin_key()
        },
    ];
    let source = from(Some([192, 0, 2, 1].into()));
    for request in limited {
        let said = format!("{request:?}");
        let key = world.make(request).await;
        let shown = Presented::Token(key.secret);
        let caller = world.access.authenticate(shown, source).await.unwrap();
        let made = world.access.create_key(&caller, admin_key()).await;
        assert!(matches!(made, Err(AccessError::LimitedMaker)), "{said}");
        for id in [&free.key.id, &key.key.id] {
            let rotated = world.access.rotate_key(&caller, id, Duration::ZERO).await;
            assert!(matches!(rotated, Err(AccessError::LimitedMaker)), "{said}");
        }
    }
    let caller = world.show(&free.secret).await.unwrap();
    let made = world.access.create_key(&caller, admin_key()).await;
    assert!(made.is_ok(), "a key without limits makes keys");
}

#[tokio::test]
async fn a_key_with_a_budget_does_not_change_budgets() {
    let world = World::new().await;
    let request = CreateApiKey {
        budgets: vec![(BudgetPeriod::Day, tokens(5))],
        ..admin_key()
    };
    let key = world.make(request).await;
    let caller = world.show(&key.secret).await.unwrap();
    let subject = BudgetSubject::Key(key.key.id.clone());
    let (budgets, day) = (&world.budgets, BudgetPeriod::Day);
    let raised = budgets
        .set_limit(&caller, subject.clone(), day, tokens(500))
        .await;
    assert!(matches!(raised, Err(UsageError::Denied(_))), "{raised:?}");
    let removed = budgets.remove_limit(&caller, &subject, day).await;
    assert!(matches!(removed, Err(UsageError::Denied(_))), "{removed:?}");
    assert_eq!(world.budget(&key.key).await, [(day, tokens(5))]);
}

#[tokio::test]
async fn a_budget_goes_with_its_key_and_its_successor() {
    let world = World::new().await;
    let limits = vec![
        (BudgetPeriod::Day, tokens(5)),
        (BudgetPeriod::Month, tokens(50)),
    ];
    let request = CreateApiKey {
        budgets: limits.clone(),
        ..admin_key()
    };
    let old = world.make(request).await;
    assert_eq!(world.budget(&old.key).await, limits);
    let rotated = world
        .access
        .rotate_key(&operator(), &old.key.id, Duration::ZERO)
        .await;
    let new = rotated.unwrap();
    assert_eq!(world.budget(&new.key).await, limits);
    let caller = world.show(&new.secret).await.unwrap();
    let own = world.budgets.own(&caller).await.unwrap();
    assert_eq!(own.len(), 2, "it holds from the first request on");
}

#[tokio::test]
async fn members_give_their_keys_no_more_than_every_key_has() {
    let world = World::new().await;
    world.add("alice", UserRole::Member).await;
    let token = world.sign_in("alice").await.token.secret;
    let alice = world.show(&token).await.unwrap();
    for (asked, given) in [(500, 100), (20, 20)] {
        let request = CreateApiKey {
            name: "script".to_owned(),
            scopes: vec!["chat".to_owned()],
            budgets: vec![(BudgetPeriod::Day, tokens(asked))],
            ..CreateApiKey::default()
        };
        let made = world.access.create_key(&alice, request).await.unwrap();
        let budget = world.budget(&made.key).await;
        assert_eq!(budget, [(BudgetPeriod::Day, tokens(given))]);
    }
}

/// The cookie stands for the key: whatever limits or ends the key limits and ends the cookie.
#[tokio::test]
async fn a_cookie_made_of_a_key_stands_for_that_key() {
    let world = World::new().await;
    let request = CreateApiKey {
        name: "script".to_owned(),
        scopes: vec!["chat".to_owned()],
        allowed_models: vec!["mock/*".to_owned()],
        requests_per_minute: NonZeroU32::new(7),
        budgets: vec![(BudgetPeriod::Day, tokens(5))],
        ..CreateApiKey::default()
    };
    let key = world.make(request).await;
    let cookie: IssuedToken = world.access.login(&key.secret, HERE).await.unwrap();
    assert!(!cookie.secret.contains(&key.secret), "it is not the key");
    let by_key: Caller = world.show(&key.secret).await.unwrap();
    let by_cookie = world.show(&cookie.secret).await.unwrap();
    assert_eq!(by_key, by_cookie);
    let again = world.access.login(&cookie.secret, HERE).await;
    assert!(again.is_err(), "it does not renew itself");
    assert!(!by_cookie.limits.models.is_empty());
    let revoked = world.access.revoke_key(&operator(), &key.key.id).await;
    revoked.unwrap();
    assert!(world.show(&cookie.secret).await.is_err());
}
