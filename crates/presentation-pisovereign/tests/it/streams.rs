//! `/v1/chat/stream`: whole sequences, and the rest of one.

use majordomo_application::ports::{ModelError, ModelErrorKind};
use majordomo_testkit::{Gate, Script};
use serde_json::json;

use crate::support::{ALICE, BOB, Site, bearer, failure, get, post, wrong_fields};

const WHOLE: &str = "\
id: run-1.2
event: message
data: {\"delta\":\"Hello\\n\"}

id: run-1.3
event: message
data: {\"delta\":\", Älice\"}

id: run-1.4
event: done
data: {\"tokens\":{\"prompt\":10,\"completion\":5,\"total\":15},\"conversation_id\":\"session-1\",\"id\":\"message-2\",\"model\":\"mock/small\"}

";

/// What comes after the frame with this id.
fn after<'a>(stream: &'a str, id: &str) -> &'a str {
    let (_, rest) = stream.split_once(&format!("id: {id}\n")).unwrap();
    rest.split_once("\n\n").unwrap().1
}

/// A model that says its second piece only after the first was taken.
async fn told_in_pieces(site: &Site) -> String {
    let gate = Gate::closed();
    site.model.push(
        Script::new()
            .text("Hello\n")
            .wait(&gate)
            .text(", Älice")
            .finish(),
    );
    let (answer, ()) = tokio::join!(site.stream(json!({ "message": "Hi" })), async {
        site.model.asked(1).await;
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        gate.open();
    });
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    answer.body
}

#[actix_web::test]
async fn a_stream_tells_the_pieces_then_the_end() {
    let site = Site::new().await;
    assert_eq!(told_in_pieces(&site).await, WHOLE);
}

#[actix_web::test]
async fn the_rest_of_a_stream_is_the_same_bytes() {
    let site = Site::new().await;
    let whole = told_in_pieces(&site).await;
    for id in ["run-1.2", "run-1.3", "run-1.4"] {
        let (run, seq) = id.split_once('.').unwrap();
        let rest = after(&whole, id);
        let request = get("/v1/chat/stream").insert_header(("last-event-id", id));
        let by_header = site.ask(bearer(request, ALICE)).await;
        assert_eq!((by_header.status, by_header.body.as_str()), (200, rest));
        let uri = format!("/v1/chat/stream?run={run}&after={seq}&token={ALICE}");
        assert_eq!(site.ask(get(&uri)).await.body, rest);
        let request = post("/v1/chat/stream", json!({ "message": "Hi" }))
            .insert_header(("last-event-id", id));
        assert_eq!(site.ask(bearer(request, ALICE)).await.body, rest);
    }
    let request = get("/v1/chat/stream?run=run-1");
    assert_eq!(site.ask(bearer(request, ALICE)).await.body, whole);
    assert_eq!(site.model.requests().len(), 1, "nothing was asked again");
}

#[actix_web::test]
async fn a_running_answer_is_replayed_and_followed() {
    let site = Site::new().await;
    let gate = Gate::closed();
    site.model.push(
        Script::new()
            .text("Hello")
            .wait(&gate)
            .text(" again")
            .finish(),
    );
    let watch = async {
        site.model.asked(1).await;
        let request = get("/v1/chat/stream?run=run-1&after=0");
        site.ask(bearer(request, ALICE)).await
    };
    let open = async {
        site.model.asked(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        gate.open();
    };
    let (first, second, ()) = tokio::join!(site.stream(json!({ "message": "Hi" })), watch, open);
    assert_eq!(first.body, second.body);
    assert!(first.body.contains(" again"), "{}", first.body);
}

#[actix_web::test]
async fn a_stream_that_breaks_off_says_why() {
    let site = Site::new().await;
    let error = ModelError::new(ModelErrorKind::Unavailable, "mock went away");
    site.model.push(Script::new().text("Half").fail(error));
    let answer = site.stream(json!({ "message": "Hi" })).await;
    assert_eq!(
        answer.body,
        "id: run-1.2\nevent: message\ndata: {\"delta\":\"Half\"}\n\n\
         id: run-1.3\nevent: error\ndata: {\"code\":\"SERVICE_UNAVAILABLE\",\
         \"message\":\"mock went away\",\"request_id\":\"run-1\"}\n\n"
    );
    let request = get("/v1/chat/stream?run=run-1");
    assert_eq!(site.ask(bearer(request, ALICE)).await.body, answer.body);
}

#[actix_web::test]
async fn a_stopped_answer_is_done() {
    let site = Site::new().await;
    site.model.push(Script::new().text("Half").hang());
    let stop = async {
        site.model.asked(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        site.chat(json!({ "message": "/kill", "conversation_id": "c" }))
            .await
    };
    let body = json!({ "message": "Hi", "conversation_id": "c" });
    let (answer, _) = tokio::join!(site.stream(body), stop);
    assert!(
        answer.body.contains("{\"delta\":\"Half\"}"),
        "{}",
        answer.body
    );
    assert!(answer.body.contains("event: done\n"), "{}", answer.body);
}

#[actix_web::test]
async fn a_server_that_shuts_down_ends_its_streams_with_an_event() {
    let site = Site::new().await;
    site.model.push(Script::new().text("Half").hang());
    let shut_down = async {
        site.model.asked(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let patience = std::time::Duration::from_secs(5);
        site.services.chat.shut_down(patience).await;
    };
    let (answer, ()) = tokio::join!(site.stream(json!({ "message": "Hi" })), shut_down);
    assert_eq!(
        answer.body,
        "id: run-1.2\nevent: message\ndata: {\"delta\":\"Half\"}\n\n\
         id: run-1.3\nevent: error\ndata: {\"code\":\"SERVICE_UNAVAILABLE\",\
         \"message\":\"The answer was interrupted\",\"request_id\":\"run-1\"}\n\n"
    );
}

#[actix_web::test]
async fn what_is_wrong_is_told_before_the_stream_begins() {
    let site = Site::new().await;
    site.stream(json!({ "message": "" }))
        .await
        .is(422, &wrong_fields(&[("message", "cannot be empty")]));
    let request = post("/v1/chat/stream", json!({ "message": "Hi" }));
    site.ask(request)
        .await
        .is(401, &failure("UNAUTHORIZED", "Invalid or missing API key"));
    site.ask(get("/v1/chat/stream?run=run-1"))
        .await
        .is(401, &failure("UNAUTHORIZED", "Invalid or missing API key"));
    site.ask(bearer(get("/v1/chat/stream"), ALICE))
        .await
        .is(422, &wrong_fields(&[("run", "is required")]));
}

#[actix_web::test]
async fn another_users_run_does_not_exist() {
    let site = Site::new().await;
    site.model.push(Script::answer("secret"));
    site.stream(json!({ "message": "Hi" })).await;
    for (key, run) in [(BOB, "run-1"), (ALICE, "run-99")] {
        let uri = format!("/v1/chat/stream?run={run}");
        site.ask(bearer(get(&uri), key))
            .await
            .is(404, &failure("NOT_FOUND", "Run not found"));
    }
}
