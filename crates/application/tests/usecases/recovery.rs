//! What a new process makes of the runs of the last one.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::ports::{MessageWindow, SessionRepository};
use majordomo_domain::{MessageStatus, RunStatus, UserId};
use majordomo_testkit::{InMemoryStore, Script, SequentialIds};

use crate::support::{Options, World, alice, say, session};

/// What outlives a process.
#[derive(Default)]
struct Machine {
    store: Arc<InMemoryStore>,
    ids: Arc<SequentialIds>,
}

/// A process on the machine of an earlier one.
fn process(machine: &Machine, scripts: impl IntoIterator<Item = Script>) -> World {
    let (store, ids) = (machine.store.clone(), machine.ids.clone());
    World::with(
        scripts,
        Options {
            store,
            ids,
            ..Options::default()
        },
    )
}

async fn answers(world: &World) -> Vec<(String, MessageStatus)> {
    let owner = UserId::parse("alice").unwrap();
    let messages = world
        .store
        .messages(&owner, &session("s"), MessageWindow::newest(100))
        .await
        .unwrap();
    messages
        .into_iter()
        .map(|message| (message.text, message.status))
        .collect()
}

#[tokio::test]
async fn a_turn_that_had_shown_text_ends_as_interrupted_with_it() {
    let machine = Machine::default();
    let first = process(&machine, [Script::new().text("half an ans").hang()]);
    let turn = first.chat.send(&alice(), say("s", "go")).await.unwrap();
    let run = turn.run.clone();
    let mut events = turn.into_events();
    let mut seen = 0;
    while seen < 2 {
        seen += events.next_batch().await.unwrap().len();
    }
    let second = process(&machine, []);
    assert_eq!(second.chat.recover().await.unwrap(), 1);
    assert!(second.journal.unfinished().await.unwrap().is_empty());
    let ended = second
        .journal
        .find(&alice().user, &run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.status, RunStatus::Interrupted);
    assert_eq!(
        answers(&second).await,
        [
            ("go".to_owned(), MessageStatus::Complete),
            ("half an ans".to_owned(), MessageStatus::Interrupted),
        ]
    );
}

#[tokio::test]
async fn a_turn_that_had_shown_nothing_runs_again_and_so_do_those_that_waited() {
    let machine = Machine::default();
    let first = process(&machine, [Script::new().hang()]);
    for text in ["a", "b"] {
        let turn = first.chat.send(&alice(), say("s", text)).await.unwrap();
        drop(turn);
    }
    first.model.asked(1).await;
    let second = process(&machine, [Script::answer("A"), Script::answer("B")]);
    assert_eq!(second.chat.recover().await.unwrap(), 2);
    while second.chat.active_sessions() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let texts: Vec<_> = answers(&second)
        .await
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    assert_eq!(texts, ["a", "b", "A", "B"]);
    assert!(second.journal.unfinished().await.unwrap().is_empty());
}

#[tokio::test]
async fn shutting_down_ends_what_runs_and_keeps_what_waits() {
    let machine = Machine::default();
    let first = process(&machine, [Script::new().text("begun").hang()]);
    let turn = first.chat.send(&alice(), say("s", "a")).await.unwrap();
    let mut events = turn.into_events();
    let mut seen = 0;
    while seen < 2 {
        seen += events.next_batch().await.unwrap().len();
    }
    drop(first.chat.send(&alice(), say("s", "b")).await.unwrap());
    first.chat.shut_down(Duration::from_secs(5)).await;
    assert!(first.chat.send(&alice(), say("s", "c")).await.is_err());
    let left = first.journal.unfinished().await.unwrap();
    assert_eq!(
        left.iter().map(|run| run.status).collect::<Vec<_>>(),
        [RunStatus::Queued]
    );
    let second = process(&machine, [Script::answer("B")]);
    second.chat.recover().await.unwrap();
    while second.chat.active_sessions() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let texts: Vec<_> = answers(&second)
        .await
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    assert_eq!(texts, ["a", "b", "begun", "B"]);
}
