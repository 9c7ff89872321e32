//! Passing requests on to a provider that speaks this protocol.

use std::time::Duration;

use actix_web::test::TestRequest;
use majordomo_application::Caller;
use majordomo_application::ports::{ModelError, ModelErrorKind};
use majordomo_domain::{BudgetLimit, BudgetPeriod, BudgetSubject, CredentialKind, ModelRef};
use serde_json::json;

use crate::support::{MASTER, Relayed, World, raw_completion};

fn broke_off() -> ModelError {
    ModelError::new(ModelErrorKind::Malformed, "mock: the answer broke off")
}

#[actix_web::test]
async fn the_body_is_passed_on_with_only_the_model_renamed() {
    let world = World::relaying(vec![
        Relayed::Whole(r#"{"id":"chatcmpl-1","odd" : 1.50}"#),
        Relayed::Whole("{}"),
        Relayed::Whole("{}"),
    ])
    .await;
    let sent = "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"a\\u00e4\"} ],\n \"x\":1.50, \"model\" : \"mock\\/gpt-x\" , \"z\":{\"model\":\"inner\"} }";
    let answer = world.send(raw_completion(sent, MASTER)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.text(), r#"{"id":"chatcmpl-1","odd" : 1.50}"#);
    let renamed = sent.replace("mock\\/gpt-x", "gpt-x");
    assert_eq!(
        world.relay.asked.lock().unwrap()[0],
        (renamed.into(), false)
    );

    // A bare name is the provider's already, and a model's own name may hold slashes.
    for (name, upstream) in [("gpt-x", "gpt-x"), ("mock/org/deep", "org/deep")] {
        let body = |name: &str| json!({ "model": name, "stream": false }).to_string();
        world.send(raw_completion(body(name), MASTER)).await;
        let asked = world.relay.asked.lock().unwrap().last().unwrap().clone();
        assert_eq!(asked, (body(upstream).into(), false));
    }
    let counts = world.services.inference.read();
    assert_eq!((counts.succeeded, counts.failed), (3, 0));
}

#[actix_web::test]
async fn a_stream_comes_back_byte_for_byte() {
    let pieces = [
        "data: {\"a\"",
        ":1}\n\nda",
        "ta: {\"b\":2}\n\ndata: [DONE]\n\n",
    ];
    let world = World::relaying(vec![Relayed::Stream(pieces.map(Ok).to_vec())]).await;
    let body = json!({ "model": "mock/gpt-x", "stream": true });
    let answer = world.complete(&body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.text(), pieces.concat());
    assert!(!answer.broken);
    assert!(world.relay.asked.lock().unwrap()[0].1);
    assert_eq!(world.services.inference.read().succeeded, 1);
}

#[actix_web::test]
async fn a_stream_that_fails_between_events_tells_so_and_within_one_breaks() {
    let world = World::relaying(vec![
        Relayed::Stream(vec![Ok("data: {}\n"), Ok("\n"), Err(broke_off())]),
        Relayed::Stream(vec![Ok("data: {}\n\ndata: {\"c"), Err(broke_off())]),
    ])
    .await;
    let body = json!({ "model": "mock/gpt-x", "stream": true });
    let answer = world.complete(&body).await;
    assert_eq!(
        answer.text(),
        "data: {}\n\ndata: {\"error\":{\"message\":\"mock: the answer broke off\",\"type\":\"server_error\",\
         \"param\":null,\"code\":\"malformed\"}}\n\n"
    );
    assert!(!answer.broken);
    let answer = world.complete(&body).await;
    assert_eq!(answer.text(), "data: {}\n\ndata: {\"c");
    assert!(answer.broken);
    assert_eq!(world.services.inference.read().failed, 2);
}

#[actix_web::test]
async fn an_answer_that_is_no_stream_is_passed_on_as_it_is() {
    let world = World::relaying(vec![Relayed::Typed("application/json", "{\"id\":1}")]).await;
    let body = json!({ "model": "mock/gpt-x", "stream": true });
    let answer = world.complete(&body).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.text(), "{\"id\":1}");
}

#[actix_web::test]
async fn what_goes_wrong_upstream_keeps_its_meaning() {
    let rate_limited = ModelErrorKind::RateLimited {
        retry_after: Some(Duration::from_millis(6500)),
    };
    let overloaded = ModelErrorKind::Overloaded {
        retry_after: Duration::from_mins(1),
    };
    for (kind, status, code, class, retry_after) in [
        (ModelErrorKind::Auth, 502, "auth", "server_error", ""),
        (rate_limited, 429, "rate_limit_exceeded", "requests", "7"),
        (
            ModelErrorKind::ContextTooLong,
            400,
            "context_length_exceeded",
            "invalid_request_error",
            "",
        ),
        (
            ModelErrorKind::Refused,
            400,
            "content_filter",
            "invalid_request_error",
            "",
        ),
        (
            ModelErrorKind::Invalid,
            400,
            "invalid",
            "invalid_request_error",
            "",
        ),
        (
            ModelErrorKind::UnknownModel,
            404,
            "model_not_found",
            "invalid_request_error",
            "",
        ),
        (
            ModelErrorKind::Unavailable,
            503,
            "unavailable",
            "server_error",
            "",
        ),
        (overloaded, 503, "overloaded", "server_error", "60"),
        (ModelErrorKind::Timeout, 503, "timeout", "server_error", ""),
        (
            ModelErrorKind::Malformed,
            502,
            "malformed",
            "server_error",
            "",
        ),
    ] {
        let error = ModelError::new(kind, "mock: words");
        let world = World::relaying(vec![Relayed::Error(error)]).await;
        let answer = world
            .complete(&json!({ "model": "gpt-x", "stream": true }))
            .await;
        assert_eq!(answer.status, status, "{code}");
        let error = &answer.json()["error"];
        assert_eq!(error["message"], "mock: words");
        assert_eq!(error["code"], code);
        assert_eq!(error["type"], class);
        assert_eq!(answer.header("retry-after"), retry_after);
    }
}

#[actix_web::test]
async fn a_client_that_goes_away_cancels_the_upstream_request() {
    let world = World::relaying(vec![Relayed::Hang(vec!["data: {}\n\n"])]).await;
    let body = json!({ "model": "mock/gpt-x", "stream": true }).to_string();
    let request: TestRequest = raw_completion(body, MASTER);
    let reading = tokio::time::timeout(Duration::from_millis(300), world.send(request));
    assert!(reading.await.is_err(), "the stream must not end by itself");
    let cancelled = async {
        while *world.relay.cancelled.lock().unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let patience = Duration::from_secs(10);
    assert!(tokio::time::timeout(patience, cancelled).await.is_ok());
    let counts = world.services.inference.read();
    assert_eq!((counts.succeeded, counts.failed), (0, 0));
}

/// Sets how many tokens the operator may use in a day.
async fn limit(world: &World, tokens: u64) {
    let operator = Caller::operator(CredentialKind::MasterToken);
    let subject = BudgetSubject::User(operator.user.clone());
    let limit = BudgetLimit {
        tokens: Some(tokens),
        cost: None,
    };
    let budgets = world.services.usage.budgets();
    let set = budgets.set_limit(&operator, subject, BudgetPeriod::Day, limit);
    set.await.unwrap();
}

#[actix_web::test]
async fn where_a_budget_applies_answers_are_held_to_it_and_nothing_else_is_touched() {
    let cases = [
        // Nothing is said: the default of budgets.
        (
            r#" { "model":"gpt-x", "x" : 1.50}"#,
            r#" {"max_tokens":4096, "model":"gpt-x", "x" : 1.50}"#,
        ),
        (
            r#"{"max_tokens" : null,"model":"mock/gpt-x"}"#,
            r#"{"max_tokens" : 4096,"model":"gpt-x"}"#,
        ),
        // Enough is left for what is asked.
        (
            r#"{"model":"gpt-x","max_tokens":9000}"#,
            r#"{"model":"gpt-x","max_tokens":9000}"#,
        ),
        // Too little is left: half of it, a quarter...
        (
            r#"{"model":"gpt-x","max_completion_tokens": 64000 }"#,
            r#"{"model":"gpt-x","max_completion_tokens": 8000 }"#,
        ),
        (
            r#"{"max_tokens":100,"model":"gpt-x","max\u005fcompletion_tokens":64000}"#,
            r#"{"max_tokens":100,"model":"gpt-x","max\u005fcompletion_tokens":8000}"#,
        ),
        (
            r#"{"model":"gpt-x","max_tokens":"many"}"#,
            r#"{"model":"gpt-x","max_tokens":4096}"#,
        ),
        // Each of several answers may be long.
        (
            r#"{"n":4,"model":"gpt-x","max_tokens":4000}"#,
            r#"{"n":4,"model":"gpt-x","max_tokens":2000}"#,
        ),
    ];
    for stream in [false, true] {
        for (sent, passed) in cases {
            let answer = if stream {
                Relayed::Stream(vec![Ok("data: [DONE]\n\n")])
            } else {
                Relayed::Whole("{}")
            };
            let world = World::relaying(vec![answer]).await;
            limit(&world, 15_000).await;
            let streaming = |body: &str| {
                if stream {
                    body.replace("\"model\"", "\"stream\":true,\"model\"")
                } else {
                    body.to_owned()
                }
            };
            let answer = world.send(raw_completion(streaming(sent), MASTER)).await;
            assert_eq!(answer.status, 200, "{sent}");
            let asked = world.relay.asked.lock().unwrap()[0].clone();
            assert_eq!(asked, (streaming(passed).into(), stream), "{sent}");
        }
    }
}

#[actix_web::test]
async fn what_no_budget_can_be_held_to_is_refused() {
    let world = World::relaying(vec![]).await;
    limit(&world, 15_000).await;
    for (body, code) in [
        (r#"{"model":"gpt-x","n":"4"}"#, "invalid_type"),
        (r#"{"model":"gpt-x","n":0}"#, "invalid_value"),
        (
            r#"{"model":"gpt-x","max_tokens":1,"max_tokens":64000}"#,
            "invalid_value",
        ),
    ] {
        let answer = world.send(raw_completion(body, MASTER)).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["error"]["code"], code, "{body}");
    }
    let many = r#"{"model":"gpt-x","n":100,"max_tokens":300}"#;
    assert_eq!(world.send(raw_completion(many, MASTER)).await.status, 429);
    assert!(world.relay.asked.lock().unwrap().is_empty());
}

/// A provider whose stream broke off is left alone for a moment where there is another to ask.
#[actix_web::test]
async fn a_stream_that_fails_counts_against_its_model() {
    let world = World::relaying(vec![Relayed::Stream(vec![
        Ok("data: {}\n\n"),
        Err(broke_off()),
    ])])
    .await;
    let model = ModelRef::new("mock", "gpt-x");
    assert!(world.services.models.is_ready(&model));
    let body = json!({ "model": "mock/gpt-x", "stream": true });
    world.complete(&body).await;
    assert!(!world.services.models.is_ready(&model));
}
