//! What [`SessionRepository::search`](majordomo_application::ports::SessionRepository::search) must do.

use majordomo_application::ports::{SearchHit, SearchQuery};
use majordomo_domain::{Role, SessionTitle};

use super::Stores;
use crate::builders::{answer, at, erasure, session_id, turn, user};

/// Longest snippet, in characters.
const SNIPPET_CHARS: usize = 200;

/// Stores each text as a message of alice's, in one session.
pub(super) async fn say(stores: &Stores, texts: &[&str]) {
    for (number, text) in (1..).zip(texts) {
        say_as(stores, "alice", number, text).await;
    }
}

pub(super) async fn say_as(stores: &Stores, owner: &str, number: u32, text: &str) {
    let turn = turn(owner, "trip", number, text);
    stores.journal.accept(turn).await.unwrap();
}

async fn hits_of(stores: &Stores, owner: &str, text: &str, limit: u32) -> Vec<SearchHit> {
    let query = SearchQuery {
        text: text.to_owned(),
        limit,
    };
    let hits = stores.sessions.search(&user(owner), &query).await.unwrap();
    for hit in &hits {
        assert_well_formed(hit);
    }
    assert!(
        hits.is_sorted_by(|a, b| a.score >= b.score),
        "not best first: {hits:?}"
    );
    hits
}

pub(super) async fn hits(stores: &Stores, text: &str) -> Vec<SearchHit> {
    hits_of(stores, "alice", text, 50).await
}

/// The numbers of alice's messages that match, sorted.
async fn found(stores: &Stores, text: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = hits(stores, text).await.iter().map(number_of).collect();
    numbers.sort_unstable();
    numbers
}

pub(super) fn number_of(hit: &SearchHit) -> u32 {
    let (_, number) = hit.message.as_str().rsplit_once('-').unwrap();
    number.parse().unwrap()
}

pub(super) fn highlighted(hit: &SearchHit) -> Vec<String> {
    let slice = |&(start, end): &(usize, usize)| {
        let piece = hit.snippet.chars().skip(start).take(end - start);
        piece.collect::<String>()
    };
    hit.highlights.iter().map(slice).collect()
}

fn assert_well_formed(hit: &SearchHit) {
    let length = hit.snippet.chars().count();
    assert!(length <= SNIPPET_CHARS, "snippet of {length} characters");
    let mut free = 0;
    for &(start, end) in &hit.highlights {
        assert!(
            free <= start && start < end && end <= length,
            "bad highlights: {hit:?}"
        );
        free = end;
    }
    assert!(hit.score.is_finite());
}

/// A hit carries what a list of hits shows.
pub async fn a_hit_tells_the_message_and_its_session(stores: Stores) {
    let first = turn("alice", "trip", 3, "A lighthouse at the harbour");
    let second = turn("alice", "trip", 8, "something else");
    stores.journal.accept(first.clone()).await.unwrap();
    stores.journal.accept(second).await.unwrap();
    let hits = hits(&stores, "harbour").await;
    let [hit] = hits.as_slice() else {
        panic!("expected one hit, got {hits:?}");
    };
    assert_eq!(hit.session, first.session.id);
    assert_eq!(hit.title, "A lighthouse at the harbour");
    assert_eq!(hit.channel, "api");
    assert_eq!(hit.last_activity, at(8));
    assert_eq!(hit.message, first.message.id);
    assert_eq!(hit.role, Role::User);
    assert_eq!(hit.created_at, at(3));
    assert_eq!(hit.snippet, "A lighthouse at the harbour");
    assert_eq!(highlighted(hit), ["harbour"]);
}

/// What the agent said is searched like what the person said.
pub async fn answers_are_found_too(stores: Stores) {
    let turn = turn("alice", "trip", 1, "Where do ships rest?");
    stores.journal.accept(turn.clone()).await.unwrap();
    let answer = answer(&turn, "In the harbour.");
    stores.journal.finish(answer.clone()).await.unwrap();
    let hits = hits(&stores, "harbour").await;
    let [hit] = hits.as_slice() else {
        panic!("expected one hit, got {hits:?}");
    };
    assert_eq!(hit.role, Role::Assistant);
    assert_eq!(Some(&hit.message), answer.message.as_ref().map(|m| &m.id));
}

/// Words may stand anywhere and in any order, but none may be missing.
pub async fn every_word_must_match(stores: Stores) {
    let texts = [
        "harbour and lantern",
        "only a harbour",
        "only a lantern",
        "the lantern of the old harbour",
    ];
    say(&stores, &texts).await;
    assert_eq!(found(&stores, "harbour lantern").await, [1, 4]);
    assert_eq!(found(&stores, "lantern   harbour\t").await, [1, 4]);
    assert_eq!(found(&stores, "old lantern harbour").await, [4]);
    assert_eq!(
        found(&stores, "harbour lantern whale").await,
        Vec::<u32>::new()
    );
}

