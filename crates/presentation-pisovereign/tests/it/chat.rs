//! `POST /v1/chat`.

use majordomo_application::chat::UserLimits;
use majordomo_application::ports::{ModelError, ModelErrorKind, ModelMessage};
use majordomo_domain::Scope;
use majordomo_testkit::load::occupy;
use majordomo_testkit::{Gate, Script};
use serde_json::{Value, json};

use crate::support::{ALICE, BOB, REQUEST_ID, Site, bearer, failure, get, post, wrong_fields};

#[actix_web::test]
async fn an_answer_has_the_documented_form() {
    let site = Site::new().await;
    site.model.push(Script::pieces(["Hello", ", Alice"]));
    let answer = site.chat(json!({ "message": "Hi", "ignored": 1 })).await;
    answer.is(
        200,
        &json!({
            "id": "message-2",
            "conversation_id": "session-1",
            "role": "assistant",
            "content": "Hello, Alice",
            "model": "mock/small",
            "tokens": { "prompt": 10, "completion": 5, "total": 15 },
            "created_at": "2026-02-02T02:40:00.000Z"
        }),
    );
    assert_eq!(answer.header("x-request-id"), Some(REQUEST_ID));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[actix_web::test]
async fn options_reach_the_model_and_only_this_message() {
    let site = Site::new().await;
    site.model.push(Script::answer("one"));
    site.model.push(Script::answer("two"));
    let body = json!({
        "message": "Hi", "conversation_id": "conv-123", "system_prompt": "Speak German.",
        "model": "large", "temperature": 0.0, "max_tokens": 8192
    });
    let answer = site.chat(body).await;
    assert_eq!(answer.json()["conversation_id"], "conv-123");
    assert_eq!(answer.json()["model"], "mock/large");
    let body = json!({ "message": "And?", "conversation_id": "conv-123", "model": null });
    assert_eq!(site.chat(body).await.json()["model"], "mock/small");

    let requests = site.model.requests();
    assert_eq!(requests[0].model, "large");
    assert_eq!(requests[0].temperature, Some(0.0));
    assert_eq!(requests[0].max_tokens, Some(8192));
    let system = |index: usize| match &requests[index].messages[0] {
        ModelMessage::System(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(system(0), "Speak German.");
    assert_eq!(system(1), "Be brief.");
    assert_eq!(requests[1].messages.len(), 4, "the conversation goes on");
}

#[actix_web::test]
async fn the_prefix_of_other_clients_names_the_same_conversation() {
    let site = Site::new().await;
    for id in ["abc", "websocket_abc", "websocket:abc"] {
        site.model.push(Script::answer("yes"));
        let answer = site
            .chat(json!({ "message": "Hi", "conversation_id": id }))
            .await;
        assert_eq!(answer.json()["conversation_id"], "abc");
    }
    assert_eq!(site.model.requests()[2].messages.len(), 6);
}

#[actix_web::test]
async fn users_do_not_share_conversations() {
    let site = Site::new().await;
    for key in [ALICE, BOB] {
        site.model.push(Script::answer("yes"));
        let body = json!({ "message": "secret", "conversation_id": "same" });
        let answer = site.ask(bearer(post("/v1/chat", body), key)).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(
        site.model.requests()[1].messages.len(),
        2,
        "bob's conversation begins empty"
    );
}

#[actix_web::test]
async fn every_wrong_field_is_named() {
    let site = Site::new().await;
    let body = json!({
        "message": " \n", "conversation_id": "a/b", "system_prompt": "x".repeat(8001),
        "temperature": 2.1, "max_tokens": 0
    });
    site.chat(body).await.is(
        422,
        &wrong_fields(&[
            ("message", "cannot be empty"),
            (
                "conversation_id",
                "may only hold letters, digits and . _ : - @",
            ),
            ("system_prompt", "must not be longer than 8000 characters"),
            ("temperature", "must be between 0.0 and 2.0"),
            ("max_tokens", "must be between 1 and 8192"),
        ]),
    );
}

#[actix_web::test]
async fn bounds_are_inclusive_and_count_characters() {
    let site = Site::new().await;
    let wrong = |field, error| wrong_fields(&[(field, error)]);
    let cases: [(Value, Option<Value>); 10] = [
        (json!({ "message": "ü".repeat(10_000) }), None),
        (
            json!({ "message": "ü".repeat(10_001) }),
            Some(wrong("message", "must not be longer than 10000 characters")),
        ),
        (json!({}), Some(wrong("message", "cannot be empty"))),
        (
            json!({ "message": null }),
            Some(wrong("message", "cannot be empty")),
        ),
        (json!({ "message": "x", "temperature": 2.0 }), None),
        (
            json!({ "message": "x", "temperature": -0.1 }),
            Some(wrong("temperature", "must be between 0.0 and 2.0")),
        ),
        (
            json!({ "message": "x", "max_tokens": 8193 }),
            Some(wrong("max_tokens", "must be between 1 and 8192")),
        ),
        (
            json!({ "message": "x", "conversation_id": "" }),
            Some(wrong("conversation_id", "must not be empty")),
        ),
        (
            json!({ "message": "x", "model": "other/none" }),
            Some(wrong("model", "The model `other/none` does not exist")),
        ),
        (
            json!({ "message": "x", "model": "large", "conversation_id": null }),
            None,
        ),
    ];
    for (body, expected) in cases {
        site.model.push(Script::answer("yes"));
        let answer = site.chat(body).await;
        match expected {
            None => assert_eq!(answer.status, 200, "{}", answer.body),
            Some(expected) => answer.is(422, &expected),
        }
    }
}

#[actix_web::test]
async fn a_body_that_is_not_right_json_is_malformed() {
    let site = Site::new().await;
    let raw = |body: &'static str, kind: &'static str| {
        let request = actix_web::test::TestRequest::post()
            .uri("/v1/chat")
            .insert_header(("content-type", kind))
            .set_payload(body);
        site.ask(bearer(request, ALICE))
    };
    let answer = raw("{\"message\": ", "application/json").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["code"], "BAD_REQUEST");
    let answer = raw("{\"message\": 7}", "application/json").await;
    answer.is(
        400,
        &json!({ "error": {
            "code": "BAD_REQUEST",
            "message": "Invalid request body or parameters",
            "details": { "fields": [
                { "field": "message", "error": "invalid type: integer `7`, expected a string" }
            ] },
            "request_id": REQUEST_ID
        } }),
    );
    let answer = raw("message=Hi", "text/plain").await;
    answer.is(
        415,
        &failure(
            "UNSUPPORTED_MEDIA_TYPE",
            "Expected a body of application/json",
        ),
    );
}

#[actix_web::test]
async fn failures_of_the_model_have_the_documented_codes() {
    let cases = [
        (ModelErrorKind::Unavailable, 503, "SERVICE_UNAVAILABLE"),
        (ModelErrorKind::Timeout, 503, "SERVICE_UNAVAILABLE"),
        (ModelErrorKind::Auth, 502, "UPSTREAM_ERROR"),
        (ModelErrorKind::Malformed, 502, "UPSTREAM_ERROR"),
        (ModelErrorKind::Refused, 403, "FORBIDDEN"),
    ];
    for (kind, status, code) in cases {
        let site = Site::new().await;
        let error = ModelError::new(kind, "No answer from mock");
        site.model.push(Script::refusal(error));
        let answer = site.chat(json!({ "message": "Hi" })).await;
        answer.is(status, &failure(code, "No answer from mock"));
    }
    let site = Site::new().await;
    let busy = ModelErrorKind::RateLimited { retry_after: None };
    site.model
        .push(Script::refusal(ModelError::new(busy, "Slow down")));
    let answer = site.chat(json!({ "message": "Hi" })).await;
    let seconds = answer.header("retry-after").unwrap().to_owned();
    assert_eq!(answer.status, 429);
    assert_eq!(
        answer.json()["error"]["message"],
        format!("Too many requests. Please retry after {seconds} seconds.")
    );
    assert_eq!(answer.json()["error"]["retry_after"].to_string(), seconds);
    let site = Site::new().await;
    let retry_after = std::time::Duration::from_mins(1);
    let overloaded = ModelErrorKind::Overloaded { retry_after };
    site.model
        .push(Script::refusal(ModelError::new(overloaded, "Mending")));
    let answer = site.chat(json!({ "message": "Hi" })).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
}

#[actix_web::test]
async fn an_answer_that_breaks_off_is_a_failure_and_what_was_said_is_kept() {
    let site = Site::new().await;
    let error = ModelError::new(ModelErrorKind::Unavailable, "mock went away");
    site.model.push(Script::new().text("Half").fail(error));
    let body = json!({ "message": "Hi", "conversation_id": "c" });
    site.chat(body)
        .await
        .is(503, &failure("SERVICE_UNAVAILABLE", "mock went away"));
    site.model.push(Script::answer("whole"));
    let body = json!({ "message": "Again", "conversation_id": "c" });
    assert_eq!(site.chat(body).await.status, 200);
    assert_eq!(site.model.requests()[1].messages.len(), 4);
}

#[actix_web::test]
async fn storage_that_is_down_is_told_without_its_reason() {
    let site = Site::new().await;
    site.store.set_down(true);
    site.chat(json!({ "message": "Hi" })).await.is(
        503,
        &failure("SERVICE_UNAVAILABLE", "Storage is unavailable"),
    );
}

#[actix_web::test]
async fn a_second_message_waits_for_the_first() {
    let site = Site::new().await;
    let gate = Gate::closed();
    site.model
        .push(Script::new().wait(&gate).text("one").finish());
    site.model.push(Script::answer("two"));
    let body = |text: &str| json!({ "message": text, "conversation_id": "c" });
    let second = async {
        site.model.asked(1).await;
        site.chat(body("2")).await
    };
    let open = async {
        site.model.asked(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(
            site.model.requests().len(),
            1,
            "the second is not asked yet"
        );
        gate.open();
    };
    let (first, second, ()) = tokio::join!(site.chat(body("1")), second, open);
    assert_eq!(first.json()["content"], "one");
    assert_eq!(second.json()["content"], "two");
}

#[actix_web::test]
async fn slash_commands_answer_too() {
    let site = Site::new().await;
    let answer = site.chat(json!({ "message": "/tools" })).await.json();
    assert_eq!(answer["content"], "The agent has no tools.");
    assert_eq!(answer["model"], "majordomo");
    assert_eq!(
        answer["tokens"],
        json!({ "prompt": 0, "completion": 0, "total": 0 })
    );
}

#[actix_web::test]
async fn who_may_not_chat_is_told_so() {
    let site = Site::new().await;
    let unauthorized = failure("UNAUTHORIZED", "Invalid or missing API key");
    let answer = site.ask(post("/v1/chat", json!({ "message": "Hi" }))).await;
    answer.is(401, &unauthorized);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    let request = post("/v1/chat", json!({ "message": "Hi" }));
    site.ask(bearer(request, "sk-wrong"))
        .await
        .is(401, &unauthorized);
    let key = site.key_with(&[Scope::Metrics]).await;
    let request = post("/v1/chat", json!({ "message": "Hi" }));
    site.ask(bearer(request, &key)).await.is(
        403,
        &failure("FORBIDDEN", "API key missing required scope: chat"),
    );
    site.ask(bearer(get("/v1/chat"), ALICE))
        .await
        .is(405, &failure("METHOD_NOT_ALLOWED", "Method Not Allowed"));
    assert!(site.model.requests().is_empty());
}

#[actix_web::test]
async fn a_server_with_all_it_can_do_turns_requests_away_and_says_when_to_come_back() {
    let site = Site::new().await;
    for _ in 0..8 {
        site.model.push(Script::new().hang());
    }
    assert_eq!(occupy(&site.services.chat).await, 16);
    let mut busy = failure("SERVICE_UNAVAILABLE", "The server is busy");
    busy["error"]["retry_after"] = json!(5);
    for answer in [
        site.chat(json!({ "message": "Hi" })).await,
        site.stream(json!({ "message": "Hi" })).await,
    ] {
        answer.is(503, &busy);
        assert_eq!(answer.header("retry-after"), Some("5"));
    }
    // What needs no turn is answered as ever.
    assert_eq!(site.ask(get("/health")).await.status, 200);
}

#[actix_web::test]
async fn a_user_with_too_many_turns_is_told_when_to_come_back_and_others_are_not() {
    let site = Site::new().await;
    let chat = &site.services.chat;
    chat.limit_users(UserLimits {
        max_concurrent_runs: 1,
        max_accepted_runs: 1,
    });
    let gate = Gate::closed();
    site.model
        .push(Script::new().wait(&gate).text("one").finish());
    site.model.push(Script::answer("two"));
    let more = async {
        site.model.asked(1).await;
        let refused = site.chat(json!({ "message": "More" })).await;
        let other = bearer(post("/v1/chat", json!({ "message": "Hi" })), BOB);
        let other = site.ask(other).await;
        gate.open();
        (refused, other)
    };
    let (first, (refused, other)) = tokio::join!(site.chat(json!({ "message": "Hi" })), more);
    assert_eq!(
        (first.status, refused.status, other.status),
        (200, 429, 200)
    );
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(refused.json()["error"]["code"], "RATE_LIMITED");
    assert_eq!(other.json()["content"], "two");
}
