//! Turns: from a message to its stored answer.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::chat::{ChatError, WhenBusy};
use majordomo_application::ports::MessageWindow;
use majordomo_application::ports::{
    FinishReason, ModelDelta, ModelError, ModelErrorKind, ModelMessage, RunJournal,
    SessionRepository, Tool, ToolContext, ToolError, ToolSpec,
};
use majordomo_application::{ErrorKind, ServiceError};
use majordomo_domain::{
    Message, MessageStatus, ModelRef, Role, RunEventKind, RunStatus, Scope, Scopes, UserId,
};
use majordomo_testkit::{FailingStore, Gate, InMemoryStore, Script, ScriptedModel, Stores};
use serde_json::{Value, json};

use crate::support::{Options, World, alice, caller, config, drain, pieces, say, session};

async fn stored(world: &World, id: &str) -> Vec<Message> {
    let owner = UserId::parse("alice").unwrap();
    world
        .store
        .messages(&owner, &session(id), MessageWindow::newest(100))
        .await
        .unwrap()
}

fn unavailable() -> ModelError {
    ModelError::new(ModelErrorKind::Unavailable, "the provider is down")
}

#[tokio::test]
async fn an_answer_is_streamed_stored_and_journalled() {
    let world = World::playing([Script::pieces(["Hel", "lo"])]);
    let turn = world
        .chat
        .send(&alice(), say("s", "hi there"))
        .await
        .unwrap();
    let run = turn.run.clone();
    let events = drain(turn.into_events()).await;
    assert_eq!(pieces(&events), ["Hel", "lo"]);
    assert_eq!(
        events.iter().map(|event| event.seq).collect::<Vec<_>>(),
        (1..=4).collect::<Vec<_>>()
    );
    assert!(matches!(events[0].kind, RunEventKind::Started));
    let RunEventKind::Finished(outcome) = &events[3].kind else {
        panic!("no end")
    };
    assert_eq!(
        (outcome.status, outcome.reason.as_str()),
        (RunStatus::Completed, "stop")
    );

    let messages = stored(&world, "s").await;
    assert_eq!(
        messages
            .iter()
            .map(|m| (m.role, m.text.as_str()))
            .collect::<Vec<_>>(),
        [(Role::User, "hi there"), (Role::Assistant, "Hello"),]
    );
    assert_eq!(messages[1].model.as_deref(), Some("mock/model"));
    assert_eq!(world.journal.events(&run, 0, 100).await.unwrap(), events);
    assert_eq!(
        world
            .sessions
            .get(&alice(), &session("s"))
            .await
            .unwrap()
            .title
            .as_str(),
        "hi there"
    );
}

#[tokio::test]
async fn a_stream_resumed_anywhere_continues_exactly() {
    let world = World::playing([Script::pieces(["a", "b", "c", "d"])]);
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let run = turn.run.clone();
    let whole = drain(turn.into_events()).await;
    for after in 0..=whole.len() {
        let rest = drain(
            world
                .chat
                .watch(&alice(), &run, after as u64)
                .await
                .unwrap(),
        )
        .await;
        assert_eq!(rest, whole[after..]);
    }
    assert!(matches!(
        world.chat.watch(&caller("bob"), &run, 0).await,
        Err(ChatError::RunNotFound)
    ));
}

#[tokio::test]
async fn watchers_of_a_live_run_get_the_past_and_then_the_present() {
    let gate = Gate::closed();
    let world = World::playing([Script::new().text("one").wait(&gate).text("two").finish()]);
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let (run, mut first) = (turn.run.clone(), turn.into_events());
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(first.next_batch().await.unwrap());
    }
    let late = world.chat.watch(&alice(), &run, 0).await.unwrap();
    drop(first); // Only unsubscribes.
    gate.open();
    assert_eq!(pieces(&drain(late).await), ["one", "two"]);
}

#[tokio::test]
async fn the_next_turn_sees_the_conversation() {
    let world = World::playing([Script::answer("Hello"), Script::answer("Bye")]);
    for text in ["first", "second"] {
        world
            .chat
            .send(&alice(), say("s", text))
            .await
            .unwrap()
            .into_reply()
            .await
            .unwrap();
    }
    let requests = world.model.requests();
    let texts: Vec<String> = requests[1]
        .messages
        .iter()
        .map(|message| match message {
            ModelMessage::System(text)
            | ModelMessage::User { text, .. }
            | ModelMessage::Assistant { text, .. } => text.clone(),
            ModelMessage::Tool { content, .. } => content.clone(),
        })
        .collect();
    assert_eq!(texts, ["You are a test.", "first", "Hello", "second"]);
}

