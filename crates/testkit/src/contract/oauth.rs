//! What [`OAuthRepository`](majordomo_application::ports::OAuthRepository) must do.

use std::time::Duration;

use futures_util::future::join_all;
use majordomo_application::ports::{AuditFilter, NewCode, NewTokens};
use majordomo_domain::{
    AuditRecord, ClientId, CodeChallenge, GrantId, OAuthClient, OAuthGrant, OAuthToken,
    OAuthTokenKind, RedirectUri, Scope, Scopes, Timestamp,
};

use super::{Stores, assert_conflict};
use crate::builders::{at, user};

const KEEP: u32 = 100;

const fn digest(byte: u8) -> [u8; 32] {
    [byte; 32]
}

fn grant(owner: &str, number: u8) -> OAuthGrant {
    OAuthGrant {
        id: GrantId::parse(format!("{owner}-{number}")).unwrap(),
        owner: user(owner),
        client: ClientId::parse("app").unwrap(),
        client_name: "An \"app\" 💻".to_owned(),
        scopes: Scopes::from_iter([Scope::Chat, Scope::SettingsRead]),
        created_at: at(i64::from(number)),
        expires_at: at(60 + i64::from(number)),
        revoked_at: None,
    }
}

fn code(byte: u8) -> NewCode {
    NewCode {
        digest: digest(byte),
        redirect_uri: RedirectUri::parse("http://localhost:1/cb?a=1&b=2").unwrap(),
        challenge: CodeChallenge::parse(&"c".repeat(43)).unwrap(),
        expires_at: at(60),
    }
}

/// Tokens whose digests are made of `byte` and the next one.
fn tokens(byte: u8, now: Timestamp) -> NewTokens {
    NewTokens {
        access: digest(byte),
        access_scopes: Scopes::from_iter([Scope::Chat]),
        access_expires_at: now.plus(Duration::from_hours(1)),
        refresh: digest(byte + 1),
        refresh_expires_at: now.plus(Duration::from_hours(720)),
        issued_at: now,
    }
}

fn record(action: &'static str, when: Timestamp) -> AuditRecord {
    AuditRecord::of_system(action, when)
}

async fn begin(stores: &Stores, grant: &OAuthGrant, byte: u8) {
    let audit = record("oauth.consent", grant.created_at);
    let stored = stores
        .oauth
        .insert_grant(grant, &code(byte), KEEP, &audit)
        .await;
    stored.unwrap();
}

async fn redeem(stores: &Stores, grant: &OAuthGrant, byte: u8, new: NewTokens) -> bool {
    let audit = record("oauth.token", new.issued_at);
    let redeemed = stores
        .oauth
        .redeem_code(&grant.id, &digest(byte), &new, &audit)
        .await;
    redeemed.unwrap()
}

async fn rotate(stores: &Stores, grant: &OAuthGrant, byte: u8, new: NewTokens) -> bool {
    let audit = record("oauth.refresh", new.issued_at);
    let rotated = stores
        .oauth
        .rotate(&grant.id, &digest(byte), &new, &audit)
        .await;
    rotated.unwrap()
}

async fn find(stores: &Stores, byte: u8) -> Option<OAuthToken> {
    stores.oauth.find_token(&digest(byte)).await.unwrap()
}

/// Every act with its end, oldest first.
async fn acts(stores: &Stores) -> Vec<(String, String)> {
    let filter = AuditFilter {
        limit: 100,
        ..AuditFilter::default()
    };
    let entries = stores.audit.list(&filter).await.unwrap().into_iter().rev();
    entries.map(|entry| (entry.action, entry.outcome)).collect()
}

fn act(action: &str, outcome: &str) -> (String, String) {
    (action.to_owned(), outcome.to_owned())
}

