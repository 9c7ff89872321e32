//! PocketPaw's door: `/api/v1`, and the dashboard's `/api`.

use serde_json::json;

use crate::harness::{Event, ModelServer, Server};

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

fn text_of(events: &[Event]) -> String {
    let chunks = events.iter().filter(|event| event.name == "chunk");
    chunks
        .map(|event| event.json()["content"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn first_conversation_without_a_model() {
    let server = Server::assistant().await;
    let answer = server
        .post(
            "/api/v1/chat",
            &json!({ "content": "hello", "session_id": "demo" }),
        )
        .await
        .ok();
    assert_eq!(answer["session_id"], "websocket_demo");
    let said = answer["content"].as_str().unwrap();
    assert!(!said.is_empty());
    let expected = [
        ("user".to_owned(), "hello".to_owned()),
        ("assistant".to_owned(), said.to_owned()),
    ];
    assert_eq!(server.history("demo").await, expected);
    assert_eq!(server.history("websocket_demo").await, expected);
}

#[tokio::test]
async fn a_stream_begins_tells_every_piece_and_ends() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let body = json!({ "content": "ECHO one two three", "session_id": "s" });
    let events = server
        .stream("/api/v1/chat/stream", &body)
        .await
        .rest()
        .await;
    assert_eq!(names(&events).first(), Some(&"stream_start"));
    assert_eq!(names(&events).last(), Some(&"stream_end"));
    assert_eq!(text_of(&events), "one two three");
    assert_eq!(events[0].json()["session_id"], "websocket_s");
    let end = events.last().unwrap().json();
    assert_eq!(
        end["usage"],
        json!({ "input_tokens": 7, "output_tokens": 3 })
    );
}

#[tokio::test]
async fn a_tool_call_is_told_and_its_result_used() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let body = json!({ "content": r#"CALL calculator {"expression":"6*7"}"#, "session_id": "s" });
    let events = server
        .stream("/api/v1/chat/stream", &body)
        .await
        .rest()
        .await;
    let of = |name: &str| {
        events
            .iter()
            .find(|event| event.name == name)
            .unwrap()
            .json()
    };
    assert_eq!(of("tool_start")["tool"], "calculator");
    assert_eq!(of("tool_start")["input"], json!({ "expression": "6*7" }));
    assert_eq!(of("tool_result")["tool"], "calculator");
    assert!(text_of(&events).contains("42"), "{events:?}");
    assert_eq!(model.requests().len(), 2);
}

#[tokio::test]
async fn stop_ends_the_stream_and_keeps_what_was_said() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let body = json!({ "content": "HANG", "session_id": "s" });
    let mut stream = server.stream("/api/v1/chat/stream", &body).await;
    while stream.next().await.unwrap().unwrap().name != "chunk" {}
    let stopped = server
        .post("/api/v1/chat/stop?session_id=s", &json!({}))
        .await
        .ok();
    assert_eq!(
        stopped,
        json!({ "status": "ok", "session_id": "websocket_s" })
    );
    assert_eq!(names(&stream.rest().await), ["stream_end"]);
    let messages = server.get("/api/v1/sessions/s/history").await.ok();
    assert_eq!(messages[1]["content"], "hanging ");
    assert_eq!(messages[1]["metadata"]["status"], "stopped");
    server
        .post("/api/v1/chat/stop?session_id=s", &json!({}))
        .await
        .with_status(404);
}

#[tokio::test]
async fn sessions_are_made_listed_renamed_found_exported_and_deleted() {
    let server = Server::assistant().await;
    let created = server.post("/api/v1/sessions", &json!({})).await.ok();
    assert_eq!(created["title"], "New Chat");
    let id = created["id"].as_str().unwrap();
    server
        .post(
            "/api/v1/chat",
            &json!({ "content": "remember the zebra", "session_id": id }),
        )
        .await
        .ok();
    server
        .post(
            "/api/v1/chat",
            &json!({ "content": "hello", "session_id": "other" }),
        )
        .await
        .ok();

    let listed = server.get("/api/v1/sessions").await.ok();
    assert_eq!(listed["total"], 2);
    assert_eq!(listed["sessions"][0]["id"], "websocket_other");
    assert_eq!(listed["sessions"][1]["title"], "remember the zebra");
    assert_eq!(listed["sessions"][1]["message_count"], 2);

    let path = format!("/api/v1/sessions/{id}");
    server
        .post(&format!("{path}/title"), &json!({ "title": "Animals" }))
        .await
        .ok();
    let found = server.get("/api/v1/sessions/search?q=zebra").await.ok();
    assert_eq!(found["sessions"][0]["id"], id);
    assert_eq!(found["sessions"][0]["title"], "Animals");
    assert_eq!(found["sessions"].as_array().unwrap().len(), 1);

    let exported = server.get(&format!("{path}/export?format=json")).await.ok();
    assert_eq!(exported["messages"][0]["content"], "remember the zebra");
    let markdown = server
        .get(&format!("{path}/export?format=md"))
        .await
        .with_status(200);
    assert!(markdown.text.starts_with("# Conversation Export"));
    assert!(
        markdown
            .header("content-disposition")
            .contains("attachment")
    );

    server.delete(&path).await.ok();
    assert_eq!(
        server.delete(&path).await.with_status(404).json(),
        json!({ "detail": "Session not found" })
    );
    assert_eq!(
        server.get("/api/v1/sessions/search?q=zebra").await.ok()["sessions"],
        json!([])
    );
    assert!(server.history(id).await.is_empty());
}

#[tokio::test]
async fn the_dashboard_shows_the_same_sessions() {
    let server = Server::assistant().await;
    server
        .post(
            "/api/v1/chat",
            &json!({ "content": "hello", "session_id": "demo" }),
        )
        .await
        .ok();
    let listed = server.get("/api/sessions").await.ok();
    assert_eq!(listed["sessions"][0]["id"], "websocket_demo");
    assert!(listed["sessions"][0]["preview"].is_string());
    assert_eq!(
        server.get("/api/memory/sessions").await.ok()[0]["id"],
        "websocket_demo"
    );
    let messages = server
        .get("/api/memory/session?id=websocket_demo")
        .await
        .ok();
    assert!(messages.to_string().contains("hello"), "{messages}");
    assert!(server.get("/api/version").await.ok()["current"].is_string());
    assert!(server.get("/api/v1/version").await.ok()["version"].is_string());
    for path in ["/api/health", "/api/v1/health"] {
        assert_eq!(server.get(path).await.ok()["status"], "healthy");
    }
    server
        .post("/api/sessions/demo/title", &json!({ "title": "Renamed" }))
        .await
        .ok();
    assert_eq!(
        server.get("/api/v1/sessions").await.ok()["sessions"][0]["title"],
        "Renamed"
    );
    server.delete("/api/sessions/websocket_demo").await.ok();
    assert_eq!(server.get("/api/sessions").await.ok()["total"], 0);
}

#[tokio::test]
async fn failures_are_told_in_the_words_of_this_door() {
    let server = Server::assistant().await;
    let wrong = server
        .post("/api/v1/chat", &json!({}))
        .await
        .with_status(422)
        .json();
    assert_eq!(wrong["detail"][0]["loc"], json!(["body", "content"]));
    assert_eq!(wrong["detail"][0]["type"], "missing");
    let missing = server.get("/api/v1/nowhere").await.with_status(404).json();
    assert!(missing["detail"].is_string());
    let method = server.delete("/api/v1/chat").await.with_status(405).json();
    assert!(method["detail"].is_string());
    let no_session = server
        .post("/api/v1/chat/stop", &json!({}))
        .await
        .with_status(400)
        .json();
    assert_eq!(no_session["detail"], "session_id is required");
}

#[tokio::test]
async fn documentation_needs_no_internet() {
    let server = Server::assistant().await;
    for path in ["/api/v1/docs", "/api/v1/redoc"] {
        let page = server.get(path).await.with_status(200);
        assert!(page.header("content-type").starts_with("text/html"));
        for foreign in ["src=\"http", "href=\"http", "src=\"//", "@import"] {
            assert!(
                !page.text.contains(foreign),
                "{path} loads from elsewhere: {foreign}"
            );
        }
    }
}
