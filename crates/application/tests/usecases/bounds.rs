//! What a model or a client can use up, and what its credential keeps from it.

use std::collections::HashSet;

use majordomo_application::chat::AgentConfig;
use majordomo_application::ports::{MessageWindow, SessionRepository};
use majordomo_domain::{RunEvent, RunEventKind, RunStatus, Scope, Scopes};
use majordomo_testkit::{Gate, Script};

use crate::support::{Options, World, alice, config, drain, pieces, say, session};

fn ending(events: &[RunEvent]) -> (RunStatus, &str) {
    match &events.last().unwrap().kind {
        RunEventKind::Finished(outcome) => (outcome.status, outcome.reason.as_str()),
        other => panic!("ends with {other:?}"),
    }
}

#[tokio::test]
async fn a_model_that_never_stops_thinking_is_cut() {
    let thought = "x".repeat(1024 * 1024);
    let endless = (0..8).fold(Script::new().text("Well"), |script, _| {
        script.reasoning(&thought)
    });
    let world = World::playing([endless.hang()]);
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let events = drain(turn.into_events()).await;
    assert_eq!(ending(&events), (RunStatus::Completed, "length"));
    assert_eq!(pieces(&events), ["Well"]);
}

#[tokio::test]
async fn a_long_answer_is_whole_for_every_watcher_however_late() {
    let texts: Vec<String> = (0..6000).map(|n| format!("{n} ")).collect();
    let gate = Gate::closed();
    let script = texts
        .iter()
        .fold(Script::new(), |script, text| script.text(text));
    let world = World::playing([script.wait(&gate).finish()]);
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let run = turn.run.clone();
    let mut early = turn.into_events();
    let mut seen = Vec::new();
    while seen.len() < texts.len() + 1 {
        seen.extend(early.next_batch().await.unwrap());
    }
    let late = world.chat.watch(&alice(), &run, 0).await.unwrap();
    let resumed = world.chat.watch(&alice(), &run, 5000).await.unwrap();
    gate.open();
    let whole = drain(late).await;
    assert_eq!(pieces(&whole), texts);
    assert_eq!(drain(resumed).await, whole[5000..]);
    assert_eq!(drain(early).await, whole[texts.len() + 1..]);
}

#[tokio::test]
async fn a_history_is_read_as_far_as_it_fits_and_no_further() {
    for (context_tokens, shown) in [(100_000, 2 + 140), (600, 2 + 48)] {
        let options = Options {
            config: AgentConfig {
                context_tokens,
                ..config()
            },
            ..Options::default()
        };
        let world = World::with((0..71).map(|_| Script::answer("A")), options);
        for _ in 0..71 {
            let turn = world.chat.send(&alice(), say("s", "Q")).await.unwrap();
            turn.into_reply().await.unwrap();
        }
        assert_eq!(world.model.requests()[70].messages.len(), shown);
    }
}

#[tokio::test]
async fn calls_of_one_run_have_names_of_their_own() {
    let step = |n: u32| {
        Script::tool_call(
            "call_0",
            "calculator",
            &format!(r#"{{"expression":"{n}"}}"#),
        )
    };
    let world = World::playing([step(1), step(2), Script::answer("done")]);
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let events = drain(turn.into_events()).await;
    let ids: HashSet<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            RunEventKind::ToolCalled(call) => Some(call.id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn equal_calls_at_the_same_time_are_no_circle() {
    let call = ("", "calculator", r#"{"expression":"1"}"#);
    let world = World::playing([Script::tool_calls([call; 4]), Script::answer("4 times 1")]);
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    assert_eq!(turn.into_reply().await.unwrap().text, "4 times 1");
}

#[tokio::test]
async fn a_credential_that_may_only_chat_cannot_command_sessions() {
    let world = World::playing([Script::answer("A")]);
    let turn = world
        .chat
        .send(&alice(), say("s", "secret plans"))
        .await
        .unwrap();
    turn.into_reply().await.unwrap();
    let mut chatter = alice();
    chatter.scopes = Scopes::from_iter([Scope::Chat]);
    for command in ["/sessions", "/resume s", "/clear", "/rename x", "/delete"] {
        let turn = world.chat.send(&chatter, say("s", command)).await.unwrap();
        let said = turn.into_reply().await.unwrap().text;
        assert!(
            said.contains("missing required scope: sessions"),
            "{command}: {said}"
        );
    }
    let window = MessageWindow::newest(10);
    let left = world
        .store
        .messages(&alice().user, &session("s"), window)
        .await
        .unwrap();
    assert_eq!(left.len(), 2);
}
