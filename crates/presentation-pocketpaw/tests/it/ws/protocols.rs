//! Whole turns in both protocols, frame by frame.

use majordomo_application::Caller;
use majordomo_application::ports::{FinishReason, ModelDelta, ModelError, ModelErrorKind};
use majordomo_domain::CredentialKind;
use majordomo_testkit::Script;
use serde_json::{Value, json};

use crate::memory::remember;

use super::site::{AGENT_END, STREAM_END, Site, kinds, said};

fn thinks_and_calculates() -> [Script; 2] {
    let call = Script::new()
        .reasoning("Hm. ")
        .delta(ModelDelta::ToolCallStarted {
            index: 0,
            id: "call-1".to_owned(),
            name: "calculator".to_owned(),
        })
        .delta(ModelDelta::ToolCallArguments {
            index: 0,
            fragment: r#"{"expression":"6*7"}"#.to_owned(),
        })
        .finish_with(FinishReason::ToolCalls);
    [call, Script::pieces(["It is", " 42."])]
}

/// The frame with its place in the first run of session `s`.
fn placed(seq: u64, mut frame: Value) -> Value {
    frame["session_id"] = json!("websocket_s");
    frame["run_id"] = json!("run-1");
    frame["seq"] = json!(seq);
    frame
}

fn event(seq: u64, event_type: &str, mut data: Value) -> Value {
    data["session_key"] = json!("websocket:s");
    data["trace_id"] = json!("run-1");
    let frame = json!({ "type": "system_event", "event_type": event_type, "data": data });
    placed(seq, frame)
}

#[actix_web::test]
async fn the_dashboard_is_told_a_turn() {
    let site = Site::playing(thinks_and_calculates()).await;
    let mut socket = site.greeted("/ws?resume_session=websocket_s").await;
    let history = json!({ "type": "session_history", "session_id": "websocket_s", "messages": [] });
    assert_eq!(socket.json().await, history);
    socket
        .say(&json!({ "action": "chat", "message": "6 times 7?" }))
        .await;
    let text = |seq, content: &str| {
        let frame = json!({ "type": "message", "content": content, "is_stream_chunk": true,
                            "metadata": { "trace_id": "run-1" } });
        placed(seq, frame)
    };
    let call = json!({ "name": "calculator", "params": { "expression": "6*7" }, "tool_call_id": "call-1" });
    let result = json!({ "name": "calculator", "result": "42", "status": "success", "tool_call_id": "call-1" });
    let usage = json!({ "backend": "majordomo", "model": "mock/scripted", "input_tokens": 20,
                        "output_tokens": 10, "cached_input_tokens": 0, "total_tokens": 30 });
    let end = json!({ "type": "stream_end", "usage": { "input_tokens": 20, "output_tokens": 10 } });
    assert_eq!(
        socket.frames(11).await,
        [
            placed(1, json!({ "type": "stream_start" })),
            event(1, "agent_start", json!({ "backend": "majordomo" })),
            event(1, "thinking", json!({})),
            event(2, "thinking", json!({ "content": "Hm. " })),
            event(3, "tool_start", call),
            event(4, "tool_result", result),
            text(5, "It is"),
            text(6, " 42."),
            event(7, "token_usage", usage),
            placed(7, end),
            event(7, "agent_end", json!({})),
        ]
    );
    socket.silent().await;
}

#[actix_web::test]
async fn the_dashboard_is_told_which_memories_were_recalled() {
    let site = Site::playing([Script::answer("Green")]).await;
    let memory = site.world.services.memory.clone();
    site.world.services.chat.remember_with(memory.clone());
    let id = remember(&site.world, "The favourite tea is green", &[]).await;
    // From now on the index is at hand, and the turn does not go without it.
    let operator = Caller::operator(CredentialKind::MasterToken);
    let question = "what is my favourite tea?";
    while memory.recall(&operator, question, 10_000).await.is_none() {}
    let mut socket = site.greeted("/ws?resume_session=websocket_s").await;
    assert_eq!(socket.json().await["type"], "session_history");
    socket
        .say(&json!({ "action": "chat", "message": question }))
        .await;
    let frames = socket.frames(4).await;
    assert_eq!(frames[3], event(2, "recalled", json!({ "memories": [id] })));
}