/// A code leads to its grant, with nothing lost.
pub async fn a_code_reads_back_with_its_grant(stores: Stores) {
    let (first, second) = (grant("alice", 1), grant("bob", 2));
    begin(&stores, &first, 1).await;
    begin(&stores, &second, 2).await;
    let found = stores.oauth.find_code(&digest(1)).await.unwrap().unwrap();
    assert_eq!(found.grant, first);
    assert_eq!(found.redirect_uri, code(1).redirect_uri);
    assert_eq!(found.challenge, code(1).challenge);
    assert_eq!((found.expires_at, found.used_at), (at(60), None));
    assert_eq!(stores.oauth.find_code(&digest(3)).await.unwrap(), None);
    assert_eq!(
        acts(&stores).await,
        vec![act("oauth.consent", "success"); 2]
    );
}

/// A taken grant id or digest stores nothing.
pub async fn a_taken_code_is_a_conflict(stores: Stores) {
    begin(&stores, &grant("alice", 1), 1).await;
    let audit = record("oauth.consent", at(1));
    for (again, byte) in [(grant("alice", 1), 2), (grant("bob", 2), 1)] {
        let stored = stores
            .oauth
            .insert_grant(&again, &code(byte), KEEP, &audit)
            .await;
        assert_conflict(stored);
    }
    let bobs = stores.oauth.list_grants(&user("bob"), 10).await.unwrap();
    assert_eq!(bobs, Vec::new());
    assert_eq!(acts(&stores).await.len(), 1);
}

/// A code becomes tokens, and prolongs its grant.
pub async fn a_code_is_redeemed_once(stores: Stores) {
    let grant = grant("alice", 1);
    begin(&stores, &grant, 1).await;
    let new = tokens(10, at(5));
    assert!(redeem(&stores, &grant, 1, new).await);
    let access = find(&stores, 10).await.unwrap();
    assert_eq!(access.kind, OAuthTokenKind::Access);
    assert_eq!(access.scopes, new.access_scopes);
    assert_eq!(access.expires_at, new.access_expires_at);
    assert_eq!(access.grant.expires_at, new.refresh_expires_at);
    assert!(access.is_active(at(6)));
    let refresh = find(&stores, 11).await.unwrap();
    assert_eq!(refresh.kind, OAuthTokenKind::Refresh);
    assert_eq!((refresh.scopes, refresh.used_at), (grant.scopes, None));
    let used = stores.oauth.find_code(&digest(1)).await.unwrap().unwrap();
    assert_eq!(used.used_at, Some(at(5)));
}

/// A code that comes twice ends everything that was made of it.
pub async fn a_code_used_twice_ends_its_grant(stores: Stores) {
    let (victim, other) = (grant("alice", 1), grant("alice", 2));
    begin(&stores, &victim, 1).await;
    begin(&stores, &other, 2).await;
    assert!(redeem(&stores, &victim, 1, tokens(10, at(5))).await);
    assert!(redeem(&stores, &other, 2, tokens(20, at(5))).await);
    assert!(!redeem(&stores, &victim, 1, tokens(30, at(6))).await);
    for byte in [10, 11] {
        let token = find(&stores, byte).await.unwrap();
        assert_eq!(token.grant.revoked_at, Some(at(6)));
        assert!(!token.is_active(at(6)));
    }
    assert_eq!(find(&stores, 30).await, None);
    assert!(find(&stores, 20).await.unwrap().is_active(at(6)));
    // The third attempt finds an ended grant and says nothing more.
    assert!(!redeem(&stores, &victim, 1, tokens(30, at(7))).await);
    let denied = act("oauth.token", "denied");
    let told = acts(&stores).await;
    assert_eq!(told.iter().filter(|one| **one == denied).count(), 1);
}

/// Of attempts that race one succeeds, and the others end the grant: nothing that was given away works.
pub async fn racing_redemptions_give_no_working_tokens(stores: Stores) {
    let grant = grant("alice", 1);
    begin(&stores, &grant, 1).await;
    let tasks = (0..8_u8).map(|number| {
        let (oauth, id) = (stores.oauth.clone(), grant.id.clone());
        tokio::spawn(async move {
            let audit = record("oauth.token", at(5));
            let new = tokens(10 + 2 * number, at(5));
            oauth.redeem_code(&id, &digest(1), &new, &audit).await
        })
    });
    let results = join_all(tasks).await;
    let won = results
        .into_iter()
        .filter(|r| *r.as_ref().unwrap().as_ref().unwrap());
    assert_eq!(won.count(), 1);
    for byte in 10..26 {
        let token = find(&stores, byte).await;
        assert!(token.is_none_or(|token| !token.is_active(at(6))), "{byte}");
    }
}

