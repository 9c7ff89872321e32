//! What survives lost clients, failing storage, panics and the end of the process.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::chat::{AgentConfig, ChatError};
use majordomo_application::ports::{
    MessageWindow, RunJournal, SessionRepository, Tool, ToolContext, ToolError, ToolSpec,
};
use majordomo_domain::{Message, MessageStatus, Outcome, RunEvent, RunEventKind, RunStatus};
use majordomo_testkit::{Gate, Script, SequentialIds};
use serde_json::{Value, json};

use crate::support::{Options, Shaky, World, alice, config, drain, pieces, say, session, shaky};

impl World {
    async fn idle(&self) {
        while self.chat.active_sessions() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn unfinished(&self) -> Vec<RunStatus> {
        let runs = self.store.unfinished().await.unwrap();
        runs.into_iter().map(|run| run.status).collect()
    }

    async fn stored(&self) -> Vec<Message> {
        let window = MessageWindow::newest(100);
        let owner = alice().user;
        self.store
            .messages(&owner, &session("s"), window)
            .await
            .unwrap()
    }

    async fn texts(&self) -> Vec<String> {
        self.stored().await.into_iter().map(|m| m.text).collect()
    }
}

fn outcome(events: &[RunEvent]) -> &Outcome {
    match &events.last().unwrap().kind {
        RunEventKind::Finished(outcome) => outcome,
        other => panic!("ends with {other:?}"),
    }
}

/// Whoever is told at once is told of what has reached the disk; whoever is told with the answer, too.
#[tokio::test]
async fn what_is_acknowledged_has_reached_the_disk() {
    let gate = Gate::closed();
    let held = || Script::new().wait(&gate).text("late").finish();
    let world = World::playing([held(), held()]);
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    assert!(world.store.is_flushed());
    let (chat, caller) = (world.chat.clone(), alice());
    let asked = tokio::spawn(async move { chat.ask(&caller, say("other", "go")).await });
    while world.model.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!world.store.is_flushed());
    gate.open();
    assert_eq!(asked.await.unwrap().unwrap().text, "late");
    assert_eq!(turn.into_reply().await.unwrap().text, "late");
    assert!(world.store.is_flushed());
}

#[tokio::test]
async fn a_client_that_leaves_while_its_message_is_stored_costs_no_slot() {
    let config = AgentConfig {
        max_accepted_runs: 1,
        ..config()
    };
    let Shaky { world, journal } = shaky([Script::answer("1"), Script::answer("2")], config);
    journal.set_stalled(true);
    let patience = Duration::from_millis(10);
    let left = tokio::time::timeout(patience, world.chat.send(&alice(), say("s", "a"))).await;
    assert!(left.is_err());
    journal.set_stalled(false);
    world.idle().await;
    let turn = world.chat.send(&alice(), say("s", "b")).await.unwrap();
    assert_eq!(turn.into_reply().await.unwrap().text, "2");
    assert_eq!(world.texts().await, ["a", "1", "b", "2"]);
    assert!(world.unfinished().await.is_empty());
}

#[tokio::test]
async fn a_run_whose_journal_failed_once_still_ends_with_its_text() {
    for stored_before_it_failed in [false, true] {
        let gate = Gate::closed();
        let script = Script::new().text("half").wait(&gate).text("!").finish();
        let Shaky { world, journal } = shaky([script], config());
        if stored_before_it_failed {
            journal.lose_answer("journal.append", 1);
        } else {
            journal.fail("journal.append", 1);
        }
        let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
        let run = turn.run.clone();
        let events = drain(turn.into_events()).await;
        assert_eq!(outcome(&events).reason, "storage");
        assert_eq!(pieces(&events), ["half"]);
        assert!(world.unfinished().await.is_empty());
        assert_eq!(world.store.events(&run, 0, 100).await.unwrap(), events);
        assert_eq!(world.texts().await, ["go", "half"]);
    }
}

