//! `/api/v1/events/stream`.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::test::{self, TestRequest};
use bytes::Bytes;
use majordomo_application::events::SystemEventKind;
use majordomo_application::operations::HealthStatus;
use majordomo_application::ports::ModelDelta;
use majordomo_testkit::{Gate, Script};
use serde_json::{Value, json};

use crate::world::{BOB, MASTER, World, bearer};

const STREAM: &str = "/api/v1/events/stream";

/// A body, whatever it is made of.
trait Body {
    /// The next bytes; `None` at the end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

impl<B: MessageBody> Body for Pin<Box<B>> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let next = self.as_mut().poll_next(context);
        next.map(|bytes| Some(bytes?.unwrap_or_else(|_| panic!("the body breaks off"))))
    }
}

/// A stream that is being read.
pub(crate) struct Stream<'a> {
    body: Box<dyn Body + 'a>,
    text: String,
}

/// A frame: its id, its name and its data.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl<'a> Stream<'a> {
    /// Opens a stream, which must be granted.
    pub(crate) async fn open(world: &'a World, request: TestRequest) -> Self {
        let app = world.app().await;
        let (_, answer) = test::call_service(&app, request.to_request())
            .await
            .into_parts();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(
            answer.headers().get("content-type").unwrap(),
            "text/event-stream; charset=utf-8"
        );
        Self {
            body: Box::new(Box::pin(answer.into_body())),
            text: String::new(),
        }
    }

    /// The next frame; `None` when none comes within a moment, or the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        while !self.text.contains("\n\n") {
            let next = poll_fn(|context| self.body.poll(context));
            let bytes = tokio::time::timeout(Duration::from_millis(300), next).await;
            let bytes = bytes.ok()??;
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        let text = std::mem::take(&mut self.text);
        let (frame, rest) = text.split_once("\n\n").unwrap();
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
        let told = Told {
            id: field("id: ").map(str::to_owned),
            name: field("event: ").unwrap().to_owned(),
            data: serde_json::from_str(field("data: ").unwrap()).unwrap(),
        };
        self.text.push_str(rest);
        Some(told)
    }

    /// Every frame that comes before there is a pause.
    pub(crate) async fn all(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Some(told) = self.next().await {
            all.push(told);
        }
        all
    }
}

fn listening(token: &str) -> TestRequest {
    bearer(TestRequest::get().uri(STREAM), token)
}

fn names(told: &[Told]) -> Vec<&str> {
    told.iter().map(|told| told.name.as_str()).collect()
}

async fn say(world: &World, session: &str) {
    let body = json!({ "content": "hi", "session_id": session });
    world.post("/api/v1/chat", body).await;
}

#[actix_web::test]
async fn a_run_is_told_step_by_step() {
    let script = Script::new()
        .delta(ModelDelta::ToolCallStarted {
            index: 0,
            id: "call-1".to_owned(),
            name: "calculator".to_owned(),
        })
        .delta(ModelDelta::ToolCallArguments {
            index: 0,
            fragment: "{\"expression\":\"6*7\"}".to_owned(),
        })
        .finish();
    let world = World::playing([script, Script::pieces(["It is", " 42."])]).await;
    let mut stream = Stream::open(&world, listening(MASTER)).await;
    let connected = stream.next().await.unwrap();
    assert_eq!(connected.name, "connected");
    assert_eq!(connected.data, json!({ "status": "ok" }));
    say(&world, "s").await;
    let told = stream.all().await;
    let names = names(&told);
    assert_eq!(
        names,
        [
            "agent_start",
            "thinking",
            "tool_start",
            "tool_result",
            "thinking_done",
            "token_usage",
            "agent_end"
        ]
    );
    for told in &told {
        assert_eq!(told.data["event"], told.name.as_str());
        assert_eq!(told.data["data"]["session_key"], "websocket:s");
    }
    assert_eq!(
        told[2].data["data"],
        json!({
            "session_key": "websocket:s", "trace_id": "run-1", "name": "calculator",
            "params": { "expression": "6*7" }, "tool_call_id": "call-1"
        })
    );
    assert_eq!(
        told[3].data["data"],
        json!({
            "session_key": "websocket:s", "trace_id": "run-1", "name": "calculator",
            "result": "42", "status": "success", "tool_call_id": "call-1"
        })
    );
}

