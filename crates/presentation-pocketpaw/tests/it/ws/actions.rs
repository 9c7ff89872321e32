//! Actions besides talking, and words that are none.

use std::sync::Arc;

use majordomo_application::operations::HealthService;
use majordomo_application::ports::{ErrorLog as _, NewLoggedError, Severity};
use majordomo_presentation_pocketpaw::ws::SocketTiming;
use majordomo_testkit::{Gate, InMemoryErrorLog, Script};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::site::{AGENT_END, STREAM_END, Site, kinds, said};
use crate::world::{BOB, World};

#[actix_web::test]
async fn sessions_are_switched_and_begun() {
    let site = Site::playing([Script::answer("One."), Script::answer("Two.")]).await;
    let mut socket = site.greeted("/ws").await;
    socket.chat("First").await;
    socket.say(&json!({ "action": "new_session" })).await;
    let new = json!({ "type": "new_session", "id": "websocket_session-2" });
    assert_eq!(socket.json().await, new);
    let frames = socket.chat("Second").await;
    assert!(frames[0].contains("websocket_session-2"), "{}", frames[0]);
    let switch = json!({ "action": "switch_session", "session_id": "websocket_session-1" });
    socket.say(&switch).await;
    let messages = json!([
        { "role": "user", "content": "First" },
        { "role": "assistant", "content": "One." },
    ]);
    let history = json!({ "type": "session_history", "session_id": "websocket_session-1",
                          "messages": messages });
    assert_eq!(socket.json().await, history);
    socket
        .say(&json!({ "action": "switch_session", "session_id": "websocket_nope" }))
        .await;
    let empty =
        json!({ "type": "session_history", "session_id": "websocket_nope", "messages": [] });
    assert_eq!(socket.json().await, empty);
}

#[actix_web::test]
async fn stop_ends_the_turn_once_and_keeps_what_was_said() {
    let site = Site::playing([Script::new().text("Once upon").hang()]).await;
    let mut socket = site.greeted("/ws?resume_session=s").await;
    socket.json().await;
    socket
        .say(&json!({ "action": "chat", "message": "A story" }))
        .await;
    socket.until("Once upon").await;
    socket.say(&json!({ "action": "stop" })).await;
    let frames = socket.until(AGENT_END).await;
    assert_eq!(kinds(&frames), ["token_usage", "stream_end", "agent_end"]);
    // Nothing runs any more: the client wants silence and has it.
    socket.say(&json!({ "action": "stop" })).await;
    assert_eq!(socket.json().await, json!({ "type": "stream_end" }));
    socket
        .say(&json!({ "action": "switch_session", "session_id": "s" }))
        .await;
    assert_eq!(socket.json().await["messages"][1]["content"], "Once upon");
}

#[actix_web::test]
async fn a_second_message_waits_for_the_first_to_be_answered() {
    let gate = Gate::closed();
    let first = Script::new().text("One").wait(&gate).finish();
    let site = Site::playing([first, Script::answer("Two")]).await;
    let mut socket = site.greeted("/ws").await;
    for message in ["1", "2"] {
        socket
            .say(&json!({ "action": "chat", "message": message }))
            .await;
    }
    socket.until("\"One\"").await;
    socket.silent().await;
    gate.open();
    let rest_of_first = socket.until(AGENT_END).await;
    assert!(rest_of_first.iter().all(|frame| frame.contains("run-1")));
    let second = socket.until(AGENT_END).await;
    assert_eq!(kinds(&second)[0], "stream_start");
    assert_eq!(said(&second), "Two");
    assert!(second.iter().all(|frame| frame.contains("run-2")));
}

#[actix_web::test]
async fn a_full_queue_is_told_without_ending_what_runs() {
    let gate = Gate::closed();
    let site = Site::playing([Script::new().text("One").wait(&gate).finish()]).await;
    let mut socket = site.greeted("/ws").await;
    socket
        .say(&json!({ "action": "chat", "message": "1" }))
        .await;
    socket.until("\"One\"").await;
    for message in ["2", "3", "4"] {
        socket
            .say(&json!({ "action": "chat", "message": message }))
            .await;
    }
    let refused = json!({ "type": "error", "content": "Too many messages wait in this session" });
    assert_eq!(socket.json().await, refused);
    socket.silent().await;
    gate.open();
    assert!(socket.until(STREAM_END).await[0].contains("run-1"));
}

#[actix_web::test]
async fn turns_of_several_sessions_are_shown_at_once() {
    let gate = Gate::closed();
    let first = Script::new().text("One").wait(&gate).finish();
    let site = Site::playing([first, Script::answer("Two")]).await;
    let mut socket = site.greeted("/ws").await;
    socket
        .say(&json!({ "type": "chat", "content": "1", "session_id": "a" }))
        .await;
    socket.until("\"One\"").await;
    socket
        .say(&json!({ "type": "chat", "content": "2", "session_id": "b" }))
        .await;
    let second = socket.until(STREAM_END).await;
    assert!(second.iter().all(|frame| frame.contains("websocket_b")));
    gate.open();
    let rest = socket.until(STREAM_END).await;
    assert!(rest.iter().all(|frame| frame.contains("websocket_a")));
}

