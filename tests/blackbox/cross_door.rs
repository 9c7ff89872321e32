//! One core behind all doors: what one writes, the others read.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, ModelServer, Server, Socket, run};

/// Says the same kind of thing through every door in one session, in this order.
#[tokio::test]
async fn one_session_goes_through_every_door() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let mut socket = Socket::open(&server, "/ws").await;
    socket
        .send(&json!({ "type": "chat", "content": "ECHO giraffe-socket", "session_id": "tour" }))
        .await
        .unwrap();
    socket.until("stream_end").await;

    let body = json!({ "content": "ECHO giraffe-paw", "session_id": "websocket_tour" });
    server.post("/api/v1/chat", &body).await.ok();
    let body = json!({ "message": "ECHO giraffe-pi", "conversation_id": "tour" });
    assert_eq!(
        server.post("/v1/chat", &body).await.ok()["conversation_id"],
        "tour"
    );
    let messages = json!([{ "role": "user", "content": "ECHO giraffe-openai" }]);
    let body =
        json!({ "model": "majordomo", "messages": messages, "metadata": { "session_id": "tour" } });
    server.post("/v1/chat/completions", &body).await.ok();
    let chatted = run(
        server.data_dir(),
        &["chat", "--session", "tour", "ECHO giraffe-terminal"],
    )
    .await
    .ok();
    assert_eq!(chatted.trim(), "giraffe-terminal");

    let doors = ["socket", "paw", "pi", "openai", "terminal"];
    let expected: Vec<_> = doors
        .iter()
        .flat_map(|door| {
            let answer = format!("giraffe-{door}");
            [
                ("user".to_owned(), format!("ECHO {answer}")),
                ("assistant".to_owned(), answer),
            ]
        })
        .collect();
    assert_eq!(server.history("tour").await, expected);
    // Every later turn was asked with all that was said before, through whichever door.
    let last = model.requests().pop().unwrap();
    assert_eq!(
        last["messages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["role"] != "system")
            .count(),
        9
    );
    every_door_finds(&server, "giraffe", "tour").await;
}

async fn every_door_finds(server: &Server, word: &str, session: &str) {
    let found = server
        .get(&format!("/api/v1/sessions/search?q={word}"))
        .await
        .ok();
    assert_eq!(found["sessions"][0]["id"], format!("websocket_{session}"));
    let path = format!("/api/search/conversations?q={word}");
    let request = server
        .request(Method::GET, &path)
        .header("Accept", "application/json");
    let found = Answer::of(request.send().await.unwrap()).await.ok();
    assert!(found["results"].to_string().contains(session), "{found}");
    let found = run(server.data_dir(), &["sessions", "search", word])
        .await
        .ok();
    assert!(found.contains(session), "{found}");
    assert_eq!(
        server.get("/api/sessions").await.ok()["sessions"][0]["id"],
        format!("websocket_{session}")
    );
    let mut socket = Socket::open(server, &format!("/ws?resume_session=websocket_{session}")).await;
    let history = socket.until("session_history").await.pop().unwrap();
    assert_eq!(history["messages"].as_array().unwrap().len(), 10);
}

/// Another user's credential sees nothing of it, and gets a session of its own under the same name.
#[tokio::test]
async fn another_users_sessions_do_not_exist() {
    let key = "sk-another-user-0123456789";
    let user = "3f0e8a6e-43a5-4a5e-9d6f-1f2d3c4b5a69";
    let config = format!(
        "[security]\nrate_limit_enabled = false\n[security.api_key_users]\n\"{key}\" = \"{user}\"\n"
    );
    let server = Server::start(crate::harness::Options::config(config)).await;
    server
        .post(
            "/v1/chat",
            &json!({ "message": "my secret", "conversation_id": "mine" }),
        )
        .await
        .ok();
    let as_other = async |method: Method, path: &str, body: Option<serde_json::Value>| {
        let request = server.anonymous(method, path).bearer_auth(key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request.send().await.unwrap()).await
    };
    assert_eq!(
        as_other(Method::GET, "/api/v1/sessions", None).await.ok()["total"],
        0
    );
    assert_eq!(
        as_other(Method::GET, "/api/v1/sessions/mine/history", None)
            .await
            .ok(),
        json!([])
    );
    let search = as_other(Method::GET, "/api/v1/sessions/search?q=secret", None)
        .await
        .ok();
    assert_eq!(search["sessions"], json!([]));
    as_other(Method::DELETE, "/api/v1/sessions/mine", None)
        .await
        .with_status(404);
    let body = json!({ "message": "hello", "conversation_id": "mine" });
    as_other(Method::POST, "/v1/chat", Some(body)).await.ok();
    assert_eq!(
        as_other(Method::GET, "/api/v1/sessions/mine/history", None)
            .await
            .ok()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(server.history("mine").await[0].1, "my secret");
    assert_eq!(server.history("mine").await.len(), 2);
}
