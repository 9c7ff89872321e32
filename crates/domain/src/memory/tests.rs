//! Fading, merging and the bounds of memories.

use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400;

fn memory(content: &str) -> Memory {
    let now = Timestamp::from_secs(1_770_000_000);
    Memory {
        id: MemoryId::parse("m").unwrap(),
        owner: UserId::operator(),
        content: content.to_owned(),
        summary: Memory::summarize(content),
        kind: MemoryKind::Fact,
        importance: Importance::DEFAULT,
        tags: vec!["a".to_owned()],
        sources: vec![MemorySource::of(MemoryAuthor::User)],
        created_at: now,
        updated_at: now,
        accessed_at: now,
        access_count: 0,
        decayed_at: now,
        revision: 0,
    }
}

fn after(memory: &Memory, secs: i64) -> Timestamp {
    Timestamp::from_secs(memory.decayed_at.as_secs() + secs)
}

#[test]
fn only_what_the_user_said_here_is_trusted() {
    let turn = |role, run: Option<&str>| MemoryTurn {
        message: MessageId::parse("m").unwrap(),
        session: SessionId::parse("s").unwrap(),
        seq: 1,
        role,
        text: "x".to_owned(),
        created_at: Timestamp::EPOCH,
        run: run.map(|run| RunId::parse(run).unwrap()),
    };
    let author = |role, run| turn(role, run).source().author;
    assert_eq!(author(Role::User, Some("r")), MemoryAuthor::User);
    assert_eq!(author(Role::Assistant, Some("r")), MemoryAuthor::Agent);
    for role in [Role::User, Role::Assistant, Role::System] {
        let source = turn(role, None).source();
        assert_eq!(source.author, MemoryAuthor::Import);
        assert_eq!(source.author.trust(), MemoryTrust::Untrusted);
    }
}

#[test]
fn a_day_takes_a_twentieth() {
    let memory = memory("x");
    assert_eq!(memory.faded(after(&memory, DAY - 1)), None);
    let faded = memory.faded(after(&memory, DAY + 100)).unwrap();
    assert!((faded.importance.get() - 0.475).abs() < 1e-12);
    assert_eq!(faded.faded(after(&memory, DAY + 200)), None);
}

#[test]
fn what_is_found_often_fades_slowly() {
    let mut found = memory("x");
    found.access_count = 20;
    let now = after(&found, 30 * DAY);
    let often = found.faded(now).unwrap().importance;
    let never = memory("x").faded(now).unwrap().importance;
    assert!(often > never && often < Importance::DEFAULT);
}

#[test]
fn an_importance_is_between_nothing_and_one() {
    for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(Importance::new(wrong), Err(InvalidImportance));
    }
    assert!((Importance::new(1.0).unwrap().get() - 1.0).abs() < f64::EPSILON);
}

#[test]
fn the_same_words_are_not_said_again() {
    let now = Timestamp::from_secs(1_780_000_000);
    let merged = |one, other| {
        memory(one)
            .merged_with(&memory(other), now)
            .unwrap()
            .content
    };
    let said = "Ann likes green tea";
    for again in [
        "Ann likes green tea.",
        "ann  likes “green tea”!",
        " Ann likes\ngreen tea ",
    ] {
        assert_eq!(merged(said, again), said);
    }
    for (one, other) in [
        (said, "Ann likes green tea?"),
        (said, "Green tea likes Ann"),
        ("Ann writes C++", "Ann writes C#"),
        ("It has 5 degrees", "It has -5 degrees"),
    ] {
        assert_eq!(merged(one, other), format!("{one}{ADDITION}{other}"));
    }
}

#[test]
fn a_merge_keeps_both_and_says_nothing_twice() {
    let now = Timestamp::from_secs(1_780_000_000);
    let mut other = memory("likes green tea");
    other.tags = vec!["b".to_owned(), "a".to_owned()];
    other.sources = vec![MemorySource::of(MemoryAuthor::Agent)];
    other.importance = Importance::new(0.9).unwrap();
    let merged = memory("likes tea").merged_with(&other, now).unwrap();
    assert_eq!(
        merged.content,
        "likes tea\n\nAdditional context: likes green tea"
    );
    assert_eq!(merged.tags, ["a", "b"]);
    assert_eq!(merged.sources.len(), 2);
    assert_eq!(merged.trust(), MemoryTrust::Untrusted);
    assert_eq!(merged.importance, other.importance);
    assert_eq!(merged.merged_with(&other, now).unwrap(), merged);
    assert_eq!(
        memory(&"x".repeat(9_990)).merged_with(&other, now),
        None,
        "growth has an end"
    );
}

proptest! {
    #[test]
    fn fading_in_steps_is_fading_at_once(days in 1_i64..400, split in 0_i64..400, found in 0_u64..1000) {
        let mut memory = memory("x");
        memory.access_count = found;
        let end = after(&memory, days * DAY);
        let between = after(&memory, split.min(days) * DAY);
        let at_once = memory.faded(end).unwrap();
        let first = memory.faded(between).unwrap_or_else(|| memory.clone());
        let in_steps = first.faded(end).unwrap_or(first);
        prop_assert!((at_once.importance.get() - in_steps.importance.get()).abs() < 1e-9);
        prop_assert_eq!(at_once.decayed_at, in_steps.decayed_at);
        prop_assert_eq!(at_once.faded(end), None);
    }

    #[test]
    fn merged_memories_stay_within_their_bounds(a in "(?s).{0,300}", b in "(?s).{0,300}", rounds in 1_usize..60) {
        let now = Timestamp::EPOCH;
        let mut one = memory(&a);
        for round in 0..rounds {
            let mut other = memory(&format!("{b}{round}"));
            other.tags = vec![format!("t{round}")];
            if let Some(merged) = one.merged_with(&other, now) {
                prop_assert!(merged.content.starts_with(&one.content));
                one = merged;
            }
        }
        prop_assert!(one.content.chars().count() <= MAX_CONTENT_CHARS);
        prop_assert!(one.tags.len() <= MAX_TAGS && one.sources.len() <= MAX_SOURCES);
    }

    #[test]
    fn a_summary_is_one_short_line(text in "(?s).{0,500}") {
        let summary = Memory::summarize(&text);
        prop_assert!(summary.chars().count() <= MAX_SUMMARY_CHARS && !summary.contains('\n'));
    }
}
