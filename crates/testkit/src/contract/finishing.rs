//! What [`RunJournal::finish`](majordomo_application::ports::RunJournal::finish) must do.

use futures_util::future::join_all;
use majordomo_application::ports::{Answer, NewTurn, SearchQuery};
use majordomo_domain::{Message, MessageStatus, Run, RunId, RunStatus, Session};

use super::{Stores, assert_conflict};
use crate::builders::{
    answer, at, erasure, event, message_id, queued, run_id, session_id, text_event, turn, user,
};

async fn accept(stores: &Stores, session: &str, number: u32) -> NewTurn {
    let turn = turn("alice", session, number, &format!("question {number}"));
    stores.journal.accept(turn.clone()).await.unwrap();
    turn
}

async fn finish(stores: &Stores, answer: Answer) {
    stores.journal.finish(answer).await.unwrap();
}

/// Everything a store knows about a turn.
#[derive(Debug, PartialEq)]
struct Picture {
    session: Option<Session>,
    messages: Vec<Message>,
    run: Option<Run>,
    events: Vec<majordomo_domain::RunEvent>,
}

async fn picture(stores: &Stores, turn: &NewTurn) -> Picture {
    let (owner, session) = (&turn.session.owner, &turn.session.id);
    Picture {
        session: stores.sessions.find(owner, session).await.unwrap(),
        messages: stores.all_messages(owner, session).await,
        run: stores.journal.find(owner, &turn.run.id).await.unwrap(),
        events: stores.journal.events(&turn.run.id, 0, 100).await.unwrap(),
    }
}

async fn unfinished(stores: &Stores) -> Vec<RunId> {
    let runs = stores.journal.unfinished().await.unwrap();
    runs.into_iter().map(|run| run.id).collect()
}

/// One transaction stores the last events, the status and the answer, and moves the session's count and activity.
pub async fn finishing_stores_status_events_and_answer(stores: Stores) {
    let turn = accept(&stores, "trip", 1).await;
    let answer = answer(&turn, "Gerne 🏛");
    finish(&stores, answer.clone()).await;
    let after = picture(&stores, &turn).await;

    let session = after.session.unwrap();
    assert_eq!(session.message_count, 2);
    assert_eq!(session.updated_at, answer.finished_at);
    assert_eq!(session.title.as_str(), "question 1");
    let expected = Message {
        seq: 2,
        ..answer.message.clone().unwrap()
    };
    assert_eq!(after.messages.last(), Some(&expected));
    assert_eq!(after.messages.len(), 2);
    let run = Run {
        status: RunStatus::Completed,
        finished_at: Some(answer.finished_at),
        ..turn.run.clone()
    };
    assert_eq!(after.run, Some(run));
    assert_eq!(after.events, [turn.events, answer.events].concat());
    assert_eq!(unfinished(&stores).await, Vec::new());
}

/// A run that failed before it said anything leaves no empty message.
pub async fn finishing_without_a_message_counts_none(stores: Stores) {
    let turn = accept(&stores, "trip", 1).await;
    let silent = Answer {
        status: RunStatus::Failed,
        message: None,
        ..answer(&turn, "")
    };
    finish(&stores, silent.clone()).await;
    let after = picture(&stores, &turn).await;
    assert_eq!(after.session.unwrap().message_count, 1);
    assert_eq!(after.messages.len(), 1);
    assert_eq!(after.events.len(), 3);
    let run = after.run.unwrap();
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.finished_at, Some(silent.finished_at));
    let next = turn_two(&stores).await;
    assert_eq!(next, 2);
}

async fn turn_two(stores: &Stores) -> u64 {
    let next = turn("alice", "trip", 2, "question 2");
    stores.journal.accept(next).await.unwrap().seq
}

/// Every final status is kept and none of them is unfinished.
pub async fn every_final_status_reads_back(stores: Stores) {
    let statuses = [
        RunStatus::Completed,
        RunStatus::Stopped,
        RunStatus::Interrupted,
        RunStatus::Failed,
    ];
    for (number, status) in (1..).zip(statuses) {
        let turn = accept(&stores, "trip", number).await;
        finish(
            &stores,
            Answer {
                status,
                ..answer(&turn, "reply")
            },
        )
        .await;
        let run = picture(&stores, &turn).await.run.unwrap();
        assert_eq!(run.status, status);
    }
    assert_eq!(unfinished(&stores).await, Vec::new());
}