/// Rotation replaces both tokens; the used refresh token is remembered.
pub async fn rotating_replaces_both_tokens(stores: Stores) {
    let grant = grant("alice", 1);
    begin(&stores, &grant, 1).await;
    assert!(redeem(&stores, &grant, 1, tokens(10, at(5))).await);
    assert!(rotate(&stores, &grant, 11, tokens(20, at(100))).await);
    assert_eq!(find(&stores, 10).await, None);
    assert_eq!(find(&stores, 11).await.unwrap().used_at, Some(at(100)));
    for byte in [20, 21] {
        assert!(find(&stores, byte).await.unwrap().is_active(at(101)));
    }
    let expected = ["oauth.consent", "oauth.token", "oauth.refresh"];
    assert_eq!(
        acts(&stores).await,
        expected.map(|name| act(name, "success"))
    );
}

/// A refresh token that comes twice ends the grant: the newest tokens too.
pub async fn a_refresh_token_used_twice_ends_its_grant(stores: Stores) {
    let grant = grant("alice", 1);
    begin(&stores, &grant, 1).await;
    assert!(redeem(&stores, &grant, 1, tokens(10, at(5))).await);
    assert!(rotate(&stores, &grant, 11, tokens(20, at(100))).await);
    assert!(!rotate(&stores, &grant, 11, tokens(30, at(101))).await);
    for byte in [20, 21] {
        assert!(!find(&stores, byte).await.unwrap().is_active(at(101)));
    }
    assert_eq!(find(&stores, 30).await, None);
    assert!(!rotate(&stores, &grant, 21, tokens(40, at(102))).await);
    assert_eq!(find(&stores, 40).await, None);
}

/// An access token is not exchanged.
pub async fn only_refresh_tokens_are_rotated(stores: Stores) {
    let (first, second) = (grant("alice", 1), grant("bob", 2));
    begin(&stores, &first, 1).await;
    begin(&stores, &second, 2).await;
    assert!(redeem(&stores, &first, 1, tokens(10, at(5))).await);
    assert!(redeem(&stores, &second, 2, tokens(20, at(5))).await);
    assert!(!rotate(&stores, &first, 10, tokens(30, at(6))).await);
    // Nor one of another grant.
    assert!(!rotate(&stores, &second, 11, tokens(30, at(6))).await);
    assert_eq!(find(&stores, 30).await, None);
}

/// Revoking ends everything made of the grant, once, and only for its owner.
pub async fn revoking_a_grant_ends_its_tokens(stores: Stores) {
    let grant = grant("alice", 1);
    begin(&stores, &grant, 1).await;
    assert!(redeem(&stores, &grant, 1, tokens(10, at(5))).await);
    let audit = record("oauth.revoke", at(9));
    let revoke = async |owner: &str| {
        let revoked = stores
            .oauth
            .revoke_grant(&user(owner), &grant.id, &audit)
            .await;
        revoked.unwrap()
    };
    assert!(!revoke("bob").await);
    assert!(find(&stores, 10).await.unwrap().is_active(at(10)));
    assert!(revoke("alice").await);
    assert!(!revoke("alice").await);
    for byte in [10, 11] {
        assert!(!find(&stores, byte).await.unwrap().is_active(at(10)));
    }
    let expected = ["oauth.consent", "oauth.token", "oauth.revoke"];
    assert_eq!(
        acts(&stores).await,
        expected.map(|name| act(name, "success"))
    );
}

