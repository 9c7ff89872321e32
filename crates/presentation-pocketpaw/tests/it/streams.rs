//! `/api/v1/chat/stream`: event by event, cut and gone on with.

use std::time::Duration;

use actix_web::test::TestRequest;
use majordomo_application::ports::{ModelError, ModelErrorKind};
use majordomo_testkit::Script;
use majordomo_testkit::scripted_model::Gate;
use serde_json::json;

use crate::world::{BOB, MASTER, World, bearer};

const STREAM: &str = "/api/v1/chat/stream";

fn saying(content: &str, session: &str) -> TestRequest {
    let body = json!({ "content": content, "session_id": session });
    bearer(TestRequest::post().uri(STREAM).set_json(body), MASTER)
}

fn frames(text: &str) -> Vec<&str> {
    text.split_inclusive("\n\n").collect()
}

#[actix_web::test]
async fn an_answer_is_told_event_by_event() {
    let world = World::playing([
        Script::new()
            .reasoning("Hm. ")
            .delta(majordomo_application::ports::ModelDelta::ToolCallStarted {
                index: 0,
                id: "call-1".to_owned(),
                name: "calculator".to_owned(),
            })
            .delta(
                majordomo_application::ports::ModelDelta::ToolCallArguments {
                    index: 0,
                    fragment: r#"{"expression":"6*7"}"#.to_owned(),
                },
            )
            .finish_with(majordomo_application::ports::FinishReason::ToolCalls),
        Script::pieces(["It is", " 42."]),
    ])
    .await;
    let answer = world.send(saying("6 times 7?", "s")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        "text/event-stream; charset=utf-8"
    );
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("x-accel-buffering"), "no");
    assert_eq!(
        frames(&answer.text),
        [
            "id: run-1.1\nevent: stream_start\ndata: {\"session_id\":\"websocket_s\"}\n\n",
            "id: run-1.2\nevent: thinking\ndata: {\"content\":\"Hm. \"}\n\n",
            "id: run-1.3\nevent: tool_start\ndata: {\"tool\":\"calculator\",\"input\":{\"expression\":\"6*7\"}}\n\n",
            "id: run-1.4\nevent: tool_result\ndata: {\"tool\":\"calculator\",\"output\":\"42\"}\n\n",
            "id: run-1.5\nevent: chunk\ndata: {\"content\":\"It is\",\"type\":\"text\"}\n\n",
            "id: run-1.6\nevent: chunk\ndata: {\"content\":\" 42.\",\"type\":\"text\"}\n\n",
            "id: run-1.7\nevent: stream_end\ndata: {\"session_id\":\"websocket_s\",\"usage\":{\"input_tokens\":20,\"output_tokens\":10}}\n\n",
        ]
    );
}

#[actix_web::test]
async fn a_stream_cut_anywhere_goes_on_with_the_same_bytes() {
    let world = World::playing([Script::pieces(["a", "b", "c"])]).await;
    let whole = world.send(saying("letters", "s")).await.text;
    let whole = frames(&whole);
    assert_eq!(whole.len(), 5);
    for after in 0..=whole.len() {
        let rest = whole[after..].concat();
        let last = format!("run-1.{after}");
        let with_header = |request: TestRequest| {
            bearer(
                request
                    .uri(STREAM)
                    .insert_header(("last-event-id", last.clone())),
                MASTER,
            )
        };
        assert_eq!(world.send(with_header(TestRequest::get())).await.text, rest);
        // Clients that reconnect with the same request do not say their message twice.
        let again = TestRequest::post().set_json(json!({ "content": "letters" }));
        assert_eq!(world.send(with_header(again)).await.text, rest);
        let query = format!("{STREAM}?run=run-1&after={after}");
        assert_eq!(world.get(&query).await.text, rest);
    }
    assert_eq!(world.model.requests().len(), 1);
}