#[tokio::test]
async fn a_run_that_could_not_be_begun_ends() {
    for stored_before_it_failed in [false, true] {
        let gate = Gate::closed();
        let first = Script::new().wait(&gate).text("1").finish();
        let Shaky { world, journal } = shaky([first], config());
        if stored_before_it_failed {
            journal.lose_answer("journal.start", 1);
        } else {
            journal.fail("journal.start", 1);
        }
        drop(world.chat.send(&alice(), say("s", "a")).await.unwrap());
        let waiting = world.chat.send(&alice(), say("s", "b")).await.unwrap();
        let run = waiting.run.clone();
        gate.open();
        let events = drain(waiting.into_events()).await;
        assert_eq!(outcome(&events).reason, "storage");
        assert!(world.unfinished().await.is_empty());
        assert_eq!(world.store.events(&run, 0, 100).await.unwrap(), events);
    }
}

#[tokio::test(start_paused = true)]
async fn a_moment_without_storage_at_the_end_costs_nothing() {
    let Shaky { world, journal } = shaky([Script::answer("x")], config());
    journal.fail("journal.finish", 1);
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    assert_eq!(turn.into_reply().await.unwrap().text, "x");
    assert_eq!(world.texts().await, ["go", "x"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_without_storage_is_ended_when_storage_is_back() {
    let gate = Gate::closed();
    let script = Script::new().text("half").wait(&gate).text("!").finish();
    let Shaky { world, journal } = shaky([script], config());
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let mut events = turn.into_events();
    let mut seen = 0;
    while seen < 2 {
        seen += events.next_batch().await.unwrap().len();
    }
    journal.set_down(true);
    gate.open();
    assert_eq!(outcome(&drain(events).await).reason, "storage");
    assert_eq!(world.unfinished().await, [RunStatus::Running]);
    journal.set_down(false);
    while !world.unfinished().await.is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let answer = world.stored().await.remove(1);
    assert_eq!(
        (answer.text.as_str(), answer.status),
        ("half", MessageStatus::Interrupted)
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_acknowledgement_was_lost_leaves_no_open_run() {
    let Shaky { world, journal } = shaky([], config());
    journal.lose_answer("journal.accept", 1);
    let sent = world.chat.send(&alice(), say("s", "go")).await;
    assert!(matches!(sent, Err(ChatError::Storage(_))));
    while !world.unfinished().await.is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A tool with a defect.
struct Panics(ToolSpec);

#[async_trait::async_trait]
impl Tool for Panics {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }
    fn is_idempotent(&self) -> bool {
        true
    }
    async fn call(&self, _: &ToolContext, _: Value) -> Result<String, ToolError> {
        panic!("a defect")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_turn_only() {
    let spec = ToolSpec {
        name: "panics".into(),
        description: String::new(),
        parameters: json!({"type": "object"}),
    };
    let options = Options {
        tools: vec![Arc::new(Panics(spec))],
        ..Options::default()
    };
    let scripts = [Script::tool_call("1", "panics", "{}"), Script::answer("2")];
    let world = World::with(scripts, options);
    let first = world.chat.send(&alice(), say("s", "a")).await.unwrap();
    let second = world.chat.send(&alice(), say("s", "b")).await.unwrap();
    let patience = Duration::from_secs(5);
    let first = tokio::time::timeout(patience, first.into_reply()).await;
    let error = first.expect("the turn ends").unwrap_err();
    assert!(matches!(&error, ChatError::TurnFailed { reason, .. } if reason == "internal"));
    assert_eq!(second.into_reply().await.unwrap().text, "2");
    while !world.unfinished().await.is_empty() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn a_slow_end_does_not_stop_the_turns_that_wait() {
    let Shaky { world, journal } = shaky([Script::new().text("1").hang()], config());
    let turn = world.chat.send(&alice(), say("s", "a")).await.unwrap();
    let mut events = turn.into_events();
    let mut seen = 0;
    while seen < 2 {
        seen += events.next_batch().await.unwrap().len();
    }
    drop(world.chat.send(&alice(), say("s", "b")).await.unwrap());
    journal.set_stalled(true);
    world.chat.shut_down(Duration::from_millis(20)).await;
    journal.set_stalled(false);
    world.idle().await;
    assert_eq!(world.unfinished().await, [RunStatus::Queued]);
}

/// Another process on the same storage.
fn beside(
    world: &World,
    ids: &Arc<SequentialIds>,
    scripts: impl IntoIterator<Item = Script>,
) -> World {
    let options = Options {
        store: world.store.clone(),
        ids: ids.clone(),
        ..Options::default()
    };
    World::with(scripts, options)
}

#[tokio::test]
async fn a_turn_that_had_shown_nothing_at_shutdown_is_answered_by_the_next_process() {
    let ids = Arc::<SequentialIds>::default();
    let options = Options {
        ids: ids.clone(),
        ..Options::default()
    };
    let first = World::with([Script::new().hang()], options);
    let turn = first.chat.send(&alice(), say("s", "a")).await.unwrap();
    first.model.asked(1).await;
    first.chat.shut_down(Duration::from_secs(5)).await;
    let left = turn.into_reply().await;
    assert!(matches!(left, Err(ChatError::ShuttingDown)));
    let second = beside(&first, &ids, [Script::answer("A")]);
    assert_eq!(second.chat.recover().await.unwrap(), 1);
    second.idle().await;
    assert_eq!(second.texts().await, ["a", "A"]);
}

#[tokio::test]
async fn recovery_leaves_the_runs_of_this_process_alone() {
    let gate = Gate::closed();
    let world = World::playing([Script::new().text("x").wait(&gate).finish()]);
    let turn = world.chat.send(&alice(), say("s", "a")).await.unwrap();
    let mut events = turn.into_events();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(events.next_batch().await.unwrap());
    }
    assert_eq!(world.chat.recover().await.unwrap(), 0);
    gate.open();
    let rest = drain(events).await;
    assert_eq!(outcome(&rest).status, RunStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_run_of_another_process_can_be_watched_to_its_end() {
    let ids = Arc::<SequentialIds>::default();
    let gate = Gate::closed();
    let options = Options {
        ids: ids.clone(),
        ..Options::default()
    };
    let first = World::with(
        [Script::new().text("1").wait(&gate).text("2").finish()],
        options,
    );
    let turn = first.chat.send(&alice(), say("s", "a")).await.unwrap();
    let second = beside(&first, &ids, []);
    let watcher = second.chat.watch(&alice(), &turn.run, 0).await.unwrap();
    let watching = tokio::spawn(drain(watcher));
    tokio::time::sleep(Duration::from_secs(5)).await;
    gate.open();
    let whole = drain(turn.into_events()).await;
    assert_eq!(watching.await.unwrap(), whole);
    assert_eq!(outcome(&whole).status, RunStatus::Completed);
}

#[tokio::test]
async fn a_stop_before_the_beginning_leaves_a_whole_journal() {
    let world = World::playing([Script::new().hang()]);
    drop(world.chat.send(&alice(), say("s", "a")).await.unwrap());
    let waiting = world.chat.send(&alice(), say("s", "b")).await.unwrap();
    world.model.asked(1).await;
    world.chat.stop(&alice(), &session("s")).unwrap();
    let events = drain(waiting.into_events()).await;
    assert!(matches!(events[0].kind, RunEventKind::Started));
    assert_eq!(outcome(&events).status, RunStatus::Stopped);
}

#[tokio::test]
async fn a_deletion_waits_for_the_message_that_is_being_stored_and_takes_it_along() {
    let Shaky { world, journal } = shaky([Script::new().hang()], config());
    journal.set_stalled(true);
    let alice = alice();
    let delete = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.sessions.delete(&alice, &session("s")).await
    };
    let go_on = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        journal.set_stalled(false);
    };
    let send = world.chat.send(&alice, say("s", "a"));
    let (sent, deleted, ()) = tokio::join!(send, delete, go_on);
    deleted.unwrap();
    let events = drain(sent.unwrap().into_events()).await;
    assert_eq!(outcome(&events).status, RunStatus::Stopped);
    world.idle().await;
    assert!(world.stored().await.is_empty() && world.unfinished().await.is_empty());
}
