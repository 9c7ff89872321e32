//! A message that begins a session: when it is stored, and what becomes of it when that fails.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::chat::{ChatError, Reply, SendMessage};
use majordomo_application::ports::{IdGenerator, MessageWindow, RunJournal, SessionRepository};
use majordomo_domain::{Message, MessageStatus, RunEventKind, RunStatus, Session};
use majordomo_testkit::{Gate, InMemoryStore, Script, SequentialIds};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::support::{Options, Shaky, World, alice, config, drain, pieces, say, shaky};

/// A message that begins a session.
fn first(text: &str) -> SendMessage {
    SendMessage {
        session: None,
        ..say("unused", text)
    }
}

fn ask(world: &World, text: &str) -> JoinHandle<Result<Reply, ChatError>> {
    let (chat, request) = (world.chat.clone(), first(text));
    tokio::spawn(async move { chat.ask(&alice(), request).await })
}

impl World {
    async fn sessions(&self) -> Vec<Session> {
        let owner = alice().user;
        self.store.list(&owner, 100, 0).await.unwrap().0
    }

    /// The messages of the only session.
    async fn said(&self) -> Vec<Message> {
        let sessions = self.sessions().await;
        let [session] = sessions.as_slice() else {
            panic!("not one session: {sessions:?}");
        };
        let (owner, window) = (alice().user, MessageWindow::newest(100));
        let messages = self.store.messages(&owner, &session.id, window).await;
        messages.unwrap()
    }

    async fn said_texts(&self) -> Vec<String> {
        self.said().await.into_iter().map(|m| m.text).collect()
    }

