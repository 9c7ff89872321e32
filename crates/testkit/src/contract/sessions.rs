//! What [`SessionRepository`](majordomo_application::ports::SessionRepository) must do, search apart.

use majordomo_application::ports::{MessageWindow, NewTurn, SearchQuery};
use majordomo_domain::{Channel, Image, ImageSource, Session, SessionTitle, Timestamp};

use super::Stores;
use crate::builders::{answer, at, erasure, session, session_id, turn, user};

async fn find(stores: &Stores, owner: &str, id: &str) -> Option<Session> {
    stores
        .sessions
        .find(&user(owner), &session_id(id))
        .await
        .unwrap()
}

async fn list(stores: &Stores, owner: &str, limit: u32, offset: u32) -> (Vec<String>, u64) {
    let (sessions, total) = stores
        .sessions
        .list(&user(owner), limit, offset)
        .await
        .unwrap();
    let ids = sessions.into_iter().map(|s| s.id.into_string()).collect();
    (ids, total)
}

async fn texts(stores: &Stores, owner: &str, id: &str) -> Vec<String> {
    let messages = stores.all_messages(&user(owner), &session_id(id)).await;
    messages.into_iter().map(|m| m.text).collect()
}

async fn window(stores: &Stores, before: Option<u64>, limit: u32) -> Vec<u64> {
    let window = MessageWindow { before, limit };
    let messages = stores
        .sessions
        .messages(&user("alice"), &session_id("trip"), window)
        .await
        .unwrap();
    messages.into_iter().map(|m| m.seq).collect()
}

/// Accepts a user message as the `number`th turn.
async fn say(stores: &Stores, owner: &str, id: &str, number: u32, text: &str) -> NewTurn {
    let turn = turn(owner, id, number, text);
    stores.journal.accept(turn.clone()).await.unwrap();
    turn
}

/// A session that nobody has stored is absent.
pub async fn an_unknown_session_is_none(stores: Stores) {
    assert_eq!(find(&stores, "alice", "trip").await, None);
    assert_eq!(list(&stores, "alice", 10, 0).await, (Vec::new(), 0));
}

/// What accepting a turn reports is what reading gives.
pub async fn a_session_reads_back_as_accepted(stores: Stores) {
    let turn = turn("alice", "trip", 7, "Pack the bags");
    let accepted = stores.journal.accept(turn).await.unwrap();
    let expected = Session {
        title: SessionTitle::derive("Pack the bags"),
        created_at: at(7),
        updated_at: at(7),
        message_count: 1,
        ..session("alice", "trip")
    };
    assert_eq!(accepted.session, expected);
    assert_eq!(find(&stores, "alice", "trip").await, Some(expected.clone()));
    let listed = stores.sessions.list(&user("alice"), 10, 0).await.unwrap();
    assert_eq!(listed, (vec![expected], 1));
}

/// Every channel is kept.
pub async fn every_channel_reads_back(stores: Stores) {
    for channel in [
        Channel::WebSocket,
        Channel::Api,
        Channel::Cli,
        Channel::Import,
    ] {
        let mut turn = turn("alice", channel.as_str(), 1, "hello");
        turn.session.channel = channel;
        stores.journal.accept(turn).await.unwrap();
        let stored = find(&stores, "alice", channel.as_str()).await.unwrap();
        assert_eq!(stored.channel, channel);
    }
}

/// A session may begin with a model of its own.
pub async fn a_session_keeps_the_model_it_began_with(stores: Stores) {
    let mut turn = turn("alice", "trip", 1, "hello");
    turn.session.model = Some("local/llama/3:8b".to_owned());
    stores.journal.accept(turn).await.unwrap();
    let stored = find(&stores, "alice", "trip").await.unwrap();
    assert_eq!(stored.model.as_deref(), Some("local/llama/3:8b"));
}

/// Session ids are compared byte for byte.
pub async fn ids_that_differ_in_case_are_different(stores: Stores) {
    say(&stores, "alice", "trip", 1, "small").await;
    say(&stores, "alice", "Trip", 2, "large").await;
    assert_eq!(texts(&stores, "alice", "trip").await, ["small"]);
    assert_eq!(texts(&stores, "alice", "Trip").await, ["large"]);
    assert_eq!(find(&stores, "Alice", "trip").await, None);
}