/// A search box asks while its user types.
pub async fn the_last_word_matches_as_a_prefix(stores: Stores) {
    say(&stores, &["a harbour at night", "hard rain", "nightly"]).await;
    assert_eq!(found(&stores, "har").await, [1, 2]);
    assert_eq!(found(&stores, "harb").await, [1]);
    assert_eq!(found(&stores, "harbour ni").await, [1]);
    assert_eq!(found(&stores, "NIGHT").await, [1, 3]);
}

/// Words before the last are whole, and a word matches from its beginning.
pub async fn only_the_last_word_matches_as_a_prefix(stores: Stores) {
    say(&stores, &["a harbour at night"]).await;
    assert_eq!(found(&stores, "harb night").await, Vec::<u32>::new());
    assert_eq!(found(&stores, "arbour").await, Vec::<u32>::new());
    assert_eq!(found(&stores, "harbours-end").await, Vec::<u32>::new());
}

/// Letters are compared without case and without marks, in both directions.
pub async fn case_and_diacritics_do_not_matter(stores: Stores) {
    say(
        &stores,
        &["Ein Café in ZÜRICH", "a cafe in zurich", "Cafe\u{301}!"],
    )
    .await;
    for query in ["cafe", "CAFÉ", "café", "cafe\u{301}"] {
        assert_eq!(found(&stores, query).await, [1, 2, 3], "query {query}");
    }
    assert_eq!(found(&stores, "Zürich").await, [1, 2]);
    assert_eq!(found(&stores, "zurich cafe").await, [1, 2]);
}

/// Search is not for Latin letters only.
pub async fn other_scripts_are_found(stores: Stores) {
    say(
        &stores,
        &[
            "Привет, Мир",
            "καλημέρα κόσμε",
            "你好 世界",
            "emoji 🦀 crab",
        ],
    )
    .await;
    assert_eq!(found(&stores, "привет").await, [1]);
    assert_eq!(found(&stores, "МИР").await, [1]);
    assert_eq!(found(&stores, "καλημέρα").await, [2]);
    assert_eq!(found(&stores, "你好").await, [3]);
    assert_eq!(found(&stores, "crab").await, [4]);
}

/// No word is too common to be found.
pub async fn common_words_are_words_too(stores: Stores) {
    say(&stores, &["The Who played", "who played it", "it is not"]).await;
    assert_eq!(found(&stores, "the who").await, [1]);
    assert_eq!(found(&stores, "it").await, [2, 3]);
    assert_eq!(found(&stores, "is not").await, [3]);
}

/// Punctuation of any query language has no meaning.
pub async fn query_syntax_is_plain_text(stores: Stores) {
    say(
        &stores,
        &["lantern at the harbour", "lantern", "text of the harbour"],
    )
    .await;
    for query in [
        "\"harbour\"",
        "harbour*",
        "(harbour",
        "harbour)",
        "^harbour",
        "+harbour",
        "-harbour",
        "!harbour",
        "harbour:*",
        "harbour & ",
        "| harbour",
        "'harbour'",
        "harbour\\",
        "{harbour}",
        "%harbour%",
        "<-> harbour",
    ] {
        assert_eq!(found(&stores, query).await, [1, 3], "query {query}");
    }
    assert_eq!(found(&stores, "text:harbour").await, [3]);
    assert_eq!(found(&stores, "\"harbour lantern\"").await, [1]);
    assert_eq!(found(&stores, "lantern -harbour").await, [1]);
    assert_eq!(found(&stores, "lantern | harbour").await, [1]);
}

/// Words that are operators elsewhere are looked for.
pub async fn operators_are_plain_words(stores: Stores) {
    let texts = [
        "harbour lantern",
        "harbour or lantern",
        "harbour and lantern",
        "harbour not lantern",
        "near harbour lantern",
    ];
    say(&stores, &texts).await;
    assert_eq!(found(&stores, "harbour OR lantern").await, [2]);
    assert_eq!(found(&stores, "harbour AND lantern").await, [3]);
    assert_eq!(found(&stores, "harbour NOT lantern").await, [4]);
    assert_eq!(found(&stores, "NEAR(harbour lantern)").await, [5]);
    assert_eq!(found(&stores, "OR").await, [2]);
}

/// Nothing was asked for, so nothing is found.
pub async fn a_query_without_words_finds_nothing(stores: Stores) {
    say(&stores, &["harbour", "\" * ( ) : -"]).await;
    for query in ["", " ", "\t\n", "*", "\"", "\"\"", "( ) : -", "%"] {
        assert_eq!(found(&stores, query).await, Vec::<u32>::new());
    }
}

/// Parts of file names, addresses and numbers are words, as written and by themselves.
pub async fn words_joined_by_punctuation_are_words(stores: Stores) {
    say(
        &stores,
        &[
            "see docs/harbour-map.txt of version 3.14",
            "write to e.bell@lantern.example or don't",
            "call open_session() in src/main.rs",
        ],
    )
    .await;
    for query in ["harbour", "harbour-map", "docs", "docs/harbour", "3.14"] {
        assert_eq!(found(&stores, query).await, [1], "query {query}");
    }
    for query in ["bell", "lantern", "e.bell@lantern.example", "don't"] {
        assert_eq!(found(&stores, query).await, [2], "query {query}");
    }
    for query in ["open_session", "session", "main.rs", "src/main"] {
        assert_eq!(found(&stores, query).await, [3], "query {query}");
    }
}