    async fn asked(&self) {
        while self.model.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// Question, journal and answer are one write.
#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_soon_is_stored_with_its_question() {
    let Shaky { world, journal } = shaky([Script::pieces(["4", "2"])], config());
    let reply = ask(&world, "6 * 7?").await.unwrap().unwrap();
    assert_eq!(reply.text, "42");
    assert_eq!(journal.calls(), 1);
    assert!(world.store.is_flushed());
    assert_eq!(world.said_texts().await, ["6 * 7?", "42"]);
    assert_eq!(world.sessions().await[0].message_count, 2);
    let events = world.store.events(&reply.run, 0, 100).await.unwrap();
    assert_eq!(events[0].kind, RunEventKind::Started);
    assert_eq!(pieces(&events), ["4", "2"]);
    assert_eq!(events.len(), 4);
    assert!(world.store.unfinished().await.unwrap().is_empty());
}

/// Wherever a model is slow, its question is stored long before its answer.
#[tokio::test(start_paused = true)]
async fn a_question_does_not_wait_for_a_slow_answer() {
    for first_word in ["", "la"] {
        let gate = Gate::closed();
        let script = match first_word {
            "" => Script::new().wait(&gate).text("late"),
            begun => Script::new().text(begun).wait(&gate).text("te"),
        };
        let world = World::playing([script.finish()]);
        let asked = ask(&world, "go");
        world.asked().await;
        let began = Instant::now();
        assert!(world.sessions().await.is_empty());
        while world.sessions().await.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(began.elapsed() <= Duration::from_millis(25));
        let open = world.store.unfinished().await.unwrap();
        assert_eq!(open[0].status, RunStatus::Running);
        gate.open();
        assert_eq!(asked.await.unwrap().unwrap().text, "late");
        assert_eq!(world.said_texts().await, ["go", "late"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_not_stored_yet_can_be_stopped() {
    let world = World::playing([Script::new().text("half").hang()]);
    let asked = ask(&world, "go");
    world.asked().await;
    // Each world counts its ids from the same first one.
    let session = SequentialIds::default().session_id();
    world.chat.stop(&alice(), &session).unwrap();
    assert!(world.sessions().await.is_empty());
    let reply = asked.await.unwrap().unwrap();
    assert_eq!(reply.outcome.status, RunStatus::Stopped);
    let said = world.said().await;
    assert_eq!(said[1].status, MessageStatus::Stopped);
    assert_eq!(said[1].text, "half");
}

#[tokio::test(start_paused = true)]
async fn a_moment_without_storage_costs_nothing() {
    for lost in [false, true] {
        let Shaky { world, journal } = shaky([Script::answer("x")], config());
        if lost {
            journal.lose_answer("journal.record", 1);
        } else {
            journal.fail("journal.record", 1);
        }
        let reply = ask(&world, "go").await.unwrap().unwrap();
        assert_eq!(reply.text, "x");
        assert_eq!(world.said_texts().await, ["go", "x"]);
        let events = world.store.events(&reply.run, 0, 100).await.unwrap();
        assert_eq!(events.len(), 3);
    }
}

/// The same, where the question was to be stored before its answer.
#[tokio::test(start_paused = true)]
async fn a_question_that_was_not_stored_at_once_is_stored_with_its_end() {
    for lost in [false, true] {
        let gate = Gate::closed();
        let script = Script::new().text("half").wait(&gate).text("!").finish();
        let Shaky { world, journal } = shaky([script], config());
        if lost {
            journal.lose_answer("journal.accept", 1);
        } else {
            journal.fail("journal.accept", 1);
        }
        let reply = ask(&world, "go").await.unwrap().unwrap();
        assert_eq!(reply.outcome.reason, "storage");
        assert_eq!(world.said_texts().await, ["go", "half"]);
        assert!(world.store.unfinished().await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn without_storage_nothing_is_acknowledged() {
    let Shaky { world, journal } = shaky([Script::answer("x"), Script::answer("y")], config());
    journal.set_down(true);
    let error = ask(&world, "go").await.unwrap().unwrap_err();
    assert!(
        matches!(error, ChatError::Storage(_) | ChatError::TurnFailed { .. }),
        "{error:?}"
    );
    let error = world.chat.send(&alice(), first("go")).await.err().unwrap();
    assert!(matches!(error, ChatError::Storage(_)), "{error:?}");
    journal.set_down(false);
    assert!(world.sessions().await.is_empty());
}

/// Who is told at once is told of what has reached the disk; the model is asked meanwhile.
#[tokio::test]
async fn the_model_is_asked_while_the_message_is_stored() {
    let Shaky { world, journal } = shaky([Script::answer("x")], config());
    journal.set_stalled(true);
    let (chat, caller) = (world.chat.clone(), alice());
    let sent = tokio::spawn(async move { chat.send(&caller, first("go")).await });
    world.asked().await;
    assert!(!sent.is_finished());
    journal.set_stalled(false);
    let turn = sent.await.unwrap().unwrap();
    assert!(world.store.is_flushed());
    let events = drain(turn.into_events()).await;
    assert_eq!(pieces(&events), ["x"]);
    assert_eq!(world.said_texts().await, ["go", "x"]);
}

/// What was refused leaves nothing that runs, whether or not it was stored all the same.
#[tokio::test(start_paused = true)]
async fn a_message_that_was_not_stored_is_refused() {
    for lost in [false, true] {
        let Shaky { world, journal } = shaky([Script::answer("x")], config());
        if lost {
            journal.lose_answer("journal.accept", 1);
        } else {
            journal.fail("journal.accept", 1);
        }
        let error = world.chat.send(&alice(), first("go")).await.err().unwrap();
        assert!(matches!(error, ChatError::Storage(_)), "{error:?}");
        while world.chat.active_sessions() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_secs(2)).await;
        assert_eq!(world.sessions().await.len(), usize::from(lost));
        assert!(world.store.unfinished().await.unwrap().is_empty());
    }
}

/// The same, where the model has answered before storage failed.
#[tokio::test(start_paused = true)]
async fn an_answer_to_a_message_that_was_not_stored_is_not_stored_either() {
    let Shaky { world, journal } = shaky([Script::answer("x")], config());
    journal.fail("journal.accept", 1);
    let model = world.model.clone();
    journal.meanwhile("journal.accept", async move {
        while model.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        sleep(Duration::from_millis(5)).await;
    });
    let error = world.chat.send(&alice(), first("go")).await.err().unwrap();
    assert!(matches!(error, ChatError::Storage(_)), "{error:?}");
    while world.chat.active_sessions() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(world.sessions().await.is_empty());
}

/// A turn that has shown nothing when the process ends is run by the next one, stored or not.
#[tokio::test]
async fn a_question_that_is_not_stored_yet_outlives_its_process() {
    let (store, ids): (Arc<InMemoryStore>, Arc<SequentialIds>) = Default::default();
    let process = |script| {
        let (store, ids) = (store.clone(), ids.clone());
        let options = Options {
            store,
            ids,
            ..Options::default()
        };
        World::with([script], options)
    };
    let old = process(Script::new().hang());
    let asked = ask(&old, "go");
    old.asked().await;
    old.chat.shut_down(Duration::from_secs(5)).await;
    assert!(matches!(asked.await.unwrap(), Err(ChatError::ShuttingDown)));
    assert!(store.is_flushed());
    let new = process(Script::answer("again"));
    assert_eq!(new.chat.recover().await.unwrap(), 1);
    while new.chat.active_sessions() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(new.said_texts().await, ["go", "again"]);
}