/// A message says whether it is whole.
pub async fn a_partial_answer_keeps_its_mark(stores: Stores) {
    let marks = [
        MessageStatus::Complete,
        MessageStatus::Stopped,
        MessageStatus::Interrupted,
    ];
    for (number, status) in (1..).zip(marks) {
        let turn = accept(&stores, "trip", number).await;
        let mut answer = answer(&turn, "half a sen");
        answer.message.as_mut().unwrap().status = status;
        finish(&stores, answer).await;
        let messages = picture(&stores, &turn).await.messages;
        assert_eq!(messages.last().map(|m| m.status), Some(status));
    }
}

/// An answer may have neither model nor usage: absent is not zero.
pub async fn an_answer_without_usage_reads_back(stores: Stores) {
    let turn = accept(&stores, "trip", 1).await;
    let mut bare = answer(&turn, "reply");
    let message = bare.message.as_mut().unwrap();
    message.model = None;
    message.usage = None;
    finish(&stores, bare.clone()).await;
    let stored = picture(&stores, &turn).await.messages.pop();
    let expected = Message {
        seq: 2,
        ..bare.message.unwrap()
    };
    assert_eq!(stored, Some(expected));

    let turn = accept(&stores, "trip", 2).await;
    let mut free = answer(&turn, "reply");
    free.message.as_mut().unwrap().usage = Some(majordomo_domain::Usage::default());
    finish(&stores, free.clone()).await;
    let stored = picture(&stores, &turn).await.messages.pop();
    assert_eq!(stored.unwrap().usage, free.message.unwrap().usage);
}

/// A run that waits can be stopped before it starts; its journal then begins with the end.
pub async fn a_queued_run_can_end_without_starting(stores: Stores) {
    let turn = queued(turn("alice", "trip", 1, "hello"));
    stores.journal.accept(turn.clone()).await.unwrap();
    let mut stopped = Answer {
        status: RunStatus::Stopped,
        message: None,
        ..answer(&turn, "")
    };
    let end = stopped.events.pop().unwrap();
    stopped.events = vec![event(1, end.kind)];
    finish(&stores, stopped.clone()).await;
    let after = picture(&stores, &turn).await;
    assert_eq!(after.run.unwrap().status, RunStatus::Stopped);
    assert_eq!(after.events, stopped.events);
    assert_eq!(unfinished(&stores).await, Vec::new());
}

/// The first end counts.
pub async fn ending_an_ended_run_changes_nothing(stores: Stores) {
    let turn = accept(&stores, "trip", 1).await;
    let first = answer(&turn, "reply");
    finish(&stores, first.clone()).await;
    let before = picture(&stores, &turn).await;
    finish(&stores, first.clone()).await;
    assert_eq!(picture(&stores, &turn).await, before);

    let mut other = Answer {
        status: RunStatus::Failed,
        finished_at: at(99),
        events: vec![text_event(4, "late")],
        ..first
    };
    let message = other.message.as_mut().unwrap();
    message.id = message_id("another-answer");
    message.created_at = at(99);
    finish(&stores, other).await;
    assert_eq!(picture(&stores, &turn).await, before);
}

/// Of ends that race one is stored.
pub async fn concurrent_ends_store_one_answer(stores: Stores) {
    let turn = accept(&stores, "trip", 1).await;
    let tasks = (0..8).map(|writer| {
        let journal = stores.journal.clone();
        let mut answer = answer(&turn, &format!("writer {writer}"));
        answer.message.as_mut().unwrap().id = message_id(&format!("answer-{writer}"));
        tokio::spawn(async move { journal.finish(answer).await })
    });
    for result in join_all(tasks).await {
        result.unwrap().unwrap();
    }
    let after = picture(&stores, &turn).await;
    assert_eq!(after.messages.len(), 2);
    assert_eq!(after.session.unwrap().message_count, 2);
    let seqs: Vec<_> = after.events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [1, 2, 3]);
    let winner = after.messages.last().unwrap();
    assert_eq!(after.events.get(1), Some(&text_event(2, &winner.text)));
}

