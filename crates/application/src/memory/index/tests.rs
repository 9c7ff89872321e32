//! What the index finds first, and what it finds no more.

use majordomo_domain::{MemoryId, SessionId, Timestamp};

use super::*;

fn id(number: usize) -> EntryId {
    EntryId::Memory(MemoryId::parse(format!("m{number}")).unwrap())
}

fn index(texts: &[&str]) -> MemoryIndex {
    let mut index = MemoryIndex::default();
    let session = SessionId::parse("s").unwrap();
    for (number, text) in texts.iter().enumerate() {
        put(&mut index, number, text, Some(&session));
    }
    index
}

fn put(index: &mut MemoryIndex, number: usize, text: &str, session: Option<&SessionId>) {
    index.put(NewEntry {
        id: id(number),
        text,
        session,
        created_at: Timestamp::from_secs(i64::try_from(number).unwrap() * 86_400),
        importance: 0.5,
    });
}

fn asking(text: &str) -> RankingQuery<'_> {
    RankingQuery {
        text,
        now: Timestamp::from_secs(30 * 86_400),
        dates: None,
        limit: 10,
        turns: true,
        postings: usize::MAX,
        feedback: true,
    }
}

fn first(index: &MemoryIndex, text: &str) -> Option<EntryId> {
    index.rank(&asking(text)).into_iter().next().map(|r| r.id)
}

#[test]
fn the_entry_with_the_words_comes_first() {
    let index = index(&["I like tea", "The cat sleeps", "We went hiking in the Alps"]);
    assert_eq!(first(&index, "where did they hike?"), Some(id(2)));
    assert_eq!(first(&index, "zebra"), None);
    assert_eq!(first(&index, ""), None);
}

#[test]
fn an_answer_is_found_by_its_question() {
    let index = index(&[
        "Anna: Hello",
        "Anna: What instrument do you play?",
        "Ben: The violin, for ten years",
        "Anna: Lovely weather",
    ]);
    let found = index.rank(&asking("which instrument is played?"));
    let places: Vec<_> = found.iter().map(|ranked| ranked.id.clone()).collect();
    assert!(
        places.iter().position(|place| *place == id(2)) < Some(2),
        "{places:?}"
    );
}

#[test]
fn what_was_removed_or_replaced_is_not_found() {
    let mut index = index(&["green tea", "black tea"]);
    index.remove(&id(0));
    assert_eq!(index.rank(&asking("green tea")).len(), 1);
    put(&mut index, 1, "coffee", None);
    assert_eq!(first(&index, "black tea"), None);
    assert_eq!(first(&index, "coffee"), Some(id(1)));
    assert_eq!(index.len(), 1);
}

#[test]
fn a_named_time_moves_what_was_said_then_forward() {
    let index = index(&["tea with Ann", "tea with Ben", "tea with Tom"]);
    let day = |day: i64| Timestamp::from_secs(day * 86_400);
    for expected in 0..3 {
        let query = RankingQuery {
            dates: i64::try_from(expected).ok().map(|d| (day(d), day(d + 1))),
            ..asking("tea")
        };
        assert_eq!(index.rank(&query).first().unwrap().id, id(expected));
    }
}

#[test]
fn importance_decides_between_equals() {
    let mut index = index(&["tea", "tea"]);
    index.put(NewEntry {
        id: id(0),
        text: "tea",
        session: None,
        created_at: Timestamp::EPOCH,
        importance: 1.0,
    });
    assert_eq!(first(&index, "tea"), Some(id(0)));
}

proptest::proptest! {
    #[test]
    fn any_question_has_at_most_the_answers_asked_for(
        texts in proptest::collection::vec("[a-e ?:]{0,20}", 0..40),
        question in "[a-e ?]{0,20}",
        limit in 0_usize..12,
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let index = index(&texts);
        let found = index.rank(&RankingQuery { limit, ..asking(&question) });
        proptest::prop_assert!(found.len() <= limit);
        proptest::prop_assert!(found.windows(2).all(|w| w[0].score >= w[1].score));
        proptest::prop_assert!(found.iter().all(|r| r.score.is_finite() && r.coverage <= 1.001));
    }
}
