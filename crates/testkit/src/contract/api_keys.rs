//! What [`ApiKeyRepository`](majordomo_application::ports::ApiKeyRepository) must do.

use std::num::NonZeroU32;
use std::slice;
use std::sync::Arc;

use futures_util::future::join_all;
use majordomo_application::ports::{AuditFilter, RepositoryError};
use majordomo_domain::{
    ApiKey, ApiKeyId, Budget, BudgetLimit, BudgetPeriod, BudgetSubject, BudgetWindow, KeyLimits,
    MicroUsd, Scope, Scopes, Spend, Timestamp,
};

use super::{Stores, assert_conflict};
use crate::builders::{api_key, at, ended_call, record, user};

/// A digest made of one byte.
const fn digest(byte: u8) -> [u8; 32] {
    [byte; 32]
}

async fn rotate(
    stores: &Stores,
    old: &ApiKey,
    successor: &ApiKey,
    byte: u8,
) -> Result<bool, RepositoryError> {
    let digest = digest(byte);
    stores
        .api_keys
        .rotate(
            &old.id,
            successor,
            &digest,
            at(9),
            at(9),
            &record("api_key.rotate"),
        )
        .await
}

async fn insert(stores: &Stores, key: &ApiKey, byte: u8) {
    let act = record("api_key.create");
    let stored = stores.api_keys.insert(key, &digest(byte), &[], &act).await;
    stored.unwrap();
}

async fn find(stores: &Stores, byte: u8) -> Option<ApiKey> {
    let found = stores.api_keys.find_by_digest(&digest(byte)).await;
    found.unwrap()
}

async fn revoke(stores: &Stores, owner: &str, key: &ApiKey, when: Timestamp) -> bool {
    let (owner, act) = (user(owner), record("api_key.revoke"));
    let revoked = stores.api_keys.revoke(&owner, &key.id, when, &act).await;
    revoked.unwrap()
}

async fn list(stores: &Stores, owner: &str, limit: u32) -> Vec<ApiKey> {
    stores.api_keys.list(&user(owner), limit).await.unwrap()
}

/// The digest leads to the key.
pub async fn a_key_is_found_by_its_digest(stores: Stores) {
    let (first, second) = (api_key("alice", 1), api_key("bob", 2));
    insert(&stores, &first, 1).await;
    insert(&stores, &second, 2).await;
    assert_eq!(find(&stores, 1).await, Some(first));
    assert_eq!(find(&stores, 2).await, Some(second));
}

/// Nothing of a key is lost.
pub async fn every_field_reads_back(stores: Stores) {
    let full = ApiKey {
        name: "Läptöp \"work\" 💻".to_owned(),
        scopes: Scope::ALL.into_iter().collect(),
        created_at: Timestamp::from_micros(1_770_000_000_123_457),
        expires_at: Some(Timestamp::from_micros(1_780_000_000_000_001)),
        last_used_at: Some(at(50)),
        enabled: false,
        limits: Arc::new(KeyLimits {
            addresses: vec![
                "192.0.2.0/24".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ],
            models: vec!["mock/echo".to_owned(), "größer/*".to_owned()],
            requests_per_minute: NonZeroU32::new(7),
        }),
        ..api_key("alice", 1)
    };
    insert(&stores, &full, 1).await;
    assert_eq!(find(&stores, 1).await, Some(full.clone()));
    assert_eq!(list(&stores, "alice", 10).await, slice::from_ref(&full));
    let found = stores.api_keys.find(&user("alice"), &full.id).await;
    assert_eq!(found.unwrap(), Some(full.clone()));
    let of_another = stores.api_keys.find(&user("bob"), &full.id).await;
    assert_eq!(of_another.unwrap(), None);
    let sets = Scope::ALL.map(|scope| Scopes::from_iter([scope]));
    for (number, scopes) in (10..).zip([Scopes::NONE].into_iter().chain(sets)) {
        let key = ApiKey {
            scopes,
            ..api_key("bob", u32::from(number))
        };
        insert(&stores, &key, number).await;
        assert_eq!(find(&stores, number).await, Some(key));
    }
}

/// A digest matches whole or not at all.
pub async fn a_wrong_digest_finds_nothing(stores: Stores) {
    assert_eq!(find(&stores, 0).await, None);
    insert(&stores, &api_key("alice", 1), 0).await;
    insert(&stores, &api_key("alice", 2), 0xff).await;
    assert!(find(&stores, 0).await.is_some());
    assert!(find(&stores, 0xff).await.is_some());
    for (position, byte) in [(0, 1), (31, 1), (16, 0x80)] {
        let mut near = digest(0);
        *near.get_mut(position).unwrap() = byte;
        let found = stores.api_keys.find_by_digest(&near).await.unwrap();
        assert_eq!(found, None);
    }
}