#[actix_web::test]
async fn the_agent_and_its_health_are_told() {
    let site = Site::playing([]).await;
    let mut socket = site.greeted("/ws").await;
    socket.say(&json!({ "action": "get_settings" })).await;
    let settings = socket.json().await;
    assert_eq!(settings["type"], "settings");
    let content = &settings["content"];
    let status = json!({ "status": "running", "backend": "majordomo" });
    assert_eq!(content["agentStatus"], status);
    assert_eq!(content["model"], "mock/scripted");
    assert_eq!(content["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(content["hasGoogleOAuthId"], json!(false));
    for action in ["get_health", "run_health_check"] {
        socket.say(&json!({ "action": action })).await;
        let health = socket.json().await;
        assert_eq!(health["type"], "health_update");
        assert_eq!(health["data"]["status"], "healthy", "{health}");
        assert_eq!(health["data"]["issues"], json!([]));
    }
}

#[actix_web::test]
async fn the_latest_errors_are_told_to_administrators() {
    let errors = Arc::<InMemoryErrorLog>::default();
    for message in ["first", "second", "third"] {
        errors.record(NewLoggedError {
            source: "majordomo::models".to_owned(),
            severity: Severity::Warning,
            message: message.to_owned(),
            trace: String::new(),
            context: Vec::new(),
        });
    }
    let mut world = World::playing([]).await;
    let services = &mut world.services;
    let health = HealthService::new(
        services.models.clone(),
        world.storage.clone(),
        world.clock.clone(),
    );
    services.health = Arc::new(health.with_errors(errors, world.storage.clone()));
    let site = Site::serve(world, SocketTiming::default());
    let mut socket = site.greeted("/ws").await;
    let ask = |limit: i64, search: &str| json!({ "action": "get_health_errors", "limit": limit, "search": search });
    for (ask, expected) in [
        (ask(2, ""), vec!["third", "second"]),
        (ask(20, "FIR"), vec!["first"]),
        (
            json!({ "action": "get_health_errors" }),
            vec!["third", "second", "first"],
        ),
    ] {
        socket.say(&ask).await;
        let told = socket.json().await;
        assert_eq!(told["type"], "health_errors");
        let errors = told["errors"].as_array().unwrap().iter();
        let messages: Vec<_> = errors.map(|error| error["message"].clone()).collect();
        assert_eq!(messages, expected);
    }
    let mut others = site
        .connect_with("/ws", &[("authorization", &format!("Bearer {BOB}"))])
        .await
        .unwrap()
        .0;
    others.json().await;
    others.say(&ask(2, "")).await;
    assert_eq!(others.json().await["type"], "error");
}

#[actix_web::test]
async fn pings_are_answered_and_late_credentials_ignored() {
    let site = Site::playing([]).await;
    let mut socket = site.greeted("/ws").await;
    socket
        .say(&json!({ "action": "authenticate", "token": "x" }))
        .await;
    socket.say(&json!({ "action": "ping" })).await;
    assert_eq!(socket.json().await, json!({ "type": "pong" }));
    socket.say(&json!({ "type": "ping" })).await;
    assert_eq!(socket.json().await, json!({ "type": "pong" }));
    socket.send(Message::Ping(vec![1, 2].into())).await;
    assert_eq!(
        socket.message().await,
        Some(Message::Pong(vec![1, 2].into()))
    );
}

#[actix_web::test]
async fn what_this_server_does_not_do_is_said_so() {
    let site = Site::playing([]).await;
    let mut socket = site.greeted("/ws").await;
    for action in ["get_skills", "save_api_key", "bogus"] {
        socket
            .say(&json!({ "action": action, "message": { "any": "thing" } }))
            .await;
        let content = format!("{action} is not available on this server");
        let error = json!({ "type": "error", "content": content });
        assert_eq!(socket.json().await, error);
    }
}

#[actix_web::test]
async fn garbage_is_answered_and_the_connection_stays() {
    let site = Site::playing([Script::answer("Still here.")]).await;
    let mut socket = site.greeted("/ws").await;
    let unreadable = "Expected a JSON object with an action or a type";
    let list = "[\"chat\",null]";
    for garbage in ["notjson", "", "[]", list, "{}", "null", "{\"action\":5}"] {
        socket.send(Message::text(garbage)).await;
        let error = json!({ "type": "error", "content": unreadable });
        assert_eq!(socket.json().await, error, "{garbage}");
    }
    let answered = |frame: Value| frame["type"] == "error";
    socket.send(Message::binary(vec![1, 2, 3])).await;
    assert!(answered(socket.json().await));
    for frame in [
        json!({ "action": "chat", "message": 5 }),
        json!({ "action": "switch_session" }),
        json!({ "action": "switch_session", "session_id": "../x" }),
        json!({ "action": "resume" }),
        json!({ "action": "resume", "run_id": "none" }),
    ] {
        socket.say(&frame).await;
        assert!(answered(socket.json().await), "{frame}");
    }
    // A message that is refused ends no turn, but whoever waits for one is released.
    socket
        .say(&json!({ "action": "chat", "message": " " }))
        .await;
    let refused = json!({ "type": "error", "content": "message: cannot be empty" });
    assert_eq!(socket.json().await, refused);
    assert_eq!(socket.json().await, json!({ "type": "stream_end" }));
    assert_eq!(said(&socket.chat("Anyone?").await), "Still here.");
}
