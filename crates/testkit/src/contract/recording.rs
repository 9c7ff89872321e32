//! What [`RunJournal::record`](majordomo_application::ports::RunJournal::record) must do.

use majordomo_application::ports::{Answer, NewTurn, SearchQuery};
use majordomo_domain::{Message, Run, RunEvent, RunEventKind, RunStatus, Session, SessionTitle};

use super::{Stores, assert_conflict};
use crate::builders::{answer, ended_call, event, turn, user};

/// A turn that is not stored, and its end with all events of its journal.
fn whole(session: &str, text: &str) -> (NewTurn, Answer) {
    let turn = turn("alice", session, 1, "which temple?");
    let mut end = answer(&turn, text);
    end.events.splice(..0, turn.events.clone());
    end.calls = vec![ended_call("alice", 40, Vec::new())];
    let events = Vec::new();
    (NewTurn { events, ..turn }, end)
}

/// Everything a store knows about a turn.
#[derive(Debug, PartialEq)]
struct Picture {
    session: Option<Session>,
    messages: Vec<Message>,
    run: Option<Run>,
    events: Vec<RunEvent>,
    calls: usize,
}

async fn picture(stores: &Stores, turn: &NewTurn) -> Picture {
    let (owner, session) = (&turn.session.owner, &turn.session.id);
    Picture {
        session: stores.sessions.find(owner, session).await.unwrap(),
        messages: stores.all_messages(owner, session).await,
        run: stores.journal.find(owner, &turn.run.id).await.unwrap(),
        events: stores.journal.events(&turn.run.id, 0, 100).await.unwrap(),
        calls: stores.usage.recent(owner, 100).await.unwrap().len(),
    }
}

/// What was accepted first and what is recorded with its end read back alike, in everything but their names.
pub async fn a_recorded_turn_is_as_one_accepted_and_finished(stores: Stores) {
    let (turn, end) = whole("recorded", "The one at Segesta");
    stores
        .journal
        .record(turn.clone(), end.clone())
        .await
        .unwrap();
    let recorded = picture(&stores, &turn).await;

    let (same, same_end) = whole("accepted", "The one at Segesta");
    stores.journal.accept(same.clone()).await.unwrap();
    stores.journal.finish(same_end.clone()).await.unwrap();
    let accepted = picture(&stores, &same).await;

    let (ours, theirs) = (recorded.session.unwrap(), accepted.session.unwrap());
    let id = theirs.id.clone();
    assert_eq!(Session { id, ..ours }, theirs);
    assert_eq!(theirs.message_count, 2);
    let run = Run {
        status: RunStatus::Completed,
        finished_at: Some(end.finished_at),
        ..turn.run.clone()
    };
    assert_eq!(recorded.run, Some(run));
    assert_eq!(recorded.events, end.events);
    assert_eq!(accepted.events, same_end.events);
    let question = Message {
        seq: 1,
        ..turn.message
    };
    let reply = Message {
        seq: 2,
        ..end.message.unwrap()
    };
    assert_eq!(recorded.messages, [question, reply]);
    assert_eq!((recorded.calls, accepted.calls), (1, 2));
    assert_eq!(stores.journal.unfinished().await.unwrap(), Vec::new());
}

/// A run that said nothing leaves only its question.
pub async fn recording_without_a_message_counts_none(stores: Stores) {
    let (turn, end) = whole("silent", "");
    let end = Answer {
        status: RunStatus::Failed,
        message: None,
        ..end
    };
    stores.journal.record(turn.clone(), end).await.unwrap();
    let after = picture(&stores, &turn).await;
    let session = after.session.unwrap();
    assert_eq!(session.message_count, 1);
    assert_eq!(session.updated_at, turn.message.created_at);
    assert_eq!(after.messages.len(), 1);
    assert_eq!(after.run.unwrap().status, RunStatus::Failed);
}

/// The session goes on as any other: positions follow, a chosen title stays, its messages are found.
pub async fn a_recorded_session_goes_on(stores: Stores) {
    let (mut first, end) = whole("trip", "The one at Segesta");
    first.session.title = SessionTitle::stored("Sicily".to_owned(), true);
    stores.journal.record(first.clone(), end).await.unwrap();
    let next = turn("alice", "trip", 2, "and by train?");
    let accepted = stores.journal.accept(next).await.unwrap();
    assert_eq!(accepted.seq, 3);
    assert_eq!(accepted.session.title.as_str(), "Sicily");
    let query = SearchQuery {
        text: "segesta".to_owned(),
        limit: 10,
    };
    let hits = stores.sessions.search(&user("alice"), &query).await;
    assert_eq!(hits.unwrap().len(), 1);
}

/// Nothing of a turn is stored when its session, its run or one of its messages is there already.
pub async fn recording_what_is_there_is_a_conflict(stores: Stores) {
    let (first, end) = whole("trip", "The one at Segesta");
    stores
        .journal
        .record(first.clone(), end.clone())
        .await
        .unwrap();
    assert_conflict(stores.journal.record(first.clone(), end.clone()).await);

    let (mut same_run, mut run_end) = whole("second", "x");
    same_run.run.id = first.run.id.clone();
    run_end.run = first.run.id.clone();
    assert_conflict(stores.journal.record(same_run.clone(), run_end).await);

    let (same_answer, mut answered) = whole("third", "x");
    let taken = end.message.clone().unwrap().id;
    answered.message.as_mut().unwrap().id = taken;
    assert_conflict(stores.journal.record(same_answer.clone(), answered).await);

    let (mut same_question, question_end) = whole("fourth", "x");
    same_question.message.id = first.message.id.clone();
    assert_conflict(
        stores
            .journal
            .record(same_question.clone(), question_end)
            .await,
    );
    for turn in [same_run, same_answer, same_question] {
        let (owner, session) = (&turn.session.owner, &turn.session.id);
        let found = stores.sessions.find(owner, session).await.unwrap();
        assert_eq!(found, None);
    }
    assert_eq!(picture(&stores, &first).await.calls, 1);
}

/// The journal's events follow one another here, too.
pub async fn a_recorded_journal_has_no_gap(stores: Stores) {
    let (turn, mut end) = whole("trip", "x");
    end.events.push(event(9, RunEventKind::Text("late".into())));
    assert_conflict(stores.journal.record(turn.clone(), end).await);
    let after = picture(&stores, &turn).await;
    assert_eq!((after.session, after.run), (None, None));
    assert_eq!(after.messages, Vec::new());
}