/// Key ids are unique on the server.
pub async fn a_taken_id_is_a_conflict(stores: Stores) {
    let first = api_key("alice", 1);
    insert(&stores, &first, 1).await;
    for owner in ["alice", "bob"] {
        let second = ApiKey {
            id: first.id.clone(),
            ..api_key(owner, 2)
        };
        let (digest, act) = (digest(2), record("api_key.create"));
        assert_conflict(stores.api_keys.insert(&second, &digest, &[], &act).await);
    }
    assert_eq!(find(&stores, 1).await, Some(first));
    assert_eq!(find(&stores, 2).await, None);
}

/// Digests are unique on the server.
pub async fn a_taken_digest_is_a_conflict(stores: Stores) {
    let first = api_key("alice", 1);
    insert(&stores, &first, 1).await;
    let second = api_key("bob", 2);
    let (digest, act) = (digest(1), record("api_key.create"));
    assert_conflict(stores.api_keys.insert(&second, &digest, &[], &act).await);
    assert_eq!(find(&stores, 1).await, Some(first));
    assert_eq!(list(&stores, "bob", 10).await, Vec::new());
}

/// Whether a key still opens anything is decided by who asks, not by the lookup.
pub async fn revoked_and_expired_keys_are_found(stores: Stores) {
    let expired = ApiKey {
        expires_at: Some(at(-1_000_000)),
        ..api_key("alice", 1)
    };
    let revoked = api_key("alice", 2);
    insert(&stores, &expired, 1).await;
    insert(&stores, &revoked, 2).await;
    assert!(revoke(&stores, "alice", &revoked, at(9)).await);
    assert_eq!(find(&stores, 1).await, Some(expired));
    let expected = ApiKey {
        revoked_at: Some(at(9)),
        ..revoked
    };
    assert_eq!(find(&stores, 2).await, Some(expected));
}

/// Keys come newest first, whatever the order of storing.
pub async fn lists_are_newest_first_with_revoked_ones(stores: Stores) {
    for number in [2_u8, 3, 1] {
        insert(&stores, &api_key("alice", u32::from(number)), number).await;
    }
    let middle = api_key("alice", 2);
    assert!(revoke(&stores, "alice", &middle, at(9)).await);
    let expected = [
        api_key("alice", 3),
        ApiKey {
            revoked_at: Some(at(9)),
            ..middle
        },
        api_key("alice", 1),
    ];
    assert_eq!(list(&stores, "alice", 10).await, expected);
}

/// A list holds no key of another owner and no more keys than asked for.
pub async fn lists_hold_the_owners_keys_up_to_the_limit(stores: Stores) {
    for number in 1..=4 {
        insert(&stores, &api_key("alice", u32::from(number)), number).await;
    }
    insert(&stores, &api_key("bob", 5), 5).await;
    let newest = [api_key("alice", 4), api_key("alice", 3)];
    assert_eq!(list(&stores, "alice", 2).await, newest);
    assert_eq!(list(&stores, "alice", 0).await, Vec::new());
    assert_eq!(list(&stores, "alice", u32::MAX).await.len(), 4);
    assert_eq!(list(&stores, "bob", 10).await, [api_key("bob", 5)]);
    assert_eq!(list(&stores, "carol", 10).await, Vec::new());
}

/// The first revocation counts.
pub async fn revoking_happens_once(stores: Stores) {
    let key = api_key("alice", 1);
    insert(&stores, &key, 1).await;
    insert(&stores, &api_key("alice", 2), 2).await;
    assert!(revoke(&stores, "alice", &key, at(9)).await);
    assert!(!revoke(&stores, "alice", &key, at(99)).await);
    let stored = find(&stores, 1).await.unwrap();
    assert_eq!(stored.revoked_at, Some(at(9)));
    assert_eq!(find(&stores, 2).await, Some(api_key("alice", 2)));
    assert!(!revoke(&stores, "alice", &api_key("alice", 3), at(9)).await);
}

/// Another owner's key does not exist.
pub async fn another_owners_key_cannot_be_revoked(stores: Stores) {
    let key = api_key("alice", 1);
    insert(&stores, &key, 1).await;
    assert!(!revoke(&stores, "bob", &key, at(9)).await);
    assert_eq!(find(&stores, 1).await, Some(key));
}

