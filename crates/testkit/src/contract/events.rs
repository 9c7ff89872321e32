//! What [`RunJournal`](majordomo_application::ports::RunJournal) must do with the events of a run.

use futures_util::future::join_all;
use majordomo_application::ports::{Durability, NewTurn};
use majordomo_domain::{
    Hop, Outcome, RunEvent, RunEventKind, RunStatus, ToolCall, ToolOutput, Usage,
};

use super::{Stores, assert_conflict};
use crate::builders::{
    erasure, event, memory_id, message_id, run_id, session_id, text_event, turn, user,
};

/// A running turn with its first event stored.
async fn running(stores: &Stores, session: &str) -> NewTurn {
    let turn = turn("alice", session, 1, "hello");
    stores.journal.accept(turn.clone()).await.unwrap();
    turn
}

async fn read(stores: &Stores, turn: &NewTurn, after: u64, limit: u32) -> Vec<RunEvent> {
    let events = stores.journal.events(&turn.run.id, after, limit).await;
    events.unwrap()
}

async fn append(stores: &Stores, turn: &NewTurn, events: &[RunEvent]) {
    stores
        .journal
        .append(&turn.run.id, events.to_vec(), Durability::Written)
        .await
        .unwrap();
}

/// A journal that does not exist is empty.
pub async fn an_unknown_run_has_no_events(stores: Stores) {
    let events = stores.journal.events(&run_id("missing"), 0, 10).await;
    assert_eq!(events.unwrap(), Vec::new());
}

fn every_kind() -> Vec<RunEventKind> {
    let outcome = |status| Outcome {
        status,
        message: None,
        model: None,
        usage: Usage::default(),
        reason: "cancelled".to_owned(),
        error: None,
    };
    vec![
        RunEventKind::Hop(Hop {
            model: "cloud/big".to_owned(),
            code: "rate_limited".to_owned(),
            message: "Too many \"requests\".".to_owned(),
        }),
        RunEventKind::Text("Grüße".to_owned()),
        RunEventKind::Recalled(vec![memory_id("m-1"), memory_id("m-2")]),
        RunEventKind::Reasoning("hm …\n".to_owned()),
        RunEventKind::ToolCalled(ToolCall {
            id: "call_1".to_owned(),
            name: "calculator".to_owned(),
            arguments: "{ \"b\": 1.0,\n  \"a\": [\"\\u0041\"], \"b\": 2 }".to_owned(),
        }),
        RunEventKind::ToolCalled(ToolCall {
            id: "call_2".to_owned(),
            name: "broken".to_owned(),
            arguments: "{not json".to_owned(),
        }),
        RunEventKind::ToolReturned(ToolOutput {
            call_id: "call_1".to_owned(),
            name: "calculator".to_owned(),
            content: "2".to_owned(),
            is_error: false,
        }),
        RunEventKind::ToolReturned(ToolOutput {
            call_id: "call_2".to_owned(),
            name: "broken".to_owned(),
            content: String::new(),
            is_error: true,
        }),
        RunEventKind::Finished(outcome(RunStatus::Stopped)),
        RunEventKind::Finished(outcome(RunStatus::Interrupted)),
        RunEventKind::Finished(Outcome {
            status: RunStatus::Completed,
            message: Some(message_id("answer-1")),
            model: Some("local/llama/3:8b".to_owned()),
            usage: Usage {
                input_tokens: 9_000_000_000,
                output_tokens: 7,
                cached_input_tokens: 8_000_000_000,
            },
            reason: "stop".to_owned(),
            error: None,
        }),
        RunEventKind::Finished(Outcome {
            error: Some("The model cannot be reached.".to_owned()),
            ..outcome(RunStatus::Failed)
        }),
    ]
}

/// Every kind of event, with every optional part present and absent, reads back equal.
pub async fn every_kind_of_event_reads_back(stores: Stores) {
    let turn = running(&stores, "trip").await;
    let events: Vec<_> = (2..)
        .zip(every_kind())
        .map(|(seq, kind)| event(seq, kind))
        .collect();
    append(&stores, &turn, &events).await;
    assert_eq!(read(&stores, &turn, 1, 100).await, events);
}

/// However events are batched, reading from any position with any limit gives exactly them.
pub async fn boundaries_survive_at_every_position(stores: Stores) {
    let turn = running(&stores, "trip").await;
    let mut all = turn.events.clone();
    for (index, size) in [1_u64, 3, 2, 5, 1, 4].into_iter().enumerate() {
        let first = all.last().unwrap().seq + 1;
        let batch: Vec<_> = (first..first + size)
            .map(|seq| text_event(seq, &format!("piece {seq} ")))
            .collect();
        let durability = if index % 2 == 0 {
            Durability::Written
        } else {
            Durability::Flushed
        };
        stores
            .journal
            .append(&turn.run.id, batch.clone(), durability)
            .await
            .unwrap();
        all.extend(batch);
    }
    assert_eq!(all.len(), 17);
    for after in 0..=18_u64 {
        for limit in [0, 1, 2, 3, 5, 16, 17, 100, u32::MAX] {
            let expected: Vec<_> = all
                .iter()
                .filter(|e| e.seq > after)
                .take(usize::try_from(limit).unwrap())
                .cloned()
                .collect();
            let got = read(&stores, &turn, after, limit).await;
            assert_eq!(got, expected, "after {after}, limit {limit}");
        }
    }
    assert_eq!(read(&stores, &turn, u64::MAX, 10).await, Vec::new());
}