/// Session ids are unique per owner only.
pub async fn two_owners_may_use_the_same_session_id(stores: Stores) {
    say(&stores, "alice", "trip", 1, "to Rome").await;
    say(&stores, "bob", "trip", 2, "to Oslo").await;
    say(&stores, "bob", "trip", 3, "by train").await;
    assert_eq!(texts(&stores, "alice", "trip").await, ["to Rome"]);
    assert_eq!(texts(&stores, "bob", "trip").await, ["to Oslo", "by train"]);
    let (alices, bobs) = (
        find(&stores, "alice", "trip").await.unwrap(),
        find(&stores, "bob", "trip").await.unwrap(),
    );
    assert_eq!((alices.message_count, bobs.message_count), (1, 2));
    assert_eq!((alices.owner, bobs.owner), (user("alice"), user("bob")));
}

/// No method sees or changes another owner's session.
pub async fn another_owners_session_does_not_exist(stores: Stores) {
    say(&stores, "alice", "trip", 1, "secret plans").await;
    let before = find(&stores, "alice", "trip").await;
    let (bob, trip) = (user("bob"), session_id("trip"));
    let title = SessionTitle::choose("Taken").unwrap();
    let sessions = &stores.sessions;

    assert_eq!(sessions.find(&bob, &trip).await.unwrap(), None);
    assert_eq!(list(&stores, "bob", 10, 0).await, (Vec::new(), 0));
    assert!(!sessions.rename(&bob, &trip, &title).await.unwrap());
    assert!(!sessions.set_model(&bob, &trip, Some("a/b")).await.unwrap());
    assert!(!sessions.clear(&bob, &trip, &erasure()).await.unwrap());
    assert!(!sessions.delete(&bob, &trip, &erasure()).await.unwrap());
    assert_eq!(texts(&stores, "bob", "trip").await, Vec::<String>::new());
    let query = SearchQuery {
        text: "secret".to_owned(),
        limit: 10,
    };
    assert_eq!(sessions.search(&bob, &query).await.unwrap(), Vec::new());

    assert_eq!(find(&stores, "alice", "trip").await, before);
    assert_eq!(texts(&stores, "alice", "trip").await, ["secret plans"]);
}

/// Only the first user message names the session.
pub async fn the_title_comes_from_the_first_user_message(stores: Stores) {
    let first = say(&stores, "alice", "trip", 1, "\n  Plan a trip \nto Rome").await;
    stores
        .journal
        .finish(answer(&first, "Gladly"))
        .await
        .unwrap();
    let second = turn("alice", "trip", 2, "By train");
    let accepted = stores.journal.accept(second).await.unwrap();
    assert_eq!(accepted.session.title.as_str(), "Plan a trip");
    assert!(!accepted.session.title.is_chosen());
    let stored = find(&stores, "alice", "trip").await.unwrap();
    assert_eq!(stored.title, accepted.session.title);
}

/// A derived title has at most [`SessionTitle::DERIVED_CHARS`] characters, not bytes.
pub async fn a_long_unicode_title_is_cut_on_a_character(stores: Stores) {
    let text = "Grüße 🦀 ".repeat(40);
    say(&stores, "alice", "trip", 1, &text).await;
    let title = find(&stores, "alice", "trip").await.unwrap().title;
    assert_eq!(title, SessionTitle::derive(&text));
    assert_eq!(title.as_str().chars().count(), SessionTitle::DERIVED_CHARS);
}

/// A picture alone names nothing.
pub async fn a_message_without_text_gives_no_title(stores: Stores) {
    say(&stores, "alice", "trip", 1, "").await;
    let title = find(&stores, "alice", "trip").await.unwrap().title;
    assert_eq!(title, SessionTitle::untitled());
}

/// A session that begins with a chosen title keeps it.
pub async fn a_title_chosen_at_the_beginning_stays(stores: Stores) {
    let mut turn = turn("alice", "trip", 1, "hello");
    turn.session.title = SessionTitle::choose("Rome 2026").unwrap();
    let accepted = stores.journal.accept(turn.clone()).await.unwrap();
    assert_eq!(accepted.session.title, turn.session.title);
    let stored = find(&stores, "alice", "trip").await.unwrap();
    assert_eq!(stored.title, turn.session.title);
}

/// Renaming wins over every later message.
pub async fn a_chosen_title_is_never_replaced(stores: Stores) {
    say(&stores, "alice", "trip", 1, "hello").await;
    let title = SessionTitle::choose("\"Röme\"; DROP TABLE sessions --").unwrap();
    let (alice, trip) = (user("alice"), session_id("trip"));
    assert!(stores.sessions.rename(&alice, &trip, &title).await.unwrap());
    say(&stores, "alice", "trip", 2, "again").await;
    let stored = find(&stores, "alice", "trip").await.unwrap();
    assert_eq!(stored.title, title);
    assert!(stored.title.is_chosen());
}