/// The old key is revoked and its successor stored.
pub async fn rotating_replaces_the_key(stores: Stores) {
    let (old, new) = (api_key("alice", 1), api_key("alice", 2));
    insert(&stores, &old, 1).await;
    assert!(rotate(&stores, &old, &new, 2).await.unwrap());
    let stored = find(&stores, 1).await.unwrap();
    assert_eq!(stored.revoked_at, Some(at(9)));
    assert_eq!(find(&stores, 2).await, Some(new));
}

/// A key that is unknown, revoked or another owner's has no successor.
pub async fn rotating_needs_an_active_key_of_the_owner(stores: Stores) {
    let (active, revoked) = (api_key("alice", 1), api_key("alice", 2));
    insert(&stores, &active, 1).await;
    insert(&stores, &revoked, 2).await;
    assert!(revoke(&stores, "alice", &revoked, at(9)).await);
    let unknown = ApiKeyId::parse("unknown").unwrap();
    let attempts = [
        (&active.id, api_key("bob", 3)),
        (&revoked.id, api_key("alice", 3)),
        (&unknown, api_key("alice", 3)),
    ];
    for (id, successor) in attempts {
        let rotated = stores
            .api_keys
            .rotate(
                id,
                &successor,
                &digest(3),
                at(20),
                at(20),
                &record("api_key.rotate"),
            )
            .await;
        assert!(!rotated.unwrap());
        assert_eq!(find(&stores, 3).await, None);
    }
    assert_eq!(find(&stores, 1).await, Some(active));
    assert_eq!(find(&stores, 2).await.unwrap().revoked_at, Some(at(9)));
}

/// When the successor cannot be stored the old key stays active.
pub async fn a_failed_rotation_changes_nothing(stores: Stores) {
    let (old, other) = (api_key("alice", 1), api_key("alice", 2));
    insert(&stores, &old, 1).await;
    insert(&stores, &other, 2).await;
    let successor = api_key("alice", 3);
    assert_conflict(rotate(&stores, &old, &successor, 2).await);
    let same_id = ApiKey {
        id: other.id.clone(),
        ..successor
    };
    assert_conflict(rotate(&stores, &old, &same_id, 3).await);
    assert_eq!(list(&stores, "alice", 10).await, [other, old]);
}

/// A key that goes on for a while ends then, and not later than it would have ended anyway.
pub async fn a_rotated_key_may_go_on_for_a_while(stores: Stores) {
    let short = ApiKey {
        expires_at: Some(at(100)),
        ..api_key("alice", 2)
    };
    for (old, byte, end) in [(api_key("alice", 1), 1, at(200)), (short, 2, at(100))] {
        insert(&stores, &old, byte).await;
        let successor = api_key("alice", u32::from(byte) + 10);
        let (digest, act) = (digest(byte + 10), record("api_key.rotate"));
        let rotated = stores
            .api_keys
            .rotate(&old.id, &successor, &digest, at(9), at(200), &act)
            .await;
        assert!(rotated.unwrap());
        let stored = find(&stores, byte).await.unwrap();
        assert_eq!((stored.revoked_at, stored.expires_at), (None, Some(end)));
        assert_eq!(find(&stores, byte + 10).await, Some(successor));
    }
}

/// What a key may spend is stored with it, holds for its successor, and what was spent counts on.
pub async fn a_successor_goes_on_with_its_budget(stores: Stores) {
    let (old, new, other) = (
        api_key("alice", 1),
        api_key("alice", 2),
        api_key("alice", 3),
    );
    let budget = |key: &ApiKey| Budget {
        subject: BudgetSubject::Key(key.id.clone()),
        period: BudgetPeriod::Day,
        limit: BudgetLimit {
            cost: Some(MicroUsd(70)),
            tokens: Some(100),
        },
        set_at: at(1),
    };
    let window = |key: &ApiKey| BudgetWindow {
        subject: BudgetSubject::Key(key.id.clone()),
        period: BudgetPeriod::Day,
        starts_at: at(0),
    };
    let act = record("api_key.create");
    let (keys, budgets) = (&stores.api_keys, &stores.budgets);
    let stored = keys.insert(&old, &digest(1), &[budget(&old)], &act).await;
    stored.unwrap();
    insert(&stores, &other, 3).await;
    assert_eq!(budgets.list(10).await.unwrap(), [budget(&old)]);
    let spent = Spend {
        cost: MicroUsd(7),
        tokens: 7,
    };
    let call = ended_call("alice", spent.tokens, vec![window(&old)]);
    stores.usage.append(&[call]).await.unwrap();
    assert!(rotate(&stores, &old, &new, 2).await.unwrap());
    let listed = budgets.list(10).await.unwrap();
    assert!(listed.contains(&budget(&new)), "{listed:?}");
    let counted = budgets.spent(&[window(&new), window(&other)]).await;
    assert_eq!(counted.unwrap(), [spent, Spend::default()]);
    // A key that cannot be stored has no budget either.
    let taken = ApiKey {
        id: api_key("alice", 9).id,
        ..other
    };
    let (digest, limits) = (digest(3), [budget(&taken)]);
    assert_conflict(keys.insert(&taken, &digest, &limits, &act).await);
    let listed = budgets.list(10).await.unwrap();
    assert!(!listed.contains(&budget(&taken)), "{listed:?}");
}

