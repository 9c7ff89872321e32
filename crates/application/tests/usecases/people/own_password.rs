//! Users change their own passwords: by knowing the current one, in person, and with other tokens ending.

use majordomo_application::{ErrorKind, ServiceError as _};
use majordomo_testkit::FixedClock;

use super::*;

/// Changes the caller's password from `current` to `another1`.
async fn change(
    world: &World,
    caller: &Caller,
    current: &str,
) -> Result<Option<String>, UserError> {
    let (current, another) = (current.to_owned(), "another1".to_owned());
    let changed = world.users.change_password(caller, current, another).await;
    Ok(changed?.map(|issued| issued.secret))
}

async fn caller_of(world: &World, token: &str) -> Caller {
    world.show(token).await.unwrap()
}

fn acts(world: &World, action: &str) -> usize {
    let entries = world.store.audit_entries();
    let same = entries.iter().filter(|entry| entry.action == action);
    same.count()
}

#[tokio::test]
async fn whoever_knows_the_password_changes_it_and_other_tokens_end() {
    for role in [UserRole::Member, UserRole::Viewer, UserRole::Admin] {
        let world = World::new().await;
        world.add("alice", role).await;
        let other = world.sign_in("alice").await.token.secret;
        let token = world.sign_in("alice").await.token.secret;
        let alice = caller_of(&world, &token).await;
        let fresh = change(&world, &alice, "secret1").await.unwrap().unwrap();
        assert!(world.show(&other).await.is_err(), "{role}");
        assert!(world.show(&token).await.is_err(), "{role}");
        assert_eq!(caller_of(&world, &fresh).await.user, alice.user);
        let old = world.users.sign_in(sign_in("alice", "secret1"), HERE).await;
        assert!(matches!(old, Err(UserError::WrongPassword)));
        let request = sign_in("alice", "another1");
        world.users.sign_in(request, HERE).await.unwrap();
        assert_eq!(acts(&world, "user.password"), 1);
    }
}

#[tokio::test]
async fn a_wrong_current_password_changes_nothing_and_is_slowed_down() {
    let world = World::new().await;
    world.add("alice", UserRole::Member).await;
    let token = world.sign_in("alice").await.token.secret;
    let alice = caller_of(&world, &token).await;
    for _ in 0..5 {
        let refused = change(&world, &alice, "guessed").await.unwrap_err();
        assert!(matches!(refused, UserError::WrongCurrentPassword));
        assert!(matches!(refused.kind(), ErrorKind::Invalid(_)));
    }
    // Not even the right one, nor by signing in: both doors have one count.
    let throttled = change(&world, &alice, "secret1").await;
    assert!(matches!(throttled, Err(UserError::Throttled(_))));
    let throttled = world.users.sign_in(sign_in("alice", "secret1"), HERE).await;
    assert!(matches!(throttled, Err(UserError::Throttled(_))));
    assert!(world.show(&token).await.is_ok());
    assert_eq!(acts(&world, "user.password"), 0);
    advance(&world.clock);
    change(&world, &alice, "secret1").await.unwrap();
}

fn advance(clock: &FixedClock) {
    clock.advance(Duration::from_secs(2));
}

#[tokio::test]
async fn keys_and_those_without_a_password_change_none() {
    let world = World::new().await;
    let nobody = change(&world, &operator(), "secret1").await;
    assert!(matches!(nobody, Err(UserError::NotFound)), "not registered");
    let request = sign_in("owner", "secret1");
    world
        .users
        .register(Some(&operator()), request)
        .await
        .unwrap();
    let key = Caller::operator(CredentialKind::ConfiguredKey);
    let refused = change(&world, &key, "secret1").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    // Who holds the master token needs the owner's password all the same, and has no login token to be given.
    let wrong = change(&world, &operator(), "guessed").await;
    assert!(matches!(wrong, Err(UserError::WrongCurrentPassword)));
    assert_eq!(change(&world, &operator(), "secret1").await.unwrap(), None);
    let (current, short) = ("another1".to_owned(), "short".to_owned());
    let refused = world
        .users
        .change_password(&operator(), current, short)
        .await;
    assert!(matches!(refused, Err(UserError::Invalid(_))));
}
