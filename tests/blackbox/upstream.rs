//! Models that hang, fail and break off.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Event, ModelServer, Options, Server, Socket, within};

/// A server whose model must say something within a second.
async fn impatient(model: &ModelServer) -> Server {
    let config = format!(
        "[security]\nrate_limit_enabled = false\n{}idle_timeout_secs = 1\ntotal_timeout_secs = 4\n",
        model.settings()
    );
    Server::start(Options::config(config)).await
}

#[tokio::test]
async fn a_model_that_hangs_is_given_up() {
    let model = ModelServer::start().await;
    let server = impatient(&model).await;
    let begin = Instant::now();
    let silent = server
        .post(
            "/v1/chat",
            &json!({ "message": "SILENT", "conversation_id": "a" }),
        )
        .await;
    assert_eq!(
        silent.with_status(503).json()["error"]["code"],
        "SERVICE_UNAVAILABLE"
    );
    let body = json!({ "content": "HANG", "session_id": "b" });
    let events = server
        .stream("/api/v1/chat/stream", &body)
        .await
        .rest()
        .await;
    assert_eq!(events.last().unwrap().name, "error");
    let messages = json!([{ "role": "user", "content": "SILENT" }]);
    let passed = server
        .post(
            "/v1/chat/completions",
            &json!({ "model": "mock/m", "messages": messages }),
        )
        .await;
    assert!(matches!(passed.status, 503 | 504), "{passed:?}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    model.dropped(3).await;
    assert_eq!(
        server.history("b").await[1].1,
        "hanging ",
        "what was said is kept"
    );
    let body = json!({ "message": "ECHO still here", "conversation_id": "a" });
    assert_eq!(
        server.post("/v1/chat", &body).await.ok()["content"],
        "still here"
    );
}

async fn read_until_text(stream: &mut crate::harness::EventStream) -> Event {
    loop {
        let event = within(Duration::from_secs(10), "text", stream.next())
            .await
            .unwrap()
            .unwrap();
        if event.data.contains("hanging") {
            return event;
        }
    }
}

/// The model notices within 100 ms that nobody wants its answer any more.
#[tokio::test]
async fn stop_reaches_the_model_at_once() {
    const LIMIT: Duration = Duration::from_millis(100);
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let mut streams = 0;
    for path in ["/api/v1/chat/stream", "/v1/chat/stream"] {
        let body = json!({ "content": "HANG", "message": "HANG", "session_id": "s", "conversation_id": "s" });
        let mut stream = server.stream(path, &body).await;
        read_until_text(&mut stream).await;
        let asked = Instant::now();
        server
            .post("/api/v1/chat/stop?session_id=s", &json!({}))
            .await
            .ok();
        streams += 1;
        let took = model
            .dropped(streams)
            .await
            .saturating_duration_since(asked);
        assert!(took < LIMIT, "{path}: {took:?}");
        stream.rest().await;
    }
    let mut socket = Socket::open(&server, "/ws").await;
    socket
        .send(&json!({ "action": "chat", "message": "HANG", "session_id": "s" }))
        .await
        .unwrap();
    socket.until("message").await;
    let asked = Instant::now();
    socket
        .send(&json!({ "action": "stop", "session_id": "s" }))
        .await
        .unwrap();
    let took = model
        .dropped(streams + 1)
        .await
        .saturating_duration_since(asked);
    assert!(took < LIMIT, "socket: {took:?}");
}

/// Nobody can come back to an answer that is passed through, so it ends with its client.
#[tokio::test]
async fn a_client_of_a_passed_through_answer_that_leaves_ends_it() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let messages = json!([{ "role": "user", "content": "COUNT 100000 5 t" }]);
    let body = json!({ "model": "mock/m", "messages": messages, "stream": true });
    let mut stream = server.stream("/v1/chat/completions", &body).await;
    while !stream.next().await.unwrap().unwrap().data.contains("t-3 ") {}
    drop(stream);
    model.dropped(1).await;
}

/// So does one whose model has not said a word: nobody waits for it any more.
#[tokio::test]
async fn a_client_that_leaves_while_the_model_is_silent_ends_the_request_within_a_second() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let mut dropped = 0;
    for stream in [true, false] {
        for text in ["SILENT", "HANG"] {
            let messages = json!([{ "role": "user", "content": text }]);
            let body = json!({ "model": "mock/m", "messages": messages, "stream": stream });
            let asked = model.requests().len();
            let request = server.request(reqwest::Method::POST, "/v1/chat/completions");
            let client = tokio::spawn(async move {
                let mut answer = request.json(&body).send().await.unwrap();
                while answer.chunk().await.unwrap().is_some() {}
            });
            while model.requests().len() == asked {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            let left = Instant::now();
            client.abort();
            dropped += 1;
            let took = model.dropped(dropped).await.saturating_duration_since(left);
            assert!(
                took < Duration::from_secs(1),
                "{text}, stream {stream}: {took:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_model_that_its_provider_does_not_know_is_not_found() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let messages = json!([{ "role": "user", "content": "ECHO hi" }]);
    for stream in [false, true] {
        for name in ["mock/unheard-of", "majordomo/mock/unheard-of"] {
            let body = json!({ "model": name, "messages": messages, "stream": stream });
            let answer = server.post("/v1/chat/completions", &body).await;
            if stream && name.starts_with("majordomo") {
                // The agent's streams begin before its model is asked.
                assert!(answer.text.contains("model_not_found"), "{answer:?}");
                continue;
            }
            let answer = answer.with_status(404);
            assert_eq!(answer.json()["error"]["code"], "model_not_found", "{name}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told_and_kept() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let body = json!({ "message": "CUT 3", "conversation_id": "s" });
    let events = server.stream("/v1/chat/stream", &body).await.rest().await;
    assert_eq!(events.last().unwrap().name, "error");
    assert_eq!(server.history("s").await[1].1, "cut-0 cut-1 cut-2 ");
    assert_eq!(
        model.requests().len(),
        1,
        "an answer that has begun is not asked for again"
    );
}

#[tokio::test]
async fn the_fallback_answers_where_the_first_model_fails() {
    let broken = ModelServer::start().await;
    let working = ModelServer::start().await;
    // The first one is told to fail by the message; the second does not know that word.
    let config = format!(
        "[models]\ndefault = \"broken/m\"\nfallback = [\"working/m\"]\n\
         [[models.providers]]\nname = \"broken\"\nkind = \"openai\"\nbase_url = \"http://{}/missing\"\n\
         [[models.providers]]\nname = \"working\"\nkind = \"openai\"\nbase_url = \"http://{}/v1\"\n",
        "127.0.0.1:1", working.address
    );
    let server = Server::start(Options::config(config)).await;
    let answer = server
        .post("/v1/chat", &json!({ "message": "ECHO rescued" }))
        .await
        .ok();
    assert_eq!(
        (&answer["content"], &answer["model"]),
        (&json!("rescued"), &json!("working/m"))
    );
    assert!(broken.requests().is_empty());
}

#[tokio::test]
async fn failures_of_the_model_are_told_in_each_doors_words() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let answer = server
        .post("/v1/chat", &json!({ "message": "FAIL 401" }))
        .await;
    assert_eq!(
        answer.with_status(502).json()["error"]["code"],
        "UPSTREAM_ERROR"
    );
    let answer = server
        .post("/api/v1/chat", &json!({ "content": "FAIL 429" }))
        .await;
    assert!(answer.status == 429 || answer.status == 503, "{answer:?}");
    assert!(answer.json()["detail"].is_string());
}
