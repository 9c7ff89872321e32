//! The WebSocket, in both of its protocols.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{ModelServer, Server, Socket, counted};

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .map(|frame| frame["type"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn first_conversation_in_the_documented_protocol_at_every_path() {
    let server = Server::assistant().await;
    for (number, path) in ["/ws", "/api/v1/ws", "/v1/ws"].into_iter().enumerate() {
        let mut socket = Socket::open(&server, path).await;
        let hello = socket.next().await;
        assert_eq!(hello["type"], "connection_info");
        assert!(hello["id"].as_str().unwrap().starts_with("websocket_"));
        let session = format!("s{number}");
        socket
            .send(&json!({ "type": "chat", "content": "hello", "session_id": session }))
            .await
            .unwrap();
        let frames = socket.until("stream_end").await;
        let said: String = frames
            .iter()
            .filter_map(|frame| frame["content"].as_str())
            .collect();
        assert_eq!(kinds(&frames)[0], "chunk");
        assert_eq!(
            server.history(&session).await[1],
            ("assistant".to_owned(), said)
        );
    }
}

#[tokio::test]
async fn the_dashboards_protocol() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let mut socket = Socket::open(&server, "/ws").await;
    let hello = socket.next().await;
    let session = hello["id"].as_str().unwrap();
    socket
        .send(&json!({ "action": "chat", "message": "ECHO one two" }))
        .await
        .unwrap();
    let frames = socket.until("stream_end").await;
    assert_eq!(frames[0]["type"], "stream_start");
    let pieces = frames.iter().filter(|frame| frame["type"] == "message");
    let said: String = pieces
        .map(|frame| frame["content"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(said, "one two");
    assert!(
        frames
            .iter()
            .all(|frame| frame["run_id"].is_string() && frame["seq"].is_u64())
    );
    assert_eq!(server.history(session).await[0].1, "ECHO one two");

    socket
        .send(&json!({ "action": "new_session" }))
        .await
        .unwrap();
    let fresh = socket.until("new_session").await.pop().unwrap();
    assert_ne!(fresh["id"], hello["id"]);
    socket
        .send(&json!({ "action": "switch_session", "session_id": session }))
        .await
        .unwrap();
    let history = socket.until("session_history").await.pop().unwrap();
    assert_eq!(history["messages"].as_array().unwrap().len(), 2);
    socket
        .send(&json!({ "action": "get_health" }))
        .await
        .unwrap();
    socket.until("health_update").await;
    socket
        .send(&json!({ "action": "get_settings" }))
        .await
        .unwrap();
    socket.until("settings").await;
    socket.send(&json!({ "action": "ping" })).await.unwrap();
    socket.until("pong").await;
}

#[tokio::test]
async fn what_is_no_json_or_no_action_is_answered_with_an_error() {
    let server = Server::assistant().await;
    let mut socket = Socket::open(&server, "/ws").await;
    socket.next().await;
    for text in [
        "not json",
        "[]",
        "{\"action\":\"launch_rocket\"}",
        "{\"action\":7}",
    ] {
        socket.send_text(text).await.unwrap();
        assert_eq!(socket.next().await["type"], "error", "{text}");
    }
    socket.send(&json!({ "action": "ping" })).await.unwrap();
    socket.until("pong").await;
}

#[tokio::test]
async fn a_second_message_waits_for_its_turn() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let mut socket = Socket::open(&server, "/ws").await;
    for text in ["COUNT 5 30 first", "ECHO second"] {
        socket
            .send(&json!({ "action": "chat", "message": text, "session_id": "s" }))
            .await
            .unwrap();
    }
    let first = socket.until("stream_end").await;
    let second = socket.until("stream_end").await;
    assert!(
        first.iter().any(|frame| frame["content"] == "first-4 "),
        "{first:?}"
    );
    assert!(
        second.iter().any(|frame| frame["content"] == "second"),
        "{second:?}"
    );
}

#[tokio::test]
async fn stop_ends_the_turn_with_one_stream_end() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let mut socket = Socket::open(&server, "/ws").await;
    socket
        .send(&json!({ "action": "chat", "message": "HANG", "session_id": "s" }))
        .await
        .unwrap();
    socket.until("message").await;
    socket
        .send(&json!({ "action": "stop", "session_id": "s" }))
        .await
        .unwrap();
    socket.until("stream_end").await;
    model.dropped(1).await;
    socket.send(&json!({ "action": "ping" })).await.unwrap();
    let rest = socket.until("pong").await;
    assert!(!kinds(&rest).contains(&"stream_end"));
    assert_eq!(server.history("s").await[1].1, "hanging ");
}

/// A closed socket only stops watching: the turn goes on, and who comes back sees the rest.
#[tokio::test]
async fn who_comes_back_sees_history_and_the_rest_of_what_runs() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let mut socket = Socket::open(&server, "/ws").await;
    let chat = json!({ "action": "chat", "message": "COUNT 30 20 t", "session_id": "s" });
    socket.send(&chat).await.unwrap();
    socket.until("message").await;
    drop(socket);
    let mut socket = Socket::open(&server, "/ws?resume_session=websocket_s").await;
    let history = socket.until("session_history").await.pop().unwrap();
    assert_eq!(
        history["messages"],
        json!([{ "role": "user", "content": "COUNT 30 20 t" }])
    );
    let frames = socket.until("stream_end").await;
    let pieces = frames.iter().filter(|frame| frame["type"] == "message");
    let said: String = pieces
        .map(|frame| frame["content"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(said, counted("t", 30));
}

#[tokio::test]
async fn a_frame_that_is_too_long_closes_the_socket() {
    let server = Server::assistant().await;
    let mut socket = Socket::open(&server, "/ws").await;
    let text = json!({ "action": "chat", "message": "x".repeat(11 * 1024 * 1024) }).to_string();
    // The server may close before it has read everything.
    let _ = socket.send_text(&text).await;
    assert!(matches!(socket.close_code().await, Some(1009) | None));
    Socket::open(&server, "/ws").await;
}

#[tokio::test]
async fn the_end_of_the_server_is_told() {
    let mut server = Server::assistant().await;
    let mut socket = Socket::open(&server, "/ws").await;
    socket.next().await;
    assert!(socket.is_silent_for(Duration::from_millis(100)).await);
    let (code, exit) = tokio::join!(socket.close_code(), server.stop());
    assert_eq!((code, exit), (Some(1001), 0));
}