/// Answers and messages that arrive at the same time get distinct, consecutive positions.
pub async fn concurrent_ends_and_turns_share_the_positions(stores: Stores) {
    let mut turns = Vec::new();
    for number in 1..=8 {
        turns.push(accept(&stores, "trip", number).await);
    }
    let ends = turns.iter().map(|turn| {
        let (journal, answer) = (stores.journal.clone(), answer(turn, "reply"));
        tokio::spawn(async move { journal.finish(answer).await.map(drop) })
    });
    let begins = (9..=16).map(|number| {
        let (journal, turn) = (stores.journal.clone(), turn("alice", "trip", number, "q"));
        tokio::spawn(async move { journal.accept(turn).await.map(drop) })
    });
    for result in join_all(ends.chain(begins)).await {
        result.unwrap().unwrap();
    }
    let messages = stores
        .all_messages(&user("alice"), &session_id("trip"))
        .await;
    let seqs: Vec<_> = messages.iter().map(|m| m.seq).collect();
    assert_eq!(seqs, (1..=24).collect::<Vec<_>>());
    assert_eq!(unfinished(&stores).await.len(), 8);
}

/// An end whose events collide is refused as a whole; the run can still be ended.
pub async fn a_taken_seq_at_the_end_stores_nothing(stores: Stores) {
    let turn = accept(&stores, "trip", 1).await;
    let before = picture(&stores, &turn).await;
    let mut wrong = answer(&turn, "reply");
    wrong.events = vec![text_event(1, "collides"), text_event(2, "does not")];
    assert_conflict(stores.journal.finish(wrong).await);
    assert_eq!(picture(&stores, &turn).await, before);
    assert_eq!(
        unfinished(&stores).await,
        std::slice::from_ref(&turn.run.id)
    );
    finish(&stores, answer(&turn, "reply")).await;
    assert_eq!(picture(&stores, &turn).await.messages.len(), 2);
}

async fn assert_nothing_found(stores: &Stores, turn: &NewTurn) {
    let run = stores.journal.find(&turn.run.owner, &turn.run.id).await;
    assert_eq!(run.unwrap(), None);
    let events = stores.journal.events(&turn.run.id, 0, 10).await.unwrap();
    assert_eq!(events, Vec::new());
    let query = SearchQuery {
        text: "lighthouse".to_owned(),
        limit: 10,
    };
    let hits = stores.sessions.search(&turn.run.owner, &query).await;
    assert_eq!(hits.unwrap(), Vec::new());
    assert_eq!(unfinished(stores).await, Vec::new());
}

/// Who deletes a session while an answer is written gets no part of it back.
pub async fn ending_after_the_session_was_deleted_stores_nothing(stores: Stores) {
    let turn = accept(&stores, "trip", 1).await;
    let (alice, trip) = (user("alice"), session_id("trip"));
    assert!(
        stores
            .sessions
            .delete(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    finish(&stores, answer(&turn, "lighthouse")).await;
    assert_eq!(stores.sessions.find(&alice, &trip).await.unwrap(), None);
    assert_eq!(stores.all_messages(&alice, &trip).await, Vec::new());
    assert_nothing_found(&stores, &turn).await;
}

/// Clearing forgets the run, so its end is dropped too.
pub async fn ending_after_the_session_was_cleared_stores_nothing(stores: Stores) {
    let turn = accept(&stores, "trip", 1).await;
    let (alice, trip) = (user("alice"), session_id("trip"));
    assert!(
        stores
            .sessions
            .clear(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    finish(&stores, answer(&turn, "lighthouse")).await;
    let left = stores.sessions.find(&alice, &trip).await.unwrap().unwrap();
    assert_eq!(left.message_count, 0);
    assert_eq!(stores.all_messages(&alice, &trip).await, Vec::new());
    assert_nothing_found(&stores, &turn).await;
}

/// The end of a deleted session's run does not land in a session that has taken its id.
pub async fn ending_does_not_touch_a_session_begun_again(stores: Stores) {
    let old = accept(&stores, "trip", 1).await;
    let (alice, trip) = (user("alice"), session_id("trip"));
    assert!(
        stores
            .sessions
            .delete(&alice, &trip, &erasure())
            .await
            .unwrap()
    );
    let new = accept(&stores, "trip", 2).await;
    let before = picture(&stores, &new).await;
    finish(&stores, answer(&old, "lighthouse")).await;
    assert_eq!(picture(&stores, &new).await, before);
}

/// A run nobody knows has nothing to end.
pub async fn ending_an_unknown_run_is_no_error(stores: Stores) {
    let turn = accept(&stores, "trip", 1).await;
    let before = picture(&stores, &turn).await;
    let unknown = Answer {
        run: run_id("missing"),
        ..answer(&turn, "reply")
    };
    finish(&stores, unknown).await;
    assert_eq!(picture(&stores, &turn).await, before);
}