#[tokio::test]
async fn tools_are_called_and_their_results_go_back() {
    let calls = [
        ("1", "calculator", r#"{"expression":"6*7"}"#),
        ("2", "no_such_tool", "{}"),
    ];
    let world = World::playing([Script::tool_calls(calls), Script::answer("42 it is")]);
    let turn = world.chat.send(&alice(), say("s", "6*7?")).await.unwrap();
    let events = drain(turn.into_events()).await;
    let outputs: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            RunEventKind::ToolReturned(output) => Some((output.content.clone(), output.is_error)),
            _ => None,
        })
        .collect();
    assert_eq!(
        outputs,
        [
            ("42".to_owned(), false),
            ("there is no tool named no_such_tool".to_owned(), true)
        ]
    );
    let second = &world.model.requests()[1];
    assert!(
        second.messages.iter().any(
            |message| matches!(message, ModelMessage::Tool { content, .. } if content == "42")
        )
    );
}

#[tokio::test]
async fn circles_and_endless_turns_end_with_a_reason() {
    let call = || Script::tool_call("1", "calculator", r#"{"expression":"1"}"#);
    let world = World::playing([call(), call(), call(), call()]);
    let error = world
        .chat
        .send(&alice(), say("s", "go"))
        .await
        .unwrap()
        .into_reply()
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ChatError::TurnFailed { reason, .. } if reason == "loop"),
        "{error:?}"
    );

    let different =
        |n: u32| Script::tool_call("1", "calculator", &format!(r#"{{"expression":"{n}"}}"#));
    let world = World::playing((0..9).map(different));
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let reply = turn.into_reply().await.unwrap();
    assert_eq!(reply.text, "I stopped after 4 steps without an answer.");
    assert_eq!(
        (reply.outcome.status, &*reply.outcome.reason),
        (RunStatus::Completed, "max_steps")
    );

    let talking = |n: u32| {
        let (id, name) = ("1".to_owned(), "calculator".to_owned());
        let fragment = format!(r#"{{"expression":"{n}"}}"#);
        Script::new()
            .text("So far")
            .delta(ModelDelta::ToolCallStarted { index: 0, id, name })
            .delta(ModelDelta::ToolCallArguments { index: 0, fragment })
            .finish_with(FinishReason::ToolCalls)
    };
    let world = World::playing((0..9).map(talking));
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let reply = turn.into_reply().await.unwrap();
    assert_eq!(reply.text, ["So far"; 4].join("\n\n"));
    assert_eq!(reply.outcome.reason, "max_steps");
}

#[tokio::test]
async fn a_stop_cancels_the_model_at_once_and_keeps_the_text() {
    let world = World::playing([Script::new().text("partial").hang()]);
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let mut events = turn.into_events();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(events.next_batch().await.unwrap());
    }
    assert!(matches!(
        world.chat.stop(&caller("bob"), &session("s")),
        Err(ChatError::NothingRunning)
    ));
    world.chat.stop(&alice(), &session("s")).unwrap();
    tokio::time::timeout(Duration::from_millis(100), world.model.cancelled(1))
        .await
        .expect("cancelled in time");
    let rest = drain(events).await;
    let Some(RunEventKind::Finished(outcome)) = rest.last().map(|event| &event.kind) else {
        panic!("no end")
    };
    assert_eq!(outcome.status, RunStatus::Stopped);
    let answer = &stored(&world, "s").await[1];
    assert_eq!(
        (answer.text.as_str(), answer.status),
        ("partial", MessageStatus::Stopped)
    );
    let usage = answer.usage.unwrap();
    assert!(
        usage.input_tokens > 0 && usage.output_tokens > 0,
        "estimated, for the provider told nothing: {usage:?}"
    );
    assert_eq!(outcome.usage, usage);
}

#[tokio::test]
async fn a_busy_session_queues_in_order_up_to_its_limit() {
    let gate = Gate::closed();
    let first = Script::new().wait(&gate).text("1").finish();
    let scripts = [first]
        .into_iter()
        .chain(["2", "3", "4"].map(Script::answer));
    let world = World::playing(scripts);
    let mut turns = Vec::new();
    for text in ["a", "b", "c"] {
        turns.push(world.chat.send(&alice(), say("s", text)).await.unwrap());
    }
    assert!(matches!(
        world.chat.send(&alice(), say("s", "d")).await,
        Err(ChatError::SessionQueueFull)
    ));
    let other = world.chat.send(&caller("bob"), say("s", "mine")).await;
    assert!(
        other.is_ok(),
        "another owner's session of the same name is another session"
    );
    gate.open();
    let mut answers = Vec::new();
    for turn in turns {
        answers.push(turn.into_reply().await.unwrap().text);
    }
    assert_eq!(answers.len(), 3);
    let texts: Vec<_> = stored(&world, "s")
        .await
        .into_iter()
        .filter(|m| m.role == Role::User)
        .map(|m| m.text)
        .collect();
    assert_eq!(texts, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_replacing_message_stops_what_runs() {
    let world = World::playing([Script::new().text("old").hang(), Script::answer("new")]);
    let first = world.chat.send(&alice(), say("s", "a")).await.unwrap();
    world.model.asked(1).await;
    let replacing = majordomo_application::chat::SendMessage {
        when_busy: WhenBusy::Replace,
        ..say("s", "b")
    };
    let second = world.chat.send(&alice(), replacing).await.unwrap();
    let stopped = drain(first.into_events()).await;
    assert!(
        matches!(&stopped.last().unwrap().kind, RunEventKind::Finished(o) if o.status == RunStatus::Stopped)
    );
    assert_eq!(second.into_reply().await.unwrap().text, "new");
}

#[tokio::test]
async fn a_failed_model_hands_over_and_every_hop_is_recorded() {
    let spare = Arc::new(ScriptedModel::playing([Script::answer("saved")]));
    let fallback = vec![(ModelRef::new("spare", "s1"), spare)];
    let world = World::with(
        [Script::refusal(unavailable())],
        Options {
            fallback,
            ..Options::default()
        },
    );
    let turn = world.chat.send(&alice(), say("s", "go")).await.unwrap();
    let events = drain(turn.into_events()).await;
    let hops: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            RunEventKind::Hop(hop) => Some((hop.model.clone(), hop.code.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(hops, [("mock/model".to_owned(), "unavailable".to_owned())]);
    assert_eq!(pieces(&events), ["saved"]);
}

#[tokio::test]
async fn nothing_is_asked_again_once_output_has_begun() {
    let spare = Arc::new(ScriptedModel::playing([Script::answer("never")]));
    let fallback = vec![(ModelRef::new("spare", "s1"), spare.clone())];
    let world = World::with(
        [Script::new().text("half").fail(unavailable())],
        Options {
            fallback,
            ..Options::default()
        },
    );
    let reply = world
        .chat
        .send(&alice(), say("s", "go"))
        .await
        .unwrap()
        .into_reply()
        .await
        .unwrap();
    assert_eq!(
        (reply.text.as_str(), reply.outcome.status),
        ("half", RunStatus::Failed)
    );
    assert!(spare.requests().is_empty());
    assert_eq!(
        stored(&world, "s").await[1].status,
        MessageStatus::Interrupted
    );
}

#[tokio::test]
async fn a_failure_without_a_word_is_an_error_and_stores_no_answer() {
    let world = World::playing([Script::refusal(unavailable())]);
    let error = world
        .chat
        .send(&alice(), say("s", "go"))
        .await
        .unwrap()
        .into_reply()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.public_message(), "the provider is down");
    assert_eq!(stored(&world, "s").await.len(), 1);
}

#[tokio::test]
async fn what_is_not_stored_is_not_acknowledged() {
    let store: Arc<InMemoryStore> = Arc::default();
    let failing = FailingStore::around(&Stores::of(store.clone()));
    failing.fail("journal.accept", 1);
    let options = Options {
        store,
        journal: Some(Arc::new(failing)),
        ..Options::default()
    };
    let world = World::with([Script::answer("x")], options);
    assert!(matches!(
        world.chat.send(&alice(), say("s", "go")).await,
        Err(ChatError::Storage(_))
    ));
    assert!(stored(&world, "s").await.is_empty());
    let reply = world
        .chat
        .send(&alice(), say("s", "again"))
        .await
        .unwrap()
        .into_reply()
        .await
        .unwrap();
    assert_eq!(reply.text, "x");
}

#[tokio::test]
async fn bad_messages_are_refused_with_the_field() {
    let world = World::playing([]);
    for text in ["", "  \n", &"x".repeat(100_001)] {
        let error = world
            .chat
            .send(&alice(), say("s", text))
            .await
            .err()
            .unwrap();
        assert!(matches!(error.kind(), ErrorKind::Invalid(fields) if fields[0].field == "message"));
    }
    let mut scopeless = alice();
    scopeless.scopes = Scopes::from_iter([Scope::Sessions]);
    assert!(matches!(
        world.chat.send(&scopeless, say("s", "hi")).await,
        Err(ChatError::Denied(_))
    ));
}

#[tokio::test]
async fn nul_characters_never_reach_storage() {
    let world = World::playing([Script::pieces(["a\0b"])]);
    let reply = world
        .chat
        .send(&alice(), say("s", "x\0y"))
        .await
        .unwrap()
        .into_reply()
        .await
        .unwrap();
    assert_eq!(reply.text, "a\u{fffd}b");
    assert_eq!(stored(&world, "s").await[0].text, "x\u{fffd}y");
}

/// A tool that must not be repeated and notes what the journal knew when it ran.
struct Effect {
    spec: ToolSpec,
    store: Arc<InMemoryStore>,
}

#[async_trait::async_trait]
impl Tool for Effect {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }
    fn is_parallel(&self) -> bool {
        false
    }
    fn is_idempotent(&self) -> bool {
        false
    }
    async fn call(&self, context: &ToolContext, _: Value) -> Result<String, ToolError> {
        let run = self
            .store
            .find_in_session(&context.caller.user, &context.session, None)
            .await
            .unwrap()
            .unwrap();
        let events = self.store.events(&run.id, 0, 100).await.unwrap();
        let known = events
            .iter()
            .any(|event| matches!(event.kind, RunEventKind::ToolCalled(_)));
        Ok(if known {
            "journalled first".to_owned()
        } else {
            "too early".to_owned()
        })
    }
}

#[tokio::test]
async fn the_intent_is_journalled_before_an_effect() {
    let store: Arc<InMemoryStore> = Arc::default();
    let spec = ToolSpec {
        name: "effect".into(),
        description: String::new(),
        parameters: json!({"type": "object"}),
    };
    let tools: Vec<Arc<dyn Tool>> = vec![Arc::new(Effect {
        spec,
        store: store.clone(),
    })];
    let options = Options {
        store,
        tools,
        ..Options::default()
    };
    let world = World::with(
        [
            Script::tool_call("1", "effect", "{}"),
            Script::answer("done"),
        ],
        options,
    );
    world
        .chat
        .send(&alice(), say("s", "go"))
        .await
        .unwrap()
        .into_reply()
        .await
        .unwrap();
    let second = &world.model.requests()[1];
    let result = second.messages.iter().find_map(|message| match message {
        ModelMessage::Tool { content, .. } => Some(content.as_str()),
        _ => None,
    });
    assert_eq!(result, Some("journalled first"));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_takes_too_long_is_ended() {
    let config = majordomo_application::chat::AgentConfig {
        turn_timeout: Duration::from_secs(5),
        ..config()
    };
    let world = World::with(
        [Script::new().text("slow").hang()],
        Options {
            config,
            ..Options::default()
        },
    );
    let reply = world
        .chat
        .send(&alice(), say("s", "go"))
        .await
        .unwrap()
        .into_reply()
        .await
        .unwrap();
    assert_eq!(
        (reply.outcome.status, reply.outcome.reason.as_str()),
        (RunStatus::Failed, "timeout")
    );
}

#[tokio::test]
async fn overload_is_refused_and_passes() {
    let gate = Gate::closed();
    let config = majordomo_application::chat::AgentConfig {
        max_accepted_runs: 1,
        ..config()
    };
    let scripts = [
        Script::new().wait(&gate).text("1").finish(),
        Script::answer("2"),
    ];
    let world = World::with(
        scripts,
        Options {
            config,
            ..Options::default()
        },
    );
    let first = world.chat.send(&alice(), say("a", "x")).await.unwrap();
    assert!(matches!(
        world.chat.send(&alice(), say("b", "y")).await,
        Err(ChatError::Overloaded)
    ));
    gate.open();
    first.into_reply().await.unwrap();
    tokio::task::yield_now().await;
    while world.chat.active_sessions() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(world.chat.send(&alice(), say("b", "y")).await.is_ok());
}

#[tokio::test]
async fn a_model_whose_answer_breaks_off_is_left_alone_where_there_is_another() {
    let spare = Arc::new(ScriptedModel::playing([Script::answer("spare")]));
    let fallback = vec![(ModelRef::new("spare", "s1"), spare.clone())];
    let world = World::with(
        [Script::new().text("half").fail(unavailable())],
        Options {
            fallback,
            ..Options::default()
        },
    );
    for (session, expected) in [("a", "half"), ("b", "spare")] {
        let turn = world.chat.send(&alice(), say(session, "go")).await.unwrap();
        assert_eq!(turn.into_reply().await.unwrap().text, expected);
    }
}
