//! Clock, ids, master token and password hasher.

use std::time::Duration;

use majordomo_application::ports::{Clock, IdGenerator, MasterTokenStore, PasswordHasher};
use majordomo_testkit::builders::at;
use majordomo_testkit::fold::{fold, words};
use majordomo_testkit::{FixedClock, InMemoryMasterTokenStore, PlainPasswordHasher, SequentialIds};

#[test]
fn the_clock_moves_only_when_told() {
    let clock = FixedClock::default();
    assert_eq!((clock.now(), clock.now()), (at(0), at(0)));
    clock.advance(Duration::from_secs(90));
    assert_eq!(clock.now(), at(90));
    clock.set(at(5));
    assert_eq!(clock.now(), at(5));
}

#[test]
fn ids_count_by_kind() {
    let ids = SequentialIds::new();
    assert_eq!(ids.message_id().as_str(), "message-1");
    assert_eq!(ids.message_id().as_str(), "message-2");
    assert_eq!(ids.run_id().as_str(), "run-1");
    assert_eq!(ids.session_id().as_str(), "session-1");
    assert_eq!(ids.short_session_id().as_str(), "000000000002");
    assert_eq!(ids.api_key_id().as_str(), "0000000000000001");
    let (first, second) = (ids.secret(), ids.secret());
    assert_eq!(first[..31], [0; 31]);
    assert_eq!((first[31], second[31]), (1, 2));
}

#[tokio::test]
async fn the_master_token_is_kept() {
    let store = InMemoryMasterTokenStore::new();
    assert_eq!(store.load().await.unwrap(), None);
    store.store("first").await.unwrap();
    store.store("second").await.unwrap();
    assert_eq!(store.load().await.unwrap().as_deref(), Some("second"));
    let held = InMemoryMasterTokenStore::holding("held");
    assert_eq!(held.load().await.unwrap().as_deref(), Some("held"));
}

#[tokio::test]
async fn a_plain_hash_fits_its_secret_only() {
    let hash = PlainPasswordHasher.hash("open".to_owned()).await.unwrap();
    let verify =
        |hash: &str, secret: &str| PlainPasswordHasher.verify(hash.to_owned(), secret.to_owned());
    assert!(verify(&hash, "open").await);
    assert!(!verify(&hash, "Open").await);
    assert!(!verify("open", "open").await);
    assert!(!verify("", "").await);
}

#[test]
fn words_are_folded_and_know_their_place() {
    assert_eq!(fold("CAFÉ Cafe\u{301} ﬁn"), "cafe cafe fin");
    let words = words("Ein Café, docs/map_2!");
    let folded: Vec<_> = words.iter().map(|w| w.folded.as_str()).collect();
    assert_eq!(folded, ["ein", "cafe", "docs", "map", "2"]);
    let places: Vec<_> = words.iter().map(|w| w.chars.clone()).collect();
    assert_eq!(places, [0..3, 4..8, 10..14, 15..18, 19..20]);
}
