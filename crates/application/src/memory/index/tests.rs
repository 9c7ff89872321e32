//! What the index finds first, and what it finds no more.

use majordomo_domain::{MemoryId, SessionId, Timestamp};

use super::*;
use crate::ports::NearVector;

fn id(number: usize) -> RememberedId {
    RememberedId::Memory(MemoryId::parse(format!("m{number}")).unwrap())
}

fn index(texts: &[&str]) -> MemoryIndex {
    let mut index = MemoryIndex::default();
    index.clear_vectors(usize::MAX);
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

fn first(index: &MemoryIndex, text: &str) -> Option<RememberedId> {
    index
        .find(&asking(text), &Meaning::Unknown)
        .into_iter()
        .next()
        .map(|r| r.id)
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
    let found = index.find(&asking("which instrument is played?"), &Meaning::Unknown);
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
        assert_eq!(
            index.find(&query, &Meaning::Unknown).first().unwrap().id,
            id(expected)
        );
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

#[test]
fn both_rankings_count_and_a_neighbour_in_meaning_helps() {
    let mut index = index(&["tea", "tea and cake", "rain", "snow"]);
    for (number, vector) in [[0.0, 1.0], [0.0, 1.0], [1.0, 0.2], [0.5, 1.0]]
        .iter()
        .enumerate()
    {
        index.put_vector(&id(number), vector);
    }
    let found = index.find(&asking("tea"), &Meaning::Vector(vec![1.0, 0.0]));
    let places: Vec<_> = found.iter().map(|found| found.id.clone()).collect();
    assert_eq!(places.len(), 4);
    let best = &found[0];
    assert!(best.words_rank.is_some() && best.meaning_rank.is_some());
    let rain = found.iter().find(|found| found.id == id(2)).unwrap();
    assert_eq!(rain.meaning_rank, Some(1));
    let snow = found.iter().find(|found| found.id == id(3)).unwrap();
    assert_eq!(snow.meaning_rank, Some(2));
    // A vector that cannot be compared changes nothing.
    let plain = index.find(&asking("tea"), &Meaning::Unknown);
    assert_eq!(
        index.find(&asking("tea"), &Meaning::Vector(vec![1.0])),
        plain
    );
    assert!(plain.iter().all(|found| found.similarity.is_none()));
}

#[test]
fn an_entry_keeps_its_vector_until_it_gets_another_one_or_goes() {
    let mut index = index(&["green tea", "black tea"]);
    let asked = [1.0_f32, 0.0];
    let similarity = |index: &MemoryIndex, number: usize| {
        let found = index.find(&asking("something else"), &Meaning::Vector(asked.to_vec()));
        let found = found.into_iter().find(|found| found.id == id(number));
        found.and_then(|found| found.similarity)
    };
    index.put_vector(&id(0), &[1.0, 0.0]);
    index.put_vector(&id(1), &[1.0, 1.0]);
    index.put_vector(&id(7), &[1.0, 1.0]);
    put(&mut index, 0, "coffee", None);
    assert!(similarity(&index, 0).unwrap() > 0.99);
    index.put_vector(&id(0), &[0.0, 1.0]);
    assert!(similarity(&index, 0).unwrap() < 0.01);
    index.remove(&id(0));
    assert_eq!(similarity(&index, 0), None);
    assert!((0.7..0.72).contains(&similarity(&index, 1).unwrap()));
    index.clear_vectors(usize::MAX);
    assert_eq!(similarity(&index, 1), None);
    // Another space has vectors of another length.
    index.put_vector(&id(1), &[1.0, 0.0, 0.0]);
    assert_eq!(
        index
            .find(&asking("else"), &Meaning::Vector(vec![1.0, 0.0, 0.0]))
            .len(),
        1
    );
}

#[test]
fn vectors_without_room_are_left_out_and_missed() {
    let mut index = index(&["green tea", "black tea"]);
    assert!(!index.lacks_vectors());
    index.clear_vectors(1);
    index.put_vector(&id(0), &[1.0, 0.0]);
    assert!(!index.lacks_vectors());
    index.put_vector(&id(1), &[1.0, 0.0]);
    assert!(index.lacks_vectors());
    index.clear_vectors(0);
    assert!(index.lacks_vectors());
}

#[test]
fn what_storage_finds_the_nearest_ranks_as_the_own_vectors_do() {
    let mut index = index(&["tea", "tea and cake", "rain", "snow"]);
    let mut nearest = Vec::new();
    for (number, similarity) in [(2, 0.98), (3, 0.45), (1, 0.0), (0, 0.0)] {
        let across = (1.0_f32 - similarity * similarity).sqrt();
        index.put_vector(&id(number), &[similarity, across]);
        let of = id(number);
        nearest.push(NearVector { of, similarity });
    }
    let by_index = index.find(&asking("tea"), &Meaning::Vector(vec![1.0, 0.0]));
    let by_storage = index.find(&asking("tea"), &Meaning::Nearest(nearest));
    let places = |found: &[FoundEntry]| -> Vec<_> {
        let found = found.iter();
        let places = found.map(|f| (f.id.clone(), f.words_rank, f.meaning_rank));
        places.collect()
    };
    assert_eq!(places(&by_storage), places(&by_index));
    assert_eq!(by_storage[0].similarity, Some(0.0));
}

#[test]
fn what_storage_finds_beyond_the_index_is_an_answer() {
    let index = index(&["tea", "rain"]);
    let near = |number, similarity| NearVector {
        of: id(number),
        similarity,
    };
    let nearest = Meaning::Nearest(vec![near(7, 0.9), near(1, 0.5), near(8, 0.4)]);
    let found = index.find(&asking("snow"), &nearest);
    let found: Vec<_> = found.into_iter().map(|f| (f.id, f.similarity)).collect();
    let expected = [(7, 0.9), (1, 0.5), (8, 0.4)].map(|(n, s)| (id(n), Some(s)));
    assert_eq!(found, expected);
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
        let found = index.find(&RankingQuery { limit, ..asking(&question) }, &Meaning::Unknown);
        proptest::prop_assert!(found.len() <= limit);
        proptest::prop_assert!(found.windows(2).all(|w| w[0].score >= w[1].score));
        proptest::prop_assert!(found.iter().all(|r| r.score.is_finite() && r.coverage <= 1.001));
    }
}