/// A key can be switched off and on until it is revoked.
pub async fn keys_are_switched_off_and_on(stores: Stores) {
    let key = api_key("alice", 1);
    insert(&stores, &key, 1).await;
    let switch = async |owner: &str, enabled| {
        let owner = user(owner);
        let act = record("api_key.toggle");
        let switched = stores.api_keys.set_enabled(&owner, &key.id, enabled, &act);
        switched.await.unwrap()
    };
    assert!(switch("alice", false).await);
    assert!(!find(&stores, 1).await.unwrap().is_active(at(9)));
    assert!(!switch("bob", true).await);
    assert!(switch("alice", true).await);
    assert!(find(&stores, 1).await.unwrap().is_active(at(9)));
    assert!(revoke(&stores, "alice", &key, at(9)).await);
    assert!(!switch("alice", true).await);
}

/// What was done is in the audit log, what was not done is not.
pub async fn changes_of_keys_are_in_the_audit_log(stores: Stores) {
    let key = api_key("alice", 1);
    insert(&stores, &key, 1).await;
    assert!(!revoke(&stores, "bob", &key, at(9)).await);
    assert!(
        rotate(&stores, &key, &api_key("alice", 2), 2)
            .await
            .unwrap()
    );
    assert!(!revoke(&stores, "alice", &key, at(9)).await);
    assert!(revoke(&stores, "alice", &api_key("alice", 2), at(9)).await);
    let filter = AuditFilter {
        limit: 10,
        ..AuditFilter::default()
    };
    let entries = stores.audit.list(&filter).await.unwrap();
    let actions: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        ["api_key.revoke", "api_key.rotate", "api_key.create"]
    );
}

/// Of rotations that race one succeeds, so there is one active key afterwards.
pub async fn concurrent_rotations_make_one_successor(stores: Stores) {
    let old = api_key("alice", 1);
    insert(&stores, &old, 1).await;
    let tasks = (2..10_u8).map(|number| {
        let (keys, id) = (stores.api_keys.clone(), old.id.clone());
        tokio::spawn(async move {
            let successor = api_key("alice", u32::from(number));
            let act = record("api_key.rotate");
            keys.rotate(&id, &successor, &digest(number), at(9), at(9), &act)
                .await
        })
    });
    let results = join_all(tasks).await;
    let won = results
        .into_iter()
        .filter_map(|r| r.unwrap().unwrap().then_some(()));
    assert_eq!(won.count(), 1);
    let keys = list(&stores, "alice", 100).await;
    assert_eq!(keys.len(), 2);
    assert_eq!(keys.iter().filter(|k| k.is_active(at(10))).count(), 1);
}

/// The last use is noted, and nothing else changes.
pub async fn touching_notes_the_last_use(stores: Stores) {
    let (used, idle) = (api_key("alice", 1), api_key("alice", 2));
    insert(&stores, &used, 1).await;
    insert(&stores, &idle, 2).await;
    for when in [at(60), at(120)] {
        stores.api_keys.touch(&used.id, when).await.unwrap();
        let expected = ApiKey {
            last_used_at: Some(when),
            ..used.clone()
        };
        assert_eq!(find(&stores, 1).await, Some(expected));
    }
    assert_eq!(find(&stores, 2).await, Some(idle));
}

/// A key may vanish between its use and the note of it.
pub async fn touching_an_unknown_key_is_no_error(stores: Stores) {
    let unknown = ApiKeyId::parse("unknown").unwrap();
    stores.api_keys.touch(&unknown, at(1)).await.unwrap();
    assert_eq!(list(&stores, "alice", 10).await, Vec::new());
}
