//! What [`UserRepository`](majordomo_application::ports::UserRepository) must do.

use futures_util::future::join_all;
use majordomo_application::ports::AuditFilter;
use majordomo_domain::{User, UserId, UserRole, Username};

use super::{Stores, assert_conflict};
use crate::builders::{account, at, record, user};

async fn insert(stores: &Stores, user: &User, hash: Option<&str>) {
    let stored = stores.users.insert(user, hash, &record("user.add")).await;
    stored.unwrap();
}

async fn find(stores: &Stores, name: &str) -> Option<(User, Option<String>)> {
    let name = Username::parse(name).unwrap();
    stores.users.find_by_name(&name).await.unwrap()
}

/// How many acts the audit log holds.
async fn acts(stores: &Stores) -> usize {
    let filter = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    stores.audit.list(&filter).await.unwrap().len()
}

/// Nothing of a user is lost, whatever their role.
pub async fn a_user_reads_back(stores: Stores) {
    for (number, role) in (1..).zip(UserRole::ALL) {
        let stored = User {
            role,
            enabled: number % 2 == 0,
            token_version: number,
            last_login_at: Some(at(5)),
            ..account(&format!("user-{number}"), number)
        };
        insert(&stores, &stored, Some("$argon2id$x")).await;
        assert_eq!(
            find(&stores, &format!("user-{number}")).await,
            Some((stored.clone(), Some("$argon2id$x".to_owned())))
        );
        assert_eq!(stores.users.find(&stored.id).await.unwrap(), Some(stored));
    }
    assert_eq!(stores.users.find(&user("nobody")).await.unwrap(), None);
    assert_eq!(find(&stores, "nobody").await, None);
}

/// A name is found however it is written, and is spelled as its user spells it.
pub async fn names_are_found_whatever_their_case(stores: Stores) {
    let alice = User {
        username: Username::parse("Alice").unwrap(),
        ..account("alice", 1)
    };
    insert(&stores, &alice, None).await;
    let (found, hash) = find(&stores, "aLICE").await.unwrap();
    assert_eq!((found.username.as_str(), hash), ("Alice", None));
}

/// A name that differs in case only is taken, and nothing of the second user is stored.
pub async fn a_taken_name_is_a_conflict(stores: Stores) {
    insert(&stores, &account("alice", 1), None).await;
    let second = User {
        id: user("other"),
        username: Username::parse("ALICE").unwrap(),
        ..account("alice", 2)
    };
    let result = stores
        .users
        .insert(&second, None, &record("user.add"))
        .await;
    assert_conflict(result);
    assert_eq!(stores.users.find(&second.id).await.unwrap(), None);
    assert_eq!(acts(&stores).await, 1);
}

/// However many register at once, one becomes the owner.
pub async fn one_of_many_registrations_makes_the_owner(stores: Stores) {
    let registrations = (0..8).map(|number| {
        let owner = User {
            id: UserId::operator(),
            role: UserRole::Owner,
            ..account(&format!("owner-{number}"), number)
        };
        let users = stores.users.clone();
        async move {
            let act = record("user.register");
            users.insert(&owner, Some("hash"), &act).await.is_ok()
        }
    });
    let stored = join_all(registrations).await;
    assert_eq!(stored.into_iter().filter(|stored| *stored).count(), 1);
    assert_eq!(stores.users.list(10).await.unwrap().len(), 1);
    assert_eq!(acts(&stores).await, 1);
}

/// Lists are oldest first and bounded.
pub async fn lists_are_oldest_first_up_to_the_limit(stores: Stores) {
    for (name, number) in [("carol", 3), ("alice", 1), ("bob", 2)] {
        insert(&stores, &account(name, number), None).await;
    }
    let names = |users: Vec<User>| -> Vec<String> {
        users
            .into_iter()
            .map(|user| user.username.to_string())
            .collect()
    };
    let all = stores.users.list(10).await.unwrap();
    assert_eq!(names(all), ["alice", "bob", "carol"]);
    assert_eq!(names(stores.users.list(1).await.unwrap()), ["alice"]);
}

/// Another role, another password and being disabled each end the tokens there are, and are in the audit log.
pub async fn changes_end_the_users_tokens(stores: Stores) {
    let alice = account("alice", 1);
    insert(&stores, &alice, Some("old")).await;
    insert(&stores, &account("bob", 2), Some("bobs")).await;
    let (id, users) = (&alice.id, &stores.users);
    let act = record("user.change");
    let changed = users.set_role(id, UserRole::Viewer, &act).await;
    assert!(changed.unwrap());
    let changed = users.set_enabled(id, false, &act).await;
    assert!(changed.unwrap());
    let changed = users.set_password(id, None, "newer", &act).await;
    assert!(changed.unwrap());
    let changed = users.set_password(id, Some(3), "new", &act).await;
    assert!(changed.unwrap());
    let late = users.set_password(id, Some(3), "stale", &act).await;
    assert!(!late.unwrap(), "the tokens were ended since");
    let expected = User {
        role: UserRole::Viewer,
        enabled: false,
        token_version: 4,
        ..alice.clone()
    };
    assert_eq!(
        find(&stores, "alice").await,
        Some((expected, Some("new".to_owned())))
    );
    assert_eq!(find(&stores, "bob").await.unwrap().0.token_version, 0);
    assert_eq!(acts(&stores).await, 6);
}

/// What does not exist cannot be changed, and nobody is said to have tried.
pub async fn changing_nobody_changes_nothing(stores: Stores) {
    let nobody = user("nobody");
    let (users, act) = (&stores.users, record("user.role"));
    assert!(
        !users
            .set_role(&nobody, UserRole::Admin, &act)
            .await
            .unwrap()
    );
    assert!(!users.set_enabled(&nobody, true, &act).await.unwrap());
    assert!(!users.set_password(&nobody, None, "x", &act).await.unwrap());
    assert_eq!(acts(&stores).await, 0);
}

/// Signing in is noted and ends nothing.
pub async fn a_login_is_noted(stores: Stores) {
    let alice = account("alice", 1);
    insert(&stores, &alice, Some("hash")).await;
    let act = record("user.login");
    let noted = stores.users.note_login(&alice.id, at(9), &act).await;
    noted.unwrap();
    let found = stores.users.find(&alice.id).await.unwrap().unwrap();
    assert_eq!((found.last_login_at, found.token_version), (Some(at(9)), 0));
    assert_eq!(acts(&stores).await, 2);
}
