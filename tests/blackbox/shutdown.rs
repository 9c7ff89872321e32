//! Stopping: every stream gets its end, nothing that was said is lost, and it takes no longer than the settings say.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Event, EventStream, ModelServer, Options, PATIENCE, Server, Socket, WITHOUT_LIMITS, eventually,
    within,
};

/// What the server may take, and a moment for the process to end.
const ALLOWED: Duration = Duration::from_secs(3 + 2);

async fn start(model: &ModelServer) -> Server {
    let config = format!(
        "{WITHOUT_LIMITS}[server]\nshutdown_timeout_secs = 3\n{}",
        model.settings()
    );
    Server::start(Options::config(config)).await
}

async fn listen(server: &Server, path: &str) -> EventStream {
    let response = server.request(Method::GET, path).send().await.unwrap();
    EventStream::of(response).await.unwrap()
}

async fn first(stream: &mut EventStream) -> Event {
    within(PATIENCE, "an event", stream.next())
        .await
        .unwrap()
        .unwrap()
}

/// The events up to the end of the body, which must come.
async fn rest(mut stream: EventStream) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = within(PATIENCE, "the end", stream.next()).await.unwrap() {
        events.push(event);
    }
    events
}

fn hang(model: &str) -> Value {
    json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": "HANG" }] })
}

/// All of it at once: a stream of each dialect while its model is silent, and those that have no end of their own.
#[tokio::test]
async fn every_stream_is_told_of_the_end_in_time() {
    let model = ModelServer::start().await;
    let mut server = start(&model).await;
    let said = json!({ "content": "HANG", "session_id": "a" });
    let mut pocketpaw = server.stream("/api/v1/chat/stream", &said).await;
    let said = json!({ "message": "HANG", "conversation_id": "b" });
    let mut pisovereign = server.stream("/v1/chat/stream", &said).await;
    let mut agent = server
        .stream("/v1/chat/completions", &hang("majordomo"))
        .await;
    let mut relayed = server.stream("/v1/chat/completions", &hang("mock/m")).await;
    let mut events = listen(&server, "/api/v1/events/stream").await;
    let mut status = listen(&server, "/api/v1/agent/status/stream").await;
    for stream in [
        &mut pocketpaw,
        &mut pisovereign,
        &mut agent,
        &mut relayed,
        &mut events,
        &mut status,
    ] {
        first(stream).await;
    }
    let mut idle = Socket::open(&server, "/ws").await;
    idle.next().await;
    let mut socket = Socket::open(&server, "/ws").await;
    socket
        .send(&json!({ "type": "chat", "content": "HANG", "session_id": "c" }))
        .await
        .unwrap();
    socket.until("chunk").await;
    // All four runs and the relayed call are with the model.
    eventually("the model was asked by all", async || {
        (model.requests().len() >= 5).then_some(())
    })
    .await;

    let begin = Instant::now();
    let (code, pocketpaw, pisovereign, agent, relayed, events, status, (frames, closed), idle) = tokio::join!(
        server.stop(),
        rest(pocketpaw),
        rest(pisovereign),
        rest(agent),
        rest(relayed),
        rest(events),
        rest(status),
        async { (socket.until("stream_end").await, socket.close_code().await) },
        idle.close_code(),
    );
    assert_eq!(code, 0, "{}", server.log());
    assert!(begin.elapsed() < ALLOWED, "{:?}", begin.elapsed());
    assert_eq!((closed, idle), (Some(1001), Some(1001)));
    assert!(!frames.is_empty());
    let last = |events: &[Event]| events.last().unwrap().clone();
    assert_eq!(last(&pocketpaw).name, "error");
    assert_eq!(last(&pisovereign).name, "error");
    for stream in [&agent, &relayed] {
        let told = last(stream).json();
        assert!(told["error"]["message"].is_string(), "{told}");
    }
    assert_eq!(last(&events).name, "agent_end");
    assert_eq!(last(&status).json()["global"]["state"], "idle");
}

/// What was shown is kept as interrupted, and what nobody has seen anything of runs when the server is back.
#[tokio::test]
async fn runs_wait_for_the_next_start() {
    let model = ModelServer::start().await;
    let mut server = start(&model).await;
    let mut shown = server
        .stream(
            "/api/v1/chat/stream",
            &json!({ "content": "HANG", "session_id": "shown" }),
        )
        .await;
    while first(&mut shown).await.name != "chunk" {}
    let waits = json!({ "content": "ECHO waited", "session_id": "shown" });
    let waiting = server.stream("/api/v1/chat/stream", &waits).await;
    assert_eq!(server.stop().await, 0);
    rest(shown).await;
    rest(waiting).await;
    server.restart().await;
    let expected = [
        ("user", "HANG"),
        ("user", "ECHO waited"),
        ("assistant", "hanging "),
        ("assistant", "waited"),
    ];
    let mut history = Vec::new();
    let begin = Instant::now();
    while history.len() < expected.len() && begin.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
        history = server.history("shown").await;
    }
    let found: Vec<(&str, &str)> = history
        .iter()
        .map(|(role, text)| (role.as_str(), text.as_str()))
        .collect();
    for pair in expected {
        assert!(found.contains(&pair), "{found:?}");
    }
}

/// A client that does not read its stream does not keep the server from ending.
#[tokio::test]
async fn nobody_can_keep_the_server_from_stopping() {
    use tokio::io::AsyncWriteExt as _;

    let model = ModelServer::start().await;
    let mut server = start(&model).await;
    let body = json!({ "content": "BIG 40000000", "session_id": "big" }).to_string();
    let mut socket = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let request = format!(
        "POST /api/v1/chat/stream HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        server.token,
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    // Half a request, too.
    let mut half = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    half.write_all(b"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();
    eventually("the model was asked", async || {
        (!model.requests().is_empty()).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begin = Instant::now();
    assert_eq!(server.stop().await, 0);
    assert!(begin.elapsed() < ALLOWED, "{:?}", begin.elapsed());
    drop((socket, half));
}
