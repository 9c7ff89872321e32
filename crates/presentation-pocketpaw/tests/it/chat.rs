//! `/api/v1/chat` and `/api/v1/chat/stop`.

use std::time::Duration;

use actix_web::test::TestRequest;
use majordomo_application::ports::{ModelError, ModelErrorKind, ModelMessage};
use majordomo_domain::{Image, ImageSource};
use majordomo_testkit::Script;
use majordomo_testkit::load::occupy;
use serde_json::{Value, json};

use crate::world::{BOB, World, bearer};

#[actix_web::test]
async fn an_answer_names_its_session_and_what_it_cost() {
    let world = World::playing([Script::answer("Hello."), Script::answer("Again.")]).await;
    let answer = world.post("/api/v1/chat", json!({ "content": "hi" })).await;
    assert_eq!(
        answer.expect(200),
        json!({
            "session_id": "websocket_000000000001",
            "content": "Hello.",
            "usage": { "input_tokens": 10, "output_tokens": 5 }
        })
    );
    let second = json!({
        "content": "and now?", "session_id": "websocket_000000000001", "media": [],
        "file_context": { "current_dir": "/tmp" }, "model": "ignored", "tools": ["ignored"]
    });
    let answer = world.post("/api/v1/chat", second).await.expect(200);
    assert_eq!(answer["session_id"], "websocket_000000000001");
    let asked = &world.model.requests()[1].messages;
    assert_eq!(asked.len(), 4, "the system prompt and three messages");
}

#[actix_web::test]
async fn a_session_begins_under_the_name_it_is_given_and_has_one_name() {
    let world = World::playing((0..3).map(|_| Script::answer("ok"))).await;
    for id in ["trip", "websocket_trip", "websocket:trip"] {
        let body = json!({ "content": "hi", "session_id": id });
        let answer = world.post("/api/v1/chat", body).await.expect(200);
        assert_eq!(answer["session_id"], "websocket_trip");
    }
    let sessions = world.get("/api/v1/sessions").await.expect(200);
    assert_eq!(sessions["total"], 1);
    assert_eq!(sessions["sessions"][0]["message_count"], 6);
}

#[actix_web::test]
async fn commands_are_answered_without_a_model() {
    let world = World::playing([]).await;
    let body = json!({ "content": "/help" });
    let answer = world.post("/api/v1/chat", body).await.expect(200);
    assert!(answer["content"].as_str().unwrap().contains("/sessions"));
    assert!(world.model.requests().is_empty());
}

#[actix_web::test]
async fn pictures_are_taken_in_every_form_clients_send() {
    let world = World::playing([Script::answer("Nice.")]).await;
    let body = json!({ "content": "look", "media": [
        "data:image/png;base64,iVBORw0KGgoA",
        "https://example.org/cat.JPG?size=1",
        "https://example.org/report.pdf",
        "/home/me/notes.txt",
        { "type": "image", "data": "/9j/4AAQ", "filename": "a.jpg" },
        { "type": "image", "url": "https://example.org/picture", "mime_type": "image/webp" },
        { "type": "file", "data": "aGVsbG8h", "filename": "hello.txt", "mime_type": "text/plain" }
    ]});
    let answer = world.post("/api/v1/chat", body).await.expect(200);
    assert_eq!(
        answer["metadata"],
        json!({ "ignored_media": ["https://example.org/report.pdf", "/home/me/notes.txt", "hello.txt"] })
    );
    let inline = |media_type: &str, data: &str| Image {
        source: ImageSource::Base64 {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        },
    };
    let address = |url: &str| Image {
        source: ImageSource::Url(url.to_owned()),
    };
    let request = &world.model.requests()[0];
    let Some(ModelMessage::User { images, .. }) = request.messages.last() else {
        panic!("the last message is the user's");
    };
    assert_eq!(
        images,
        &[
            inline("image/png", "iVBORw0KGgoA"),
            address("https://example.org/cat.JPG?size=1"),
            inline("image/jpeg", "/9j/4AAQ"),
            address("https://example.org/picture"),
        ]
    );
}

async fn refused(body: Value) -> Value {
    let world = World::playing([]).await;
    let detail = world.post("/api/v1/chat", body).await.expect(422);
    assert!(world.model.requests().is_empty());
    detail["detail"][0].clone()
}

#[actix_web::test]
async fn what_cannot_be_said_is_refused_with_its_place() {
    assert_eq!(
        refused(json!({ "content": "" })).await,
        json!({
            "type": "string_too_short", "loc": ["body", "content"],
            "msg": "String should have at least 1 character", "input": "", "ctx": { "min_length": 1 }
        })
    );
    assert_eq!(
        refused(json!({ "content": "x".repeat(100_001) })).await,
        json!({
            "type": "string_too_long", "loc": ["body", "content"],
            "msg": "String should have at most 100000 characters", "input": null,
            "ctx": { "max_length": 100_000 }
        })
    );
    assert_eq!(
        refused(json!({})).await,
        json!({ "type": "missing", "loc": ["body", "content"], "msg": "Field required", "input": null })
    );
    let wrong_type = refused(json!({ "content": 7 })).await;
    assert_eq!(wrong_type["type"], "invalid_type");
    assert_eq!(wrong_type["loc"], json!(["body", "content"]));
    assert_eq!(wrong_type["input"], 7);
    let bad_id = refused(json!({ "content": "hi", "session_id": "a/b" })).await;
    assert_eq!(bad_id["loc"], json!(["body", "session_id"]));
    assert_eq!(bad_id["input"], "a/b");
    let media = json!([{ "type": "image", "data": "???" }]);
    let bad_media = refused(json!({ "content": "hi", "media": media })).await;
    assert_eq!(bad_media["loc"], json!(["body", "media", 0]));
    let many = vec!["data:image/png;base64,iVBORw0KGgoA"; 17];
    let bad_media = refused(json!({ "content": "hi", "media": many })).await;
    assert_eq!(bad_media["type"], "too_long");
}