/// No query fails.
pub async fn hostile_and_huge_queries_are_harmless(stores: Stores) {
    say(&stores, &["harbour"]).await;
    let many = "harbour ".repeat(500);
    let long = "x".repeat(20_000);
    let quotes = "\"".repeat(999);
    for query in [
        "'; DROP TABLE messages; --",
        "\0",
        "har\0bour",
        "\u{301}\u{301}",
        "\u{10ffff}",
        "\\",
        "$1 ?1 :a @b",
        &long,
        &quotes,
    ] {
        hits(&stores, query).await;
    }
    hits(&stores, &many).await;
    assert_eq!(found(&stores, "harbour").await, [1]);
}

/// Another owner's messages do not exist.
pub async fn other_owners_are_never_seen(stores: Stores) {
    say_as(&stores, "alice", 1, "alices harbour").await;
    say_as(&stores, "bob", 2, "bobs harbour").await;
    for (owner, number) in [("alice", 1), ("bob", 2)] {
        let hits = hits_of(&stores, owner, "harbour", 10).await;
        let numbers: Vec<_> = hits.iter().map(number_of).collect();
        assert_eq!(numbers, [number]);
    }
    assert_eq!(hits_of(&stores, "carol", "harbour", 10).await, Vec::new());
}

/// Owners are compared byte for byte.
pub async fn owners_that_look_alike_are_kept_apart(stores: Stores) {
    let owners = ["user-1", "user-10", "User-1", "user:1", "user", "user.1@x"];
    for (number, owner) in (1..).zip(owners) {
        say_as(&stores, owner, number, "harbour").await;
    }
    for (number, owner) in (1..).zip(owners) {
        let hits = hits_of(&stores, owner, "harbour", 10).await;
        let numbers: Vec<_> = hits.iter().map(number_of).collect();
        assert_eq!(numbers, [number], "hits of {owner}");
    }
}

/// Only text is searched: no identifier matches.
pub async fn the_owners_name_is_not_searched(stores: Stores) {
    say(&stores, &["harbour"]).await;
    let hex = "616c696365";
    for query in ["alice", hex, "api", "user", "trip", "owner", "message"] {
        assert_eq!(found(&stores, query).await, Vec::<u32>::new());
    }
    let both = format!("harbour {hex}");
    assert_eq!(found(&stores, &both).await, Vec::<u32>::new());
}

/// There are never more hits than asked for.
pub async fn the_limit_is_respected(stores: Stores) {
    say(&stores, &["harbour"; 12]).await;
    for limit in [0, 1, 5, 12] {
        let hits = hits_of(&stores, "alice", "harbour", limit).await;
        assert_eq!(hits.len(), usize::try_from(limit).unwrap());
    }
    let all = hits_of(&stores, "alice", "harbour", u32::MAX).await;
    assert_eq!(all.len(), 12);
}

/// A message that is about the word comes before one that mentions it.
pub async fn the_better_match_comes_first(stores: Stores) {
    let aside = format!("{} harbour", "all kinds of other things and ".repeat(20));
    say(&stores, &["harbour, harbour, harbour!", &aside]).await;
    let numbers: Vec<_> = hits(&stores, "harbour")
        .await
        .iter()
        .map(number_of)
        .collect();
    assert_eq!(numbers, [1, 2]);
}

/// Hits show the session as it is, not as it was when the message was stored.
pub async fn a_renamed_session_shows_its_new_title(stores: Stores) {
    say(&stores, &["harbour"]).await;
    let title = SessionTitle::choose("Rome").unwrap();
    let renamed = stores
        .sessions
        .rename(&user("alice"), &session_id("trip"), &title)
        .await;
    assert!(renamed.unwrap());
    let titles: Vec<_> = hits(&stores, "harbour").await;
    let titles: Vec<_> = titles.into_iter().map(|hit| hit.title).collect();
    assert_eq!(titles, ["Rome"]);
}

/// What was removed is not found, and what comes after it is.
pub async fn deleted_and_cleared_messages_are_not_found(stores: Stores) {
    let (alice, trip) = (user("alice"), session_id("trip"));
    say(&stores, &["harbour one", "harbour two"]).await;
    assert!(
        stores
            .sessions
            .clear(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    assert_eq!(found(&stores, "harbour").await, Vec::<u32>::new());
    say_as(&stores, "alice", 3, "harbour three").await;
    assert_eq!(found(&stores, "harbour").await, [3]);
    assert!(
        stores
            .sessions
            .delete(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    assert_eq!(found(&stores, "harbour").await, Vec::<u32>::new());
    say_as(&stores, "alice", 4, "harbour four").await;
    assert_eq!(found(&stores, "harbour").await, [4]);
}