/// Renaming replaces the title and nothing else, and reports a missing session.
pub async fn renaming_changes_nothing_else(stores: Stores) {
    say(&stores, "alice", "trip", 1, "hello").await;
    say(&stores, "alice", "work", 2, "hello").await;
    let before = find(&stores, "alice", "trip").await.unwrap();
    let title = SessionTitle::choose("Rome").unwrap();
    let (alice, trip) = (user("alice"), session_id("trip"));
    assert!(stores.sessions.rename(&alice, &trip, &title).await.unwrap());
    let renamed = find(&stores, "alice", "trip").await.unwrap();
    assert_eq!(renamed, Session { title, ..before });
    assert_eq!(list(&stores, "alice", 10, 0).await.0, ["work", "trip"]);
    let missing = session_id("missing");
    let title = renamed.title;
    assert!(
        !stores
            .sessions
            .rename(&alice, &missing, &title)
            .await
            .unwrap()
    );
}

/// The session's own model is set, replaced and cleared; nothing else changes.
pub async fn the_sessions_model_can_be_set_and_cleared(stores: Stores) {
    say(&stores, "alice", "trip", 1, "hello").await;
    let before = find(&stores, "alice", "trip").await.unwrap();
    let (alice, trip) = (user("alice"), session_id("trip"));
    for model in [Some("local/a"), Some("cloud/b"), None] {
        let set = stores.sessions.set_model(&alice, &trip, model).await;
        assert!(set.unwrap());
        let expected = Session {
            model: model.map(str::to_owned),
            ..before.clone()
        };
        assert_eq!(find(&stores, "alice", "trip").await, Some(expected));
    }
    let missing = session_id("missing");
    let set = stores.sessions.set_model(&alice, &missing, None).await;
    assert!(!set.unwrap());
}

/// The last active session is first, whatever the order of storing.
pub async fn lists_put_the_last_active_session_first(stores: Stores) {
    for (id, number) in [("b", 20), ("c", 30), ("a", 10)] {
        say(&stores, "alice", id, number, "hello").await;
    }
    let expected = ["c", "b", "a"].map(str::to_owned).to_vec();
    assert_eq!(list(&stores, "alice", 10, 0).await, (expected, 3));
}

/// A message, the user's or the agent's, is activity.
pub async fn a_message_moves_its_session_to_the_front(stores: Stores) {
    let old = say(&stores, "alice", "old", 1, "hello").await;
    say(&stores, "alice", "new", 5, "hello").await;
    assert_eq!(list(&stores, "alice", 10, 0).await.0, ["new", "old"]);
    let mut late = answer(&old, "at last");
    late.finished_at = at(9);
    if let Some(message) = &mut late.message {
        message.created_at = at(9);
    }
    stores.journal.finish(late).await.unwrap();
    assert_eq!(list(&stores, "alice", 10, 0).await.0, ["old", "new"]);
    let stored = find(&stores, "alice", "old").await.unwrap();
    assert_eq!(stored.updated_at, at(9));
    assert_eq!(stored.created_at, at(1));
    say(&stores, "alice", "new", 12, "and now").await;
    assert_eq!(list(&stores, "alice", 10, 0).await.0, ["new", "old"]);
}

/// The total counts all sessions of the owner, on every page.
pub async fn lists_have_a_limit_an_offset_and_a_total(stores: Stores) {
    for number in 1..=5 {
        say(&stores, "alice", &format!("s{number}"), number, "hello").await;
    }
    say(&stores, "bob", "other", 9, "hello").await;
    let page = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(list(&stores, "alice", 2, 0).await, (page(&["s5", "s4"]), 5));
    assert_eq!(list(&stores, "alice", 2, 2).await, (page(&["s3", "s2"]), 5));
    assert_eq!(list(&stores, "alice", 2, 4).await, (page(&["s1"]), 5));
    assert_eq!(list(&stores, "alice", 2, 5).await, (page(&[]), 5));
    assert_eq!(list(&stores, "alice", 2, u32::MAX).await, (page(&[]), 5));
    assert_eq!(list(&stores, "alice", 0, 0).await, (page(&[]), 5));
    assert_eq!(list(&stores, "bob", 10, 0).await, (page(&["other"]), 1));
}