#[actix_web::test]
async fn the_documented_protocol_is_told_a_turn() {
    let site = Site::playing(thinks_and_calculates()).await;
    let mut socket = site.greeted("/api/v1/ws").await;
    socket
        .say(&json!({ "type": "chat", "content": "6 times 7?", "session_id": "s" }))
        .await;
    let call = json!({ "type": "tool_start", "tool": "calculator", "input": { "expression": "6*7" },
                       "tool_call_id": "call-1" });
    let result = json!({ "type": "tool_result", "tool": "calculator", "output": "42",
                         "status": "success", "tool_call_id": "call-1" });
    let usage = json!({ "input_tokens": 20, "output_tokens": 10 });
    assert_eq!(
        socket.frames(6).await,
        [
            placed(2, json!({ "type": "thinking", "content": "Hm. " })),
            placed(3, call),
            placed(4, result),
            placed(5, json!({ "type": "chunk", "content": "It is" })),
            placed(6, json!({ "type": "chunk", "content": " 42." })),
            placed(7, json!({ "type": "stream_end", "usage": usage })),
        ]
    );
    socket.silent().await;
    // A connection keeps its protocol.
    site.world.model.push(Script::answer("Yes."));
    socket
        .say(&json!({ "action": "chat", "message": "Sure?", "session_id": "websocket_s" }))
        .await;
    assert_eq!(
        kinds(&socket.until(STREAM_END).await),
        ["chunk", "stream_end"]
    );
}

#[actix_web::test]
async fn the_documentation_s_other_spelling_is_understood() {
    let site = Site::playing([Script::answer("Hi.")]).await;
    let mut socket = site.greeted("/ws").await;
    socket
        .say(&json!({ "action": "message", "content": "Hello" }))
        .await;
    assert_eq!(
        kinds(&socket.until(STREAM_END).await),
        ["chunk", "stream_end"]
    );
}

#[actix_web::test]
async fn a_failed_turn_says_why_and_ends_once() {
    let failure = || Script::refusal(ModelError::new(ModelErrorKind::Auth, "The key is wrong"));
    let site = Site::playing([failure(), failure()]).await;
    let mut dashboard = site.greeted("/ws").await;
    let frames = dashboard.chat("Hello").await;
    let kinds_told = kinds(&frames);
    assert_eq!(
        kinds_told,
        [
            "stream_start",
            "agent_start",
            "thinking",
            "token_usage",
            "error",
            "stream_end",
            "agent_end"
        ]
    );
    assert!(frames[4].contains("The key is wrong"), "{}", frames[4]);
    dashboard.silent().await;
    let mut documented = site.greeted("/ws").await;
    documented
        .say(&json!({ "type": "chat", "content": "Hello" }))
        .await;
    let frames = documented.until(STREAM_END).await;
    assert_eq!(kinds(&frames), ["error", "stream_end"]);
    assert!(frames[0].contains("The key is wrong"), "{}", frames[0]);
}

#[actix_web::test]
async fn an_answer_that_breaks_off_keeps_its_text_and_says_why() {
    let error = ModelError::new(ModelErrorKind::Unavailable, "The provider hung up");
    let site = Site::playing([Script::new().text("Half an ").fail(error)]).await;
    let mut socket = site.greeted("/ws").await;
    let frames = socket.chat("Hello").await;
    assert_eq!(said(&frames), "Half an ");
    let ends = frames.iter().filter(|frame| frame.contains(STREAM_END));
    assert_eq!(ends.count(), 1);
    assert!(kinds(&frames).contains(&"error".to_owned()), "{frames:?}");
}

#[actix_web::test]
async fn commands_are_answered_like_turns() {
    let site = Site::playing([]).await;
    let mut socket = site.greeted("/ws").await;
    let frames = socket.chat("/help").await;
    assert!(said(&frames).contains("/sessions"), "{frames:?}");
    assert!(site.world.model.requests().is_empty());
}

#[actix_web::test]
async fn pictures_reach_the_model_and_other_media_are_named() {
    let site = Site::playing([Script::answer("A cat.")]).await;
    let mut socket = site.greeted("/ws").await;
    let media = json!([
        { "data": "aGk=", "name": "cat.png", "mime_type": "image/png" },
        { "data": "aGk=", "name": "notes.pdf", "mime_type": "application/pdf" },
    ]);
    socket
        .say(&json!({ "action": "chat", "message": "What is it?", "media": media }))
        .await;
    let note = json!({ "type": "notification", "content": "notes.pdf was left out: only pictures can be sent" });
    assert_eq!(socket.json().await, note);
    socket.until(AGENT_END).await;
    let asked = format!("{:?}", site.world.model.requests()[0].messages);
    assert!(
        asked.contains("image/png") && asked.contains("aGk="),
        "{asked}"
    );
    assert!(!asked.contains("pdf"), "{asked}");
}
