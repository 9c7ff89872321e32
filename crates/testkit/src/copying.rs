//! What every [`DatabaseCopy`] must keep to, for stores that are filled with texts that are hard to copy.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a step that fails, fails the test"
)]

use std::collections::BTreeMap;

use majordomo_application::ports::{
    CopyError, CopyStep, DatabaseCopy, RunJournal, SearchQuery, SessionRepository,
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::builders::{answer, session_id, turn, user};

/// Turns that [`fill`] stores in each of its sessions.
const TURNS: u32 = 30;

/// Texts in which some storage or JSON writer may lose something.
const TEXTS: [&str; 6] = [
    "zebra",
    "line\nfeed, tab\t, quote \" and ' and back\\slash \\u0000",
    "nul \0 and escape \u{10FFFE}0 \u{10FFFE}",
    "🦓 ünïcödé \u{2028}\u{7f}\u{1}",
    "[\"json\", null, {\"a\": 1e400}]",
    "",
];

/// Stores sessions of two owners.
///
/// # Panics
/// When something cannot be stored.
pub async fn fill(journal: &dyn RunJournal) {
    for owner in ["alice", "bob"] {
        for number in 1..=TURNS {
            let text = TEXTS[number as usize % TEXTS.len()];
            let turn = turn(owner, "trip", number, &format!("{text}{number}"));
            journal.accept(turn.clone()).await.unwrap();
            journal.finish(answer(&turn, text)).await.unwrap();
        }
    }
}

/// All steps of an export.
///
/// # Panics
/// When it fails.
pub async fn export(copy: &dyn DatabaseCopy) -> Vec<CopyStep> {
    let (sender, mut receiver) = mpsc::channel(2);
    let collect = async {
        let mut steps = Vec::new();
        while let Some(step) = receiver.recv().await {
            steps.push(step);
        }
        steps
    };
    let (exported, steps) = tokio::join!(copy.export(sender), collect);
    exported.unwrap();
    assert_eq!(steps.last(), Some(&CopyStep::Complete));
    steps
}

/// Imports these steps.
pub async fn import(
    copy: &dyn DatabaseCopy,
    steps: Vec<CopyStep>,
    replace: bool,
) -> Result<(), CopyError> {
    let (sender, receiver) = mpsc::channel(2);
    let send = async move {
        for step in steps {
            // The receiver may have given up.
            let _ = sender.send(step).await;
        }
    };
    tokio::join!(copy.import(receiver, replace), send).0
}

/// The rows of a copy by table, in an order of their own.
///
/// # Panics
/// When a row is not JSON.
pub fn rows(steps: &[CopyStep]) -> BTreeMap<String, Vec<String>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for step in steps {
        let CopyStep::Part(part) = step else { continue };
        let rows = tables.entry(part.table.clone()).or_default();
        let before = rows.len();
        for line in std::str::from_utf8(&part.lines).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            rows.push(row.to_string());
        }
        assert_eq!((rows.len() - before) as u64, part.rows);
    }
    for rows in tables.values_mut() {
        rows.sort();
    }
    tables
}

/// `target`, an empty or foreign database, becomes what `source` is, whatever the two are.
///
/// # Panics
/// When it does not.
pub async fn a_copy_is_the_same(source: &dyn DatabaseCopy, target: &dyn DatabaseCopy) {
    let steps = export(source).await;
    assert_eq!(rows(&steps)["messages"].len(), 4 * TURNS as usize);
    import(target, steps.clone(), true).await.unwrap();
    let again = export(target).await;
    assert_eq!(rows(&again), rows(&steps));
    assert_eq!(again.first(), steps.first(), "the schemas differ");
}

/// What was copied is found and read as it was said.
///
/// # Panics
/// When it is not.
pub async fn the_copy_can_be_used(sessions: &dyn SessionRepository) {
    let alice = user("alice");
    let query = SearchQuery {
        text: "zebra".to_owned(),
        limit: 50,
    };
    let hits = sessions.search(&alice, &query).await.unwrap();
    // Half of them are questions, in which a number follows; beginnings of words are found, too.
    assert_eq!(hits.len(), 2 * TURNS as usize / TEXTS.len());
    let window = majordomo_application::ports::MessageWindow::newest(100);
    let messages = sessions
        .messages(&alice, &session_id("trip"), window)
        .await
        .unwrap();
    let said: Vec<&str> = messages
        .iter()
        .skip(1)
        .step_by(2)
        .map(|message| message.text.as_str())
        .collect();
    let expected: Vec<&str> = (1..=TURNS as usize)
        .map(|number| TEXTS[number % TEXTS.len()])
        .collect();
    assert_eq!(said, expected);
}

/// A copy that ends early, one of a newer program and one that does not fit leave the database as it was; so does one
/// that is not told to replace.
///
/// # Panics
/// When something changes.
pub async fn a_failed_import_changes_nothing(filled: &dyn DatabaseCopy) {
    let steps = export(filled).await;
    let refused = import(filled, steps.clone(), false).await;
    assert!(matches!(refused, Err(CopyError::Occupied)), "{refused:?}");

    let mut cut = steps.clone();
    cut.pop();
    let refused = import(filled, cut, true).await;
    assert!(matches!(refused, Err(CopyError::Incomplete)), "{refused:?}");

    let mut newer = steps.clone();
    let Some(CopyStep::Schema(schema)) = newer.first_mut() else {
        panic!("a copy begins with its schema");
    };
    schema.migrations.push("99990101000000".to_owned());
    let refused = import(filled, newer, true).await;
    assert!(
        matches!(refused, Err(CopyError::NewerSchema { .. })),
        "{refused:?}"
    );

    let mut foreign = steps.clone();
    let Some(CopyStep::Schema(schema)) = foreign.first_mut() else {
        panic!("a copy begins with its schema");
    };
    "x\" (a); DROP TABLE messages; --".clone_into(&mut schema.tables[0].name);
    let refused = import(filled, foreign, true).await;
    assert!(
        matches!(refused, Err(CopyError::Mismatch(_))),
        "{refused:?}"
    );

    let mut short = steps.clone();
    for step in &mut short {
        if let CopyStep::Part(part) = step {
            part.rows += 1;
        }
    }
    let refused = import(filled, short, true).await;
    assert!(
        matches!(refused, Err(CopyError::Mismatch(_))),
        "{refused:?}"
    );

    assert_eq!(rows(&export(filled).await), rows(&steps));
}
