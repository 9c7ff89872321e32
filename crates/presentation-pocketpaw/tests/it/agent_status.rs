//! `/api/v1/agent/status` and its stream.

use actix_web::test::TestRequest;
use majordomo_application::ports::{ModelError, ModelErrorKind};
use majordomo_testkit::{Gate, Script};
use serde_json::{Value, json};

use crate::events::Stream;
use crate::world::{BOB, MASTER, World, bearer};

const STATUS: &str = "/api/v1/agent/status";
const STREAM: &str = "/api/v1/agent/status/stream";

fn idle() -> Value {
    json!({
        "global": { "state": "idle", "active_sessions": 0, "max_concurrent": 8, "uptime_seconds": 0 },
        "sessions": []
    })
}

fn active(state: &str) -> Value {
    json!({
        "global": { "state": "active", "active_sessions": 1, "max_concurrent": 8, "uptime_seconds": 0 },
        "sessions": [{
            "session_key": "websocket:s", "session_id": "websocket_s", "channel": "websocket", "title": null,
            "state": state, "tool_name": null, "duration_seconds": 0, "token_usage": null, "error_message": null
        }]
    })
}

/// Snapshots until one is `wanted`.
async fn until(stream: &mut Stream<'_>, wanted: &Value) {
    let mut seen = Vec::new();
    while let Some(told) = stream.next().await {
        assert_eq!(told.name, "status");
        assert!(told.id.is_some());
        if told.data == *wanted {
            return;
        }
        seen.push(told.data);
    }
    panic!("{wanted} never came, only {seen:?}");
}

#[actix_web::test]
async fn the_status_follows_the_agent() {
    let (thinking, writing) = (Gate::closed(), Gate::closed());
    let script = Script::new()
        .wait(&thinking)
        .text("a")
        .wait(&writing)
        .finish();
    let world = World::playing([script]).await;
    assert_eq!(world.get(STATUS).await.expect(200), idle());
    let request = bearer(TestRequest::get().uri(STREAM), MASTER);
    let mut stream = Stream::open(&world, request).await;
    until(&mut stream, &idle()).await;
    let body = json!({ "content": "hi", "session_id": "s" });
    let (_, ()) = tokio::join!(world.post("/api/v1/chat", body), async {
        until(&mut stream, &active("thinking")).await;
        thinking.open();
        until(&mut stream, &active("streaming")).await;
        assert_eq!(world.get(STATUS).await.expect(200), active("streaming"));
        // Of the operator's work nothing shows to others, not even how much there is.
        let bobs = bearer(TestRequest::get().uri(STATUS), BOB);
        assert_eq!(world.send(bobs).await.expect(200), idle());
        let bobs = bearer(TestRequest::get().uri(STREAM), BOB);
        let told = Stream::open(&world, bobs).await.all().await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].data, idle());
        writing.open();
        until(&mut stream, &idle()).await;
    });
    assert_eq!(world.get(STATUS).await.expect(200), idle());
}

#[actix_web::test]
async fn a_client_that_comes_back_is_told_everything_again() {
    let world = World::playing([Script::answer("a")]).await;
    let body = json!({ "content": "hi", "session_id": "s" });
    world.post("/api/v1/chat", body).await;
    let request = bearer(TestRequest::get().uri(STREAM), MASTER);
    let request = request.insert_header(("last-event-id", "17"));
    let told = Stream::open(&world, request).await.next().await.unwrap();
    assert_eq!(told.data, idle());
}

#[actix_web::test]
async fn a_server_that_is_not_well_says_so() {
    let world = World::playing([]).await;
    let error = ModelError::new(ModelErrorKind::Unavailable, "connection refused");
    world.model.offer(Err(error));
    world.get("/api/v1/health").await.expect(200);
    let status = world.get(STATUS).await.expect(200);
    assert_eq!(status["global"]["state"], "degraded");
}

#[actix_web::test]
async fn a_failure_is_told_for_a_minute_or_until_the_next_turn() {
    let error = || ModelError::new(ModelErrorKind::Unavailable, "mock is away");
    let gate = Gate::closed();
    let world = World::playing([
        Script::refusal(error()),
        Script::new().wait(&gate).text("a").fail(error()),
    ])
    .await;
    let say = || json!({ "content": "hi", "session_id": "s" });
    let failed = || {
        let mut status = active("error");
        status["global"] = idle()["global"].clone();
        status["sessions"][0]["error_message"] = json!("mock is away");
        status
    };
    world.post("/api/v1/chat", say()).await.expect(503);
    assert_eq!(world.get(STATUS).await.expect(200), failed());
    let bobs = bearer(TestRequest::get().uri(STATUS), BOB);
    assert_eq!(world.send(bobs).await.expect(200), idle());

    let request = bearer(TestRequest::get().uri(STREAM), MASTER);
    let mut stream = Stream::open(&world, request).await;
    until(&mut stream, &failed()).await;
    tokio::join!(world.post("/api/v1/chat", say()), async {
        until(&mut stream, &active("thinking")).await;
        gate.open();
        until(&mut stream, &failed()).await;
    });
    world.clock.advance(std::time::Duration::from_mins(1));
    let status = world.get(STATUS).await.expect(200);
    assert_eq!(status["sessions"], json!([]));
}
