//! What users are told of what happens, and what the agent is about.

use std::time::Duration;

use majordomo_application::Caller;
use majordomo_application::events::{EventStream, SystemEventKind};
use majordomo_application::operations::{ActivityState, HealthStatus};
use majordomo_domain::{CredentialKind, RunEventKind, Scope, UserRole};
use majordomo_testkit::{Gate, Script};

use crate::support::{World, alice, caller, drain, say};

/// Names of the events that are there, without waiting for more.
async fn names(stream: &mut EventStream) -> Vec<&'static str> {
    let mut names = Vec::new();
    while let Ok(batch) = tokio::time::timeout(Duration::from_millis(50), stream.next_batch()).await
    {
        if batch.is_empty() {
            names.push("end");
            return names;
        }
        names.extend(batch.iter().map(|event| name(&event.kind)));
    }
    names
}

fn name(kind: &SystemEventKind) -> &'static str {
    match kind {
        SystemEventKind::Run { event, .. } => match &event.kind {
            RunEventKind::Started => "started",
            RunEventKind::Text(_) => "text",
            RunEventKind::Reasoning(_) => "reasoning",
            RunEventKind::ToolCalled(_) => "called",
            RunEventKind::ToolReturned(_) => "returned",
            RunEventKind::Hop(_) => "hop",
            RunEventKind::Recalled(_) => "recalled",
            RunEventKind::Finished(_) => "finished",
        },
        SystemEventKind::Health(_) => "health",
        SystemEventKind::Budget(_) => "budget",
    }
}

/// Says something as alice and waits for the end.
async fn turn(world: &World, session: &str) {
    let turn = world.chat.send(&alice(), say(session, "hi")).await.unwrap();
    drain(turn.into_events()).await;
}

#[tokio::test]
async fn a_user_is_told_where_a_run_turns() {
    let script = Script::new()
        .reasoning("hm")
        .reasoning("hm")
        .text("a")
        .text("b")
        .text("c")
        .finish();
    let world = World::playing([script]);
    let mut events = world.chat.listen(&alice(), None).unwrap();
    turn(&world, "s").await;
    assert_eq!(
        names(&mut events).await,
        ["started", "reasoning", "text", "finished"]
    );
}

#[tokio::test]
async fn nobody_is_told_of_the_runs_of_others() {
    let world = World::playing([Script::answer("secret")]);
    let mut bobs = world.chat.listen(&caller("bob"), None).unwrap();
    let mut alices = world.chat.listen(&alice(), None).unwrap();
    turn(&world, "s").await;
    assert_eq!(names(&mut alices).await, ["started", "text", "finished"]);
    assert_eq!(names(&mut bobs).await, [""; 0]);
    assert_eq!(
        world.chat.activity(&caller("bob")).unwrap().sessions,
        Vec::new()
    );
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_where_it_was() {
    let world = World::playing([Script::answer("one"), Script::answer("two")]);
    let mut first = world.chat.listen(&alice(), None).unwrap();
    turn(&world, "s").await;
    let seen = first.next_batch().await;
    let ids: Vec<u64> = seen.iter().map(|event| event.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    drop(first);
    turn(&world, "s").await;
    let mut again = world.chat.listen(&alice(), ids.last().copied()).unwrap();
    assert_eq!(names(&mut again).await, ["started", "text", "finished"]);
    let mut from_the_start = world.chat.listen(&alice(), Some(0)).unwrap();
    assert_eq!(names(&mut from_the_start).await.len(), 6);
    let mut from_the_future = world.chat.listen(&alice(), Some(u64::MAX)).unwrap();
    assert_eq!(names(&mut from_the_future).await, [""; 0]);
    assert_eq!(from_the_future.position(), again.position());
}

#[tokio::test]
async fn streams_end_when_the_server_shuts_down() {
    let world = World::playing([]);
    let mut events = world.chat.listen(&alice(), None).unwrap();
    world.chat.shut_down(Duration::from_secs(1)).await;
    assert_eq!(names(&mut events).await, ["end"]);
    let mut late = world.chat.listen(&alice(), None).unwrap();
    assert_eq!(names(&mut late).await, ["end"]);
}

#[tokio::test]
async fn what_a_reader_does_not_read_is_held_up_to_a_limit() {
    let user = alice().user;
    let world = World::playing([]);
    assert!(!world.chat.event_bus().is_used());
    let mut slow = world.chat.listen(&alice(), None).unwrap();
    for _ in 0..1000 {
        let kind = SystemEventKind::Health(HealthStatus::Degraded);
        world.chat.event_bus().publish(&user, kind);
    }
    assert_eq!(names(&mut slow).await.len(), 256);
}

#[tokio::test]
async fn everyone_is_told_what_concerns_everyone() {
    let world = World::playing([]);
    let mut alices = world.chat.listen(&alice(), None).unwrap();
    let mut bobs = world.chat.listen(&caller("bob"), None).unwrap();
    let kind = SystemEventKind::Health(HealthStatus::Degraded);
    world.chat.event_bus().broadcast(&kind);
    assert_eq!(names(&mut alices).await, ["health"]);
    assert_eq!(names(&mut bobs).await, ["health"]);
}

#[tokio::test]
async fn the_agents_activity_follows_its_run() {
    let (thinking, writing) = (Gate::closed(), Gate::closed());
    let script = Script::new()
        .wait(&thinking)
        .text("a")
        .wait(&writing)
        .finish();
    let world = World::playing([script]);
    let mut events = world.chat.listen(&alice(), None).unwrap();
    let state = || {
        let mut sessions = world.chat.activity(&alice()).unwrap().sessions;
        sessions.pop().map(|session| session.state)
    };
    assert_eq!(state(), None);
    let turn = world.chat.send(&alice(), say("s", "hi")).await.unwrap();
    events.next_batch().await;
    assert_eq!(state(), Some(ActivityState::Thinking));
    thinking.open();
    events.next_batch().await;
    assert_eq!(state(), Some(ActivityState::Streaming));
    writing.open();
    drain(turn.into_events()).await;
    assert_eq!(state(), None);
}

#[tokio::test]
async fn listening_needs_the_scope_of_chats() {
    let world = World::playing([]);
    let scopes = [Scope::Sessions].into_iter().collect();
    let caller = Caller::new(
        alice().user,
        UserRole::Owner,
        scopes,
        CredentialKind::MasterToken,
    );
    assert!(world.chat.listen(&caller, None).is_err());
    assert!(world.chat.activity(&caller).is_err());
}