#[actix_web::test]
async fn another_users_runs_do_not_show() {
    let world = World::playing([Script::answer("secret")]).await;
    let mut bobs = Stream::open(&world, listening(BOB)).await;
    let mut own = Stream::open(&world, listening(MASTER)).await;
    say(&world, "s").await;
    assert_eq!(names(&bobs.all().await), ["connected"]);
    assert_eq!(own.all().await.len(), 6);
    let position = own.all().await;
    assert!(position.is_empty());
    // The position of another user opens nothing of theirs.
    let again = listening(BOB).insert_header(("last-event-id", "0"));
    let mut again = Stream::open(&world, again).await;
    assert_eq!(names(&again.all().await), ["connected"]);
}

#[actix_web::test]
async fn a_stream_cut_anywhere_goes_on_where_it_was() {
    let world = World::playing([Script::answer("one"), Script::answer("two")]).await;
    let mut stream = Stream::open(&world, listening(MASTER)).await;
    say(&world, "s").await;
    let whole = stream.all().await;
    drop(stream);
    for (place, last) in whole.iter().enumerate() {
        let Some(id) = &last.id else { continue };
        let again = listening(MASTER).insert_header(("last-event-id", id.as_str()));
        let mut again = Stream::open(&world, again).await;
        let told = again.all().await;
        assert_eq!(names(&told)[1..], names(&whole)[place + 1..], "{id}");
    }
    let last = whole.last().unwrap().id.clone().unwrap();
    say(&world, "s").await;
    let again = listening(MASTER).insert_header(("last-event-id", last));
    let told = Stream::open(&world, again).await.all().await;
    assert_eq!(names(&told)[1..], names(&whole)[1..]);
    assert!(
        told[1..]
            .iter()
            .all(|told| told.data["data"]["trace_id"] == "run-2")
    );
}

#[actix_web::test]
async fn what_concerns_everyone_is_told_to_everyone() {
    let world = World::playing([]).await;
    let mut bobs = Stream::open(&world, listening(BOB)).await;
    assert_eq!(bobs.next().await.unwrap().name, "connected");
    let kind = SystemEventKind::Health(HealthStatus::Degraded);
    world.services.chat.event_bus().broadcast(&kind);
    let told = bobs.next().await.unwrap();
    assert_eq!(
        told.data,
        json!({ "event": "health_update", "data": { "status": "degraded" } })
    );
}

#[actix_web::test]
async fn streams_end_at_shutdown() {
    let gate = Gate::closed();
    let world = World::playing([Script::new().text("a").wait(&gate).finish()]).await;
    let mut stream = Stream::open(&world, listening(MASTER)).await;
    world.services.chat.shut_down(Duration::from_secs(1)).await;
    assert_eq!(stream.next().await.unwrap().name, "connected");
    let next = poll_fn(|context| stream.body.poll(context));
    let end = tokio::time::timeout(Duration::from_secs(5), next).await;
    assert!(end.unwrap().is_none());
}

#[actix_web::test]
async fn listening_is_refused_without_the_right_to_and_from_nowhere() {
    let world = World::playing([]).await;
    let paths = [
        STREAM,
        "/api/v1/agent/status",
        "/api/v1/agent/status/stream",
    ];
    let sessions = world.key(&["sessions"]).await;
    for path in paths {
        let request = TestRequest::get().uri(path);
        assert_eq!(world.send(request).await.status, 401, "{path}");
        let request = TestRequest::get().uri(path);
        assert_eq!(
            world.send(bearer(request, &sessions)).await.status,
            403,
            "{path}"
        );
    }
    let garbled = listening(MASTER).insert_header(("last-event-id", "run-1.7"));
    let refused = world.send(garbled).await.expect(422);
    assert_eq!(refused["detail"][0]["loc"][1], "Last-Event-ID");
}