/// Paging through sessions of the same instant shows each of them once.
pub async fn pages_of_equally_old_sessions_do_not_overlap(stores: Stores) {
    for id in ["d", "a", "e", "c", "b"] {
        say(&stores, "alice", id, 1, "hello").await;
    }
    let mut seen = Vec::new();
    for offset in [0, 2, 4] {
        seen.extend(list(&stores, "alice", 2, offset).await.0);
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

/// Messages come oldest first, both sides of the conversation.
pub async fn messages_come_oldest_first(stores: Stores) {
    for number in 1..=3 {
        let turn = say(&stores, "alice", "trip", number, &format!("q{number}")).await;
        let answer = answer(&turn, &format!("a{number}"));
        stores.journal.finish(answer).await.unwrap();
    }
    assert_eq!(
        texts(&stores, "alice", "trip").await,
        ["q1", "a1", "q2", "a2", "q3", "a3"]
    );
    assert_eq!(window(&stores, None, 100).await, [1, 2, 3, 4, 5, 6]);
}

/// A window holds the newest messages below `before`, at most `limit`, oldest first.
pub async fn a_window_holds_the_newest_below_its_end(stores: Stores) {
    for number in 1..=7 {
        say(&stores, "alice", "trip", number, "hello").await;
    }
    assert_eq!(window(&stores, None, 3).await, [5, 6, 7]);
    assert_eq!(window(&stores, Some(5), 3).await, [2, 3, 4]);
    assert_eq!(window(&stores, Some(2), 3).await, [1]);
    assert_eq!(window(&stores, Some(1), 3).await, Vec::<u64>::new());
    assert_eq!(window(&stores, Some(0), 3).await, Vec::<u64>::new());
    assert_eq!(window(&stores, Some(100), 2).await, [6, 7]);
    assert_eq!(window(&stores, Some(u64::MAX), 2).await, [6, 7]);
    assert_eq!(window(&stores, None, 0).await, Vec::<u64>::new());
    assert_eq!(window(&stores, None, u32::MAX).await.len(), 7);
}

/// A missing session has no messages; asking is no error.
pub async fn messages_of_an_unknown_session_are_none(stores: Stores) {
    assert_eq!(window(&stores, None, 10).await, Vec::<u64>::new());
}

/// Text is kept exactly: scripts, combining marks, quotes, line ends, white space, a megabyte.
pub async fn text_reads_back_byte_for_byte(stores: Stores) {
    let long = "0123456789äbcdef".repeat(65_536);
    let expected = [
        "",
        " \t two lines\r\nand a tab\t ",
        "e\u{301} is not \u{e9}",
        "👩‍👩‍👧‍👦 שלום مرحبا 你好 \u{202e}txt",
        r#"'; DROP TABLE messages; -- "$1" ?1 %s \0 \u0041"#,
        "\u{1}\u{1b}[31m\u{feff}\u{fffd}\u{10ffff}",
        &long,
    ];
    for (number, text) in (1..).zip(expected) {
        say(&stores, "alice", "trip", number, text).await;
    }
    let stored = texts(&stores, "alice", "trip").await;
    assert!(stored == expected, "some text was changed");
}

/// Pictures are kept in order, in either form.
pub async fn images_read_back_in_order(stores: Stores) {
    let images = vec![
        Image {
            source: ImageSource::Url("https://example.com/b.png?x=\"1\"&y=ä".to_owned()),
        },
        Image {
            source: ImageSource::Base64 {
                media_type: "image/png".to_owned(),
                data: "iVBORw0KGgo=".to_owned(),
            },
        },
        Image {
            source: ImageSource::Url("https://example.com/a.png".to_owned()),
        },
    ];
    let mut turn = turn("alice", "trip", 1, "look");
    turn.message.images.clone_from(&images);
    stores.journal.accept(turn).await.unwrap();
    say(&stores, "alice", "trip", 2, "no picture").await;
    let messages = stores
        .all_messages(&user("alice"), &session_id("trip"))
        .await;
    let stored: Vec<_> = messages.into_iter().map(|m| m.images).collect();
    assert_eq!(stored, [images, Vec::new()]);
}

/// No time is rounded.
pub async fn times_read_back_to_the_microsecond(stores: Stores) {
    let when = Timestamp::from_micros(1_770_000_000_123_457);
    let mut turn = turn("alice", "trip", 1, "hello");
    turn.session.created_at = when;
    turn.session.updated_at = when;
    turn.message.created_at = when;
    turn.run.created_at = when;
    stores.journal.accept(turn.clone()).await.unwrap();
    let stored = find(&stores, "alice", "trip").await.unwrap();
    assert_eq!((stored.created_at, stored.updated_at), (when, when));
    let messages = stores
        .all_messages(&user("alice"), &session_id("trip"))
        .await;
    assert_eq!(messages.first().map(|m| m.created_at), Some(when));
    let run = stores.journal.find(&user("alice"), &turn.run.id).await;
    assert_eq!(run.unwrap().map(|r| r.created_at), Some(when));
}