/// A list holds the owner's grants, newest first.
pub async fn grants_are_listed_by_owner(stores: Stores) {
    for number in [2, 3, 1] {
        begin(&stores, &grant("alice", number), number).await;
    }
    begin(&stores, &grant("bob", 4), 4).await;
    let list =
        async |owner: &str, limit| stores.oauth.list_grants(&user(owner), limit).await.unwrap();
    let expected = [3, 2, 1].map(|number| grant("alice", number));
    assert_eq!(list("alice", 10).await, expected);
    assert_eq!(list("alice", 1).await, expected[..1]);
    assert_eq!(list("carol", 10).await, Vec::new());
}

/// What has ended, and an owner's oldest grants beyond the limit, make room.
pub async fn ended_and_surplus_grants_are_removed(stores: Stores) {
    for number in 1..=3 {
        begin(&stores, &grant("alice", number), number).await;
    }
    begin(&stores, &grant("bob", 1), 9).await;
    let audit = record("oauth.consent", at(4));
    let fourth = grant("alice", 4);
    let stored = stores
        .oauth
        .insert_grant(&fourth, &code(4), 2, &audit)
        .await;
    stored.unwrap();
    let alices = stores.oauth.list_grants(&user("alice"), 10).await.unwrap();
    assert_eq!(alices, [fourth, grant("alice", 3)]);
    assert_eq!(stores.oauth.find_code(&digest(1)).await.unwrap(), None);
    assert_eq!(
        stores
            .oauth
            .list_grants(&user("bob"), 10)
            .await
            .unwrap()
            .len(),
        1
    );
    let late = OAuthGrant {
        created_at: at(1000),
        expires_at: at(1060),
        ..grant("carol", 5)
    };
    begin(&stores, &late, 5).await;
    assert_eq!(
        stores.oauth.list_grants(&user("bob"), 10).await.unwrap(),
        Vec::new()
    );
}

fn client(number: u8, when: Timestamp) -> OAuthClient {
    let uris = ["https://app.example.org/cb", "com.example.app:/cb"];
    OAuthClient {
        id: ClientId::parse(format!("client-{number}")).unwrap(),
        name: "Äpp 💻".to_owned(),
        redirect_uris: uris.map(|uri| RedirectUri::parse(uri).unwrap()).to_vec(),
        scopes: Scopes::from_iter([Scope::Chat, Scope::Memory]),
        registered_at: Some(when),
    }
}

/// A client that registered itself reads back whole; another one of its id is a conflict.
pub async fn a_client_reads_back(stores: Stores) {
    let first = client(1, at(0));
    let audit = record("oauth.register", at(0));
    let insert = async |client: &OAuthClient| {
        stores
            .oauth
            .insert_client(client, 10, at(-100), &audit)
            .await
    };
    assert!(insert(&first).await.unwrap());
    let found = stores.oauth.find_client(&first.id).await.unwrap();
    assert_eq!(found, Some(first.clone()));
    assert_conflict(insert(&first).await);
    let unknown = ClientId::parse("unknown").unwrap();
    assert_eq!(stores.oauth.find_client(&unknown).await.unwrap(), None);
}

/// There are no more clients than allowed; old ones that nobody has use for make room.
pub async fn clients_are_bounded(stores: Stores) {
    let audit = record("oauth.register", at(0));
    let insert = async |client: &OAuthClient, since| {
        let stored = stores.oauth.insert_client(client, 2, since, &audit).await;
        stored.unwrap()
    };
    assert!(insert(&client(1, at(0)), at(-100)).await);
    assert!(insert(&client(2, at(0)), at(-100)).await);
    assert!(!insert(&client(3, at(5)), at(0)).await);
    let granted = OAuthGrant {
        client: client(1, at(0)).id,
        ..grant("alice", 1)
    };
    begin(&stores, &granted, 1).await;
    assert!(insert(&client(3, at(5)), at(1)).await);
    let known = async |number| {
        let found = stores.oauth.find_client(&client(number, at(0)).id).await;
        found.unwrap().is_some()
    };
    assert!(known(1).await && !known(2).await && known(3).await);
}