#[actix_web::test]
async fn a_model_that_fails_is_an_error_of_its_kind() {
    let failures = [
        (ModelErrorKind::Auth, 502),
        (ModelErrorKind::Unavailable, 503),
        (ModelErrorKind::Timeout, 503),
        (ModelErrorKind::RateLimited { retry_after: None }, 429),
    ];
    for (kind, status) in failures {
        let world =
            World::playing([Script::refusal(ModelError::new(kind.clone(), "no answer"))]).await;
        let answer = world.post("/api/v1/chat", json!({ "content": "hi" })).await;
        assert_eq!(answer.header("retry-after").is_empty(), status != 429);
        assert_eq!(
            answer.expect(status),
            json!({ "detail": "no answer" }),
            "{kind:?}"
        );
    }
}

#[actix_web::test]
async fn an_answer_that_breaks_off_is_an_error_and_kept() {
    let error = ModelError::new(ModelErrorKind::Malformed, "broke off");
    let world = World::playing([Script::new().text("Once upon").fail(error)]).await;
    let body = json!({ "content": "tell", "session_id": "tale" });
    let answer = world.post("/api/v1/chat", body).await;
    assert_eq!(answer.expect(502), json!({ "detail": "broke off" }));
    let history = world.get("/api/v1/sessions/tale/history").await.expect(200);
    assert_eq!(history[1]["content"], "Once upon");
    assert_eq!(history[1]["metadata"]["status"], "interrupted");
}

#[actix_web::test]
async fn storage_that_fails_accepts_nothing() {
    let world = World::playing([Script::answer("never")]).await;
    world.storage.set_down(true);
    let refused = json!({ "detail": "Storage is unavailable" });
    let named = json!({ "content": "hi", "session_id": "s" });
    let answer = world.post("/api/v1/chat", named).await;
    assert_eq!(answer.expect(503), refused);
    assert!(world.model.requests().is_empty());
    // A message that begins a session finds out when its answer is to be stored; those after it know.
    for _ in 0..2 {
        let begun = json!({ "content": "hi" });
        let answer = world.post("/api/v1/chat", begun).await;
        assert_eq!(answer.expect(503), refused);
        assert!(world.model.requests().len() <= 1);
    }
}

#[actix_web::test]
async fn stopping_ends_a_waiting_answer_and_keeps_its_words() {
    let world = World::playing([Script::new().text("One, two").hang()]).await;
    let body = json!({ "content": "count", "session_id": "s" });
    let (answer, stopped) = tokio::join!(world.post("/api/v1/chat", body), async {
        world.model.asked(1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        world
            .post_empty("/api/v1/chat/stop?session_id=websocket_s")
            .await
    });
    assert_eq!(
        stopped.expect(200),
        json!({ "status": "ok", "session_id": "websocket_s" })
    );
    let answer = answer.expect(200);
    assert_eq!(answer["content"], "One, two");
    assert_eq!(answer["session_id"], "websocket_s");
}

#[actix_web::test]
async fn only_what_runs_can_be_stopped() {
    let world = World::playing([Script::new().hang()]).await;
    let missing = world.post_empty("/api/v1/chat/stop").await;
    assert_eq!(
        missing.expect(400),
        json!({ "detail": "session_id is required" })
    );
    for id in ["nope", "a%2Fb"] {
        let unknown = world
            .post_empty(&format!("/api/v1/chat/stop?session_id={id}"))
            .await;
        assert_eq!(
            unknown.expect(404),
            json!({ "detail": "No active stream for this session" })
        );
    }
    // Another user's turn does not exist.
    let body = json!({ "content": "hi", "session_id": "s" });
    tokio::select! {
        _ = world.post("/api/v1/chat", body) => panic!("the model hangs"),
        () = async {
            world.model.asked(1).await;
            let request = TestRequest::post().uri("/api/v1/chat/stop?session_id=s");
            world.send(bearer(request, BOB)).await.expect(404);
        } => {}
    }
}

#[actix_web::test]
async fn a_server_with_all_it_can_do_turns_requests_away_and_says_when_to_come_back() {
    let world = World::playing((0..8).map(|_| Script::new().hang())).await;
    assert_eq!(occupy(&world.services.chat).await, 32);
    for path in ["/api/v1/chat", "/api/v1/chat/stream"] {
        let answer = world.post(path, json!({ "content": "hi" })).await;
        assert_eq!(answer.header("retry-after"), "5", "{path}");
        assert_eq!(
            answer.expect(503),
            json!({ "detail": "The server is busy" }),
            "{path}"
        );
    }
}