#[actix_web::test]
async fn a_stream_that_is_dropped_in_the_middle_can_be_followed_live() {
    let gate = Gate::closed();
    let script = Script::new()
        .text("first")
        .wait(&gate)
        .text("second")
        .finish();
    let world = World::playing([script]).await;
    let cut = tokio::time::timeout(Duration::from_millis(200), world.send(saying("go", "s"))).await;
    assert!(cut.is_err(), "the model waits");
    let place = format!("{STREAM}?run=run-1&after=2");
    let (rest, ()) = tokio::join!(world.get(&place), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.open();
    });
    let rest = frames(&rest.text);
    assert_eq!(rest.len(), 2);
    assert_eq!(
        rest[0],
        "id: run-1.3\nevent: chunk\ndata: {\"content\":\"second\",\"type\":\"text\"}\n\n"
    );
    assert!(rest[1].starts_with("id: run-1.4\nevent: stream_end\n"));
}

#[actix_web::test]
async fn a_second_stream_in_a_session_replaces_the_first() {
    let world = World::playing([Script::new().text("old").hang(), Script::answer("new")]).await;
    let (first, second) = tokio::join!(world.send(saying("one", "s")), async {
        world.model.asked(1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.send(saying("two", "s")).await
    });
    assert!(first.text.ends_with("\"output_tokens\":1}}\n\n"));
    assert!(first.text.contains("event: stream_end"));
    assert!(second.text.contains("\"content\":\"new\""));
}

#[actix_web::test]
async fn a_turn_that_is_stopped_before_it_begins_still_begins_its_stream() {
    let world = World::playing([Script::new().text("old").hang(), Script::answer("newest")]).await;
    let (_, queued, _) = tokio::join!(
        world.send(saying("one", "s")),
        async {
            world.model.asked(1).await;
            world
                .post(
                    "/api/v1/chat",
                    json!({ "content": "two", "session_id": "s" }),
                )
                .await
        },
        async {
            world.model.asked(1).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            world.send(saying("three", "s")).await
        }
    );
    assert_eq!(
        queued.expect(409),
        json!({ "detail": "The answer was stopped" })
    );
    let told = world.get(&format!("{STREAM}?run=run-2")).await.text;
    let told = frames(&told);
    assert_eq!(told.len(), 2);
    assert!(told[0].contains("event: stream_start"));
    assert!(told[1].contains("event: stream_end"));
}

#[actix_web::test]
async fn a_failure_ends_the_stream_as_an_error() {
    let error = ModelError::new(ModelErrorKind::Unavailable, "The model does not answer");
    let world = World::playing([Script::refusal(error)]).await;
    let answer = world.send(saying("hi", "s")).await;
    assert_eq!(answer.status, 200);
    let told = frames(&answer.text);
    assert_eq!(
        told[0],
        "id: run-1.1\nevent: stream_start\ndata: {\"session_id\":\"websocket_s\"}\n\n"
    );
    let last = told.last().unwrap();
    assert!(
        last.contains("event: error\ndata: {\"detail\":\"The model does not answer\"}\n\n"),
        "{last}"
    );
}

#[actix_web::test]
async fn commands_stream_like_answers() {
    let world = World::playing([]).await;
    let answer = world.send(saying("/tools", "s")).await;
    let told = frames(&answer.text);
    assert!(told[0].contains("event: stream_start"));
    assert!(told[1].contains("event: chunk") && told[1].contains("calculator"));
    assert!(told.last().unwrap().contains("event: stream_end"));
}

#[actix_web::test]
async fn places_that_do_not_exist_are_refused() {
    let world = World::playing([Script::answer("secret")]).await;
    world.send(saying("hi", "s")).await;
    let unknown = world.get(&format!("{STREAM}?run=run-9")).await;
    assert_eq!(unknown.expect(404), json!({ "detail": "Run not found" }));
    let of_another = TestRequest::get().uri("/api/v1/chat/stream?run=run-1");
    let of_another = world.send(bearer(of_another, BOB)).await;
    assert_eq!(of_another.expect(404), json!({ "detail": "Run not found" }));
    let nowhere = world.get(STREAM).await.expect(422);
    assert_eq!(nowhere["detail"][0]["loc"], json!(["query", "run"]));
    let body = json!({ "content": "hi" });
    let garbled = TestRequest::post().uri(STREAM).set_json(body);
    let garbled = garbled.insert_header(("last-event-id", "garbled"));
    world.send(bearer(garbled, MASTER)).await.expect(422);
    let empty = world.post_empty(STREAM).await.expect(422);
    assert_eq!(empty["detail"][0]["type"], "missing");
    assert_eq!(world.model.requests().len(), 1);
}
