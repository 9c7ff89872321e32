//! What [`RunJournal`](majordomo_application::ports::RunJournal) must do with turns and runs.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use majordomo_application::ports::{Accepted, NewTurn};
use majordomo_domain::{Channel, Message, Run, RunEventKind, RunOptions, RunStatus, SessionTitle};

use super::{Stores, assert_conflict};
use crate::builders::{
    answer, at, event, message_id, queued, run_id, session_id, text_event, turn, user,
};

async fn accept(stores: &Stores, turn: &NewTurn) -> Accepted {
    stores.journal.accept(turn.clone()).await.unwrap()
}

async fn find(stores: &Stores, turn: &NewTurn) -> Option<Run> {
    let run = stores.journal.find(&turn.run.owner, &turn.run.id).await;
    run.unwrap()
}

async fn message_count(stores: &Stores, owner: &str, id: &str) -> u64 {
    let session = stores
        .sessions
        .find(&user(owner), &session_id(id))
        .await
        .unwrap();
    session.map_or(0, |session| session.message_count)
}

/// One transaction stores session, message, run and events.
pub async fn accepting_stores_the_whole_turn(stores: Stores) {
    let mut turn = turn("alice", "trip", 1, "Grüße aus Rom 🏛");
    turn.events.push(text_event(2, "already an answer"));
    let accepted = accept(&stores, &turn).await;
    assert_eq!(accepted.seq, 1);
    assert_eq!(accepted.session.message_count, 1);
    let expected = Message {
        seq: 1,
        ..turn.message.clone()
    };
    let messages = stores
        .all_messages(&user("alice"), &session_id("trip"))
        .await;
    assert_eq!(messages, [expected]);
    assert_eq!(find(&stores, &turn).await, Some(turn.run.clone()));
    let events = stores.journal.events(&turn.run.id, 0, 10).await.unwrap();
    assert_eq!(events, turn.events);
}

/// The session of the turn is ignored where there is one: only count and activity follow.
pub async fn accepting_counts_into_an_existing_session(stores: Stores) {
    let first = accept(&stores, &turn("alice", "trip", 1, "first")).await;
    let mut second = turn("alice", "trip", 5, "second");
    second.session.channel = Channel::Cli;
    second.session.model = Some("other/model".to_owned());
    second.session.title = SessionTitle::choose("Other").unwrap();
    let accepted = accept(&stores, &second).await;
    let mut expected = first.session;
    expected.updated_at = at(5);
    expected.message_count = 2;
    assert_eq!(accepted.session, expected);
    assert_eq!(accepted.seq, 2);
    let stored = stores
        .sessions
        .find(&user("alice"), &session_id("trip"))
        .await
        .unwrap();
    assert_eq!(stored, Some(expected));
}

/// Run ids are unique on the server, over all owners.
pub async fn a_taken_run_id_is_a_conflict_and_stores_nothing(stores: Stores) {
    let first = turn("alice", "trip", 1, "first");
    accept(&stores, &first).await;
    for owner in ["alice", "bob"] {
        let mut second = turn(owner, "trip", 2, "second");
        second.run.id = first.run.id.clone();
        second.message.run = Some(first.run.id.clone());
        assert_conflict(stores.journal.accept(second).await);
    }
    assert_eq!(message_count(&stores, "alice", "trip").await, 1);
    assert_eq!(message_count(&stores, "bob", "trip").await, 0);
    assert_eq!(find(&stores, &first).await, Some(first.run.clone()));
    let events = stores.journal.events(&first.run.id, 0, 10).await.unwrap();
    assert_eq!(events, first.events);
    let third = accept(&stores, &turn("alice", "trip", 3, "third")).await;
    assert_eq!(third.seq, 2);
}

/// Message ids are unique on the server, over all owners and sessions.
pub async fn a_taken_message_id_is_a_conflict_and_stores_nothing(stores: Stores) {
    let first = turn("alice", "trip", 1, "first");
    accept(&stores, &first).await;
    for (owner, session) in [("alice", "trip"), ("alice", "work"), ("bob", "trip")] {
        let mut second = turn(owner, session, 2, "second");
        second.message.id = first.message.id.clone();
        second.run.message = first.message.id.clone();
        assert_conflict(stores.journal.accept(second.clone()).await);
        assert_eq!(find(&stores, &second).await, None);
        let events = stores.journal.events(&second.run.id, 0, 10).await;
        assert_eq!(events.unwrap(), Vec::new());
    }
    assert_eq!(message_count(&stores, "alice", "trip").await, 1);
    let unfinished = stores.journal.unfinished().await.unwrap();
    assert_eq!(unfinished, [first.run]);
}