/// Neighbouring pieces stay apart, and no piece is changed.
pub async fn pieces_are_never_merged_or_normalised(stores: Stores) {
    let turn = running(&stores, "trip").await;
    let pieces = [
        "e",
        "\u{301}",
        "👩",
        "\u{200d}",
        "👩",
        " ",
        " ",
        "\r",
        "\n",
        "\0",
        "\u{1f}",
        "\\u0000",
        "\"",
        "same",
        "same",
        "\u{feff}",
        "\u{2028}",
        "\u{10ffff}",
    ];
    let events: Vec<_> = (2..)
        .zip(pieces)
        .map(|(seq, piece)| text_event(seq, piece))
        .collect();
    for one in &events {
        append(&stores, &turn, std::slice::from_ref(one)).await;
    }
    assert_eq!(read(&stores, &turn, 1, 100).await, events);
}

/// A position is written once.
pub async fn a_taken_seq_is_a_conflict(stores: Stores) {
    let turn = running(&stores, "trip").await;
    append(&stores, &turn, &[text_event(2, "a"), text_event(3, "b")]).await;
    for seq in 1..=3 {
        for durability in [Durability::Written, Durability::Flushed] {
            let other = vec![text_event(seq, "other")];
            let result = stores.journal.append(&turn.run.id, other, durability);
            assert_conflict(result.await);
        }
    }
    append(&stores, &turn, &[text_event(4, "c")]).await;
    let texts: Vec<_> = read(&stores, &turn, 1, 10).await;
    assert_eq!(
        texts,
        [text_event(2, "a"), text_event(3, "b"), text_event(4, "c")]
    );
}

/// A batch is stored whole or not at all.
pub async fn a_batch_with_a_taken_seq_stores_nothing(stores: Stores) {
    let turn = running(&stores, "trip").await;
    append(&stores, &turn, &[text_event(2, "a"), text_event(3, "b")]).await;
    let batch = vec![text_event(3, "x"), text_event(4, "y"), text_event(5, "z")];
    let result = stores
        .journal
        .append(&turn.run.id, batch, Durability::Flushed);
    assert_conflict(result.await);
    assert_eq!(read(&stores, &turn, 0, 10).await.len(), 3);
    append(&stores, &turn, &[text_event(4, "c")]).await;
    assert_eq!(read(&stores, &turn, 3, 10).await, [text_event(4, "c")]);
}

/// Of writers that race for a position one succeeds and the others learn of it.
pub async fn one_of_two_writers_of_the_same_seq_wins(stores: Stores) {
    let turn = running(&stores, "trip").await;
    let tasks = (0..8).map(|writer| {
        let (journal, run) = (stores.journal.clone(), turn.run.id.clone());
        tokio::spawn(async move {
            let batch = vec![text_event(2, &format!("writer {writer}"))];
            journal.append(&run, batch, Durability::Written).await
        })
    });
    let mut won = 0;
    for result in join_all(tasks).await {
        match result.unwrap() {
            Ok(()) => won += 1,
            lost => assert_conflict(lost),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(read(&stores, &turn, 1, 10).await.len(), 1);
}

/// An empty batch changes nothing.
pub async fn appending_nothing_is_no_error(stores: Stores) {
    let turn = running(&stores, "trip").await;
    append(&stores, &turn, &[]).await;
    assert_eq!(read(&stores, &turn, 0, 10).await, turn.events);
    append(&stores, &turn, &[text_event(2, "a")]).await;
    assert_eq!(read(&stores, &turn, 1, 10).await, [text_event(2, "a")]);
}

/// Each run has a journal of its own.
pub async fn journals_do_not_mix(stores: Stores) {
    let (trip, work) = (
        running(&stores, "trip").await,
        running(&stores, "work").await,
    );
    append(&stores, &trip, &[text_event(2, "trip")]).await;
    append(&stores, &work, &[text_event(2, "work")]).await;
    append(&stores, &trip, &[text_event(3, "more")]).await;
    assert_eq!(
        read(&stores, &trip, 1, 10).await,
        [text_event(2, "trip"), text_event(3, "more")]
    );
    assert_eq!(read(&stores, &work, 1, 10).await, [text_event(2, "work")]);
}

/// A tool may answer with a megabyte.
pub async fn a_large_event_reads_back(stores: Stores) {
    let turn = running(&stores, "trip").await;
    let large = event(
        2,
        RunEventKind::ToolReturned(ToolOutput {
            call_id: "call_1".to_owned(),
            name: "read".to_owned(),
            content: "zeile für zeile\n".repeat(65_536),
            is_error: false,
        }),
    );
    append(&stores, &turn, std::slice::from_ref(&large)).await;
    assert!(read(&stores, &turn, 1, 10).await == [large]);
}

/// A run whose session was deleted takes no more events, whatever the writer is told.
pub async fn appending_to_a_deleted_run_stores_nothing(stores: Stores) {
    let turn = running(&stores, "trip").await;
    let deleted = stores
        .sessions
        .delete(&user("alice"), &session_id("trip"), &erasure())
        .await;
    assert!(deleted.unwrap());
    let events = vec![text_event(2, "too late")];
    let outcome = stores
        .journal
        .append(&turn.run.id, events, Durability::Written)
        .await;
    assert_eq!(
        read(&stores, &turn, 0, 10).await,
        Vec::new(),
        "stored although the run is gone; the writer was told {outcome:?}"
    );
}