/// A turn that is refused leaves no empty session behind.
pub async fn a_conflict_does_not_begin_a_session(stores: Stores) {
    let first = turn("alice", "trip", 1, "first");
    accept(&stores, &first).await;
    let mut second = turn("alice", "work", 2, "second");
    second.run.id = first.run.id.clone();
    assert_conflict(stores.journal.accept(second).await);
    let work = stores
        .sessions
        .find(&user("alice"), &session_id("work"))
        .await
        .unwrap();
    assert_eq!(work, None);
    let (_, total) = stores.sessions.list(&user("alice"), 10, 0).await.unwrap();
    assert_eq!(total, 1);
}

/// Positions count from 1 over both sides of the conversation, for each session by itself.
pub async fn positions_have_no_gaps(stores: Stores) {
    for session in ["trip", "work"] {
        for number in 1..=3 {
            let turn = turn("alice", session, number, "question");
            let accepted = accept(&stores, &turn).await;
            assert_eq!(accepted.seq, u64::from(number) * 2 - 1);
            stores.journal.finish(answer(&turn, "reply")).await.unwrap();
        }
        let messages = stores
            .all_messages(&user("alice"), &session_id(session))
            .await;
        let seqs: Vec<_> = messages.iter().map(|m| m.seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
        assert_eq!(message_count(&stores, "alice", session).await, 6);
    }
}

/// Accepts all turns at the same time, each on a task of its own.
async fn accept_at_once(stores: &Stores, turns: Vec<NewTurn>) -> Vec<Accepted> {
    let tasks = turns.into_iter().map(|turn| {
        let journal = stores.journal.clone();
        tokio::spawn(async move { journal.accept(turn).await })
    });
    let results = join_all(tasks).await;
    results.into_iter().map(|r| r.unwrap().unwrap()).collect()
}

/// Turns that arrive at the same time get distinct, consecutive positions.
pub async fn concurrent_turns_of_one_session_get_their_own_positions(stores: Stores) {
    accept(&stores, &turn("alice", "trip", 1, "first")).await;
    let turns = (2..=20)
        .map(|number| turn("alice", "trip", number, &format!("text {number}")))
        .collect();
    let accepted = accept_at_once(&stores, turns).await;
    let seqs: BTreeSet<u64> = accepted.iter().map(|a| a.seq).collect();
    assert_eq!(seqs, (2..=20).collect());
    for one in &accepted {
        assert_eq!(one.session.message_count, one.seq);
    }
    let messages = stores
        .all_messages(&user("alice"), &session_id("trip"))
        .await;
    let seqs: Vec<_> = messages.iter().map(|m| m.seq).collect();
    assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
    assert_eq!(message_count(&stores, "alice", "trip").await, 20);
}

/// Of turns that begin the same session at the same time, one begins it and all are stored.
pub async fn concurrent_turns_may_begin_the_same_session(stores: Stores) {
    let turns = (1..=10)
        .map(|number| turn("alice", "trip", number, "hello"))
        .collect();
    let accepted = accept_at_once(&stores, turns).await;
    let seqs: BTreeSet<u64> = accepted.iter().map(|a| a.seq).collect();
    assert_eq!(seqs, (1..=10).collect());
    assert_eq!(message_count(&stores, "alice", "trip").await, 10);
}

/// Sessions do not stand in each other's way.
pub async fn concurrent_turns_of_many_sessions_are_all_stored(stores: Stores) {
    let turns = (1..=30)
        .map(|number| turn("alice", &format!("s{number}"), number, "hello"))
        .collect();
    let accepted = accept_at_once(&stores, turns).await;
    assert!(accepted.iter().all(|a| a.seq == 1));
    let (sessions, total) = stores.sessions.list(&user("alice"), 100, 0).await.unwrap();
    assert_eq!((sessions.len(), total), (30, 30));
    assert_eq!(stores.journal.unfinished().await.unwrap().len(), 30);
}

/// A queued run has an empty journal until it starts.
pub async fn a_queued_run_starts(stores: Stores) {
    let turn = queued(turn("alice", "trip", 1, "hello"));
    accept(&stores, &turn).await;
    let stored = find(&stores, &turn).await.unwrap();
    assert_eq!(stored.status, RunStatus::Queued);
    let events = stores.journal.events(&turn.run.id, 0, 10).await.unwrap();
    assert_eq!(events, Vec::new());
    let first = vec![event(1, RunEventKind::Started)];
    stores
        .journal
        .start(&turn.run.id, first.clone())
        .await
        .unwrap();
    let expected = Run {
        status: RunStatus::Running,
        ..turn.run.clone()
    };
    assert_eq!(find(&stores, &turn).await, Some(expected));
    let events = stores.journal.events(&turn.run.id, 0, 10).await.unwrap();
    assert_eq!(events, first);
}

/// Both statuses that end read back as stored.
pub async fn every_status_reads_back(stores: Stores) {
    let running = turn("alice", "trip", 1, "hello");
    let waiting = queued(turn("alice", "trip", 2, "hello"));
    for turn in [running, waiting] {
        accept(&stores, &turn).await;
        assert_eq!(find(&stores, &turn).await, Some(turn.run));
    }
}

/// What the caller asked for is kept, each part by itself.
pub async fn the_options_of_a_run_read_back(stores: Stores) {
    let all = RunOptions {
        model: Some("local/llama/3:8b".to_owned()),
        system_prompt: Some("Sprich \"Deutsch\".\nImmer. 🦀".to_owned()),
        temperature: Some(0.1),
        max_tokens: Some(u32::MAX),
    };
    let options = [
        all.clone(),
        RunOptions::default(),
        RunOptions {
            temperature: Some(0.0),
            ..RunOptions::default()
        },
        RunOptions {
            model: None,
            max_tokens: Some(1),
            ..all
        },
    ];
    for (number, options) in (1..).zip(options) {
        let mut turn = turn("alice", "trip", number, "hello");
        turn.run.options = options;
        accept(&stores, &turn).await;
        assert_eq!(find(&stores, &turn).await, Some(turn.run));
    }
}

/// Runs are found by their owner only.
pub async fn another_owners_run_does_not_exist(stores: Stores) {
    let turn = turn("alice", "trip", 1, "hello");
    accept(&stores, &turn).await;
    let (bob, trip, journal) = (user("bob"), session_id("trip"), &stores.journal);
    assert_eq!(journal.find(&bob, &turn.run.id).await.unwrap(), None);
    let by_message = journal.find_in_session(&bob, &trip, Some(&turn.message.id));
    assert_eq!(by_message.await.unwrap(), None);
    let latest = journal.find_in_session(&bob, &trip, None);
    assert_eq!(latest.await.unwrap(), None);
    let unknown = journal.find(&user("alice"), &run_id("missing")).await;
    assert_eq!(unknown.unwrap(), None);
}

/// A run is found by the message it received and by the message it wrote.
pub async fn the_run_of_a_message_is_found_on_both_sides(stores: Stores) {
    let (alice, trip) = (user("alice"), session_id("trip"));
    for number in 1..=3 {
        let turn = turn("alice", "trip", number, "question");
        accept(&stores, &turn).await;
        stores.journal.finish(answer(&turn, "reply")).await.unwrap();
    }
    let messages = stores.all_messages(&alice, &trip).await;
    assert_eq!(messages.len(), 6);
    for message in messages {
        let run = stores
            .journal
            .find_in_session(&alice, &trip, Some(&message.id))
            .await
            .unwrap();
        assert_eq!(run.map(|r| r.id), message.run);
    }
}

/// Without a message the session's newest run is meant.
pub async fn the_latest_run_of_a_session_is_found(stores: Stores) {
    let (alice, trip) = (user("alice"), session_id("trip"));
    let latest = || stores.journal.find_in_session(&alice, &trip, None);
    assert_eq!(latest().await.unwrap(), None);
    for number in 1..=3 {
        let turn = turn("alice", "trip", number, "question");
        accept(&stores, &turn).await;
        assert_eq!(latest().await.unwrap(), Some(turn.run));
    }
    accept(&stores, &turn("alice", "work", 9, "elsewhere")).await;
    let found = latest().await.unwrap().map(|r| r.id);
    assert_eq!(found, Some(run_id("run-alice-trip-3")));
}

/// A message of another session leads to no run of this one.
pub async fn runs_are_found_in_their_own_session_only(stores: Stores) {
    let (alice, work) = (user("alice"), session_id("work"));
    let trip_turn = turn("alice", "trip", 1, "hello");
    accept(&stores, &trip_turn).await;
    accept(&stores, &turn("alice", "work", 2, "hello")).await;
    for id in [trip_turn.message.id, message_id("missing")] {
        let found = stores.journal.find_in_session(&alice, &work, Some(&id));
        assert_eq!(found.await.unwrap(), None);
    }
}

/// What recovery works on: queued and running runs of everyone, oldest first.
pub async fn unfinished_runs_come_oldest_first_over_all_owners(stores: Stores) {
    let late = turn("alice", "trip", 30, "late");
    let early = queued(turn("bob", "trip", 10, "early"));
    let middle = turn("carol", "work", 20, "middle");
    let ended = turn("alice", "trip", 15, "ended");
    for turn in [&late, &early, &middle, &ended] {
        accept(&stores, turn).await;
    }
    stores.journal.finish(answer(&ended, "done")).await.unwrap();
    let unfinished = stores.journal.unfinished().await.unwrap();
    assert_eq!(unfinished, [early.run, middle.run, late.run]);
}

/// A store that never ran anything has nothing to recover.
pub async fn nothing_is_unfinished_in_an_empty_store(stores: Stores) {
    assert_eq!(stores.journal.unfinished().await.unwrap(), Vec::new());
}
