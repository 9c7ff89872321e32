//! Every failure in the words of the path's dialect.

use std::time::Duration;

use actix_web::test::TestRequest;
use majordomo_application::error::INTERNAL_MESSAGE;
use majordomo_presentation_http::{
    Dialect as _, ErrorClass, FieldIssue, LimitClass, Location, Mounts,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Setup, Terse, Verbose, get, local, post, site};

#[actix_web::test]
async fn unknown_paths_and_wrong_methods_speak_the_dialect_of_their_path() {
    let site = site(Setup::default()).await;
    let unknown = site.ask(get("/v1/nowhere?token=x")).await;
    assert_eq!(unknown.status, 404);
    let body = unknown.json();
    assert_eq!(
        (body["path"].as_str(), body["method"].as_str()),
        (Some("/v1/nowhere"), Some("GET"))
    );
    assert_eq!(body["request_id"].as_str(), unknown.header("x-request-id"));
    assert_eq!(unknown.header("content-type"), Some("application/json"));

    let terse = site.ask(get("/terse/nowhere")).await;
    assert_eq!(
        (terse.status, terse.body.as_str()),
        (404, r#"{"detail":"not_found"}"#)
    );

    let wrong = site
        .ask(local(TestRequest::delete().uri("/v1/things")))
        .await;
    assert_eq!(wrong.status, 405);
    assert_eq!(wrong.json()["code"], "method_not_allowed");
    let allow = wrong.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[actix_web::test]
async fn a_handlers_error_keeps_its_words() {
    let site = site(Setup::default()).await;
    let missing = site
        .ask(local(TestRequest::delete().uri("/v1/things/0")))
        .await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["code"], "thing_not_found");
    assert_eq!(missing.json()["message"], "No such thing");
    let done = site
        .ask(local(TestRequest::delete().uri("/v1/things/7")))
        .await;
    assert_eq!((done.status, done.body.as_str()), (204, ""));
}

#[actix_web::test]
async fn an_internal_failure_shows_nothing_of_its_cause() {
    let site = site(Setup::default()).await;
    let answer = site.ask(get("/v1/broken")).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["message"], INTERNAL_MESSAGE);
    assert!(!answer.body.contains("hunter2") && !answer.body.contains("/var/lib"));
}

#[actix_web::test]
async fn a_panic_of_a_handler_is_an_internal_failure_too() {
    let site = site(Setup::default()).await;
    let answer = site.ask(get("/v1/panic")).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (500, Some("internal"))
    );
    assert!(!answer.body.contains("secret"));
    assert_eq!(
        answer.json()["request_id"].as_str(),
        answer.header("x-request-id")
    );
    assert_eq!(site.kernel.metrics().snapshot().server_error, 1);
    assert_eq!(site.ask(get("/health")).await.status, 200);
}

#[actix_web::test]
async fn every_answer_has_a_request_id() {
    let site = site(Setup::default()).await;
    let own = Uuid::from_u128(7).to_string();
    for (uri, sent) in [
        ("/health", &own),
        ("/v1/nowhere", &own),
        ("/v1/broken", &own),
    ] {
        let answer = site
            .ask(get(uri).insert_header(("x-request-id", sent.as_str())))
            .await;
        assert_eq!(answer.header("x-request-id"), Some(own.as_str()), "{uri}");
    }
    for bad in ["", "1", "<script>", "00000000-0000-0000-0000-00000000000g"] {
        let answer = site
            .ask(get("/v1/whoami").insert_header(("x-request-id", bad)))
            .await;
        let made: Uuid = answer.header("x-request-id").unwrap().parse().unwrap();
        assert_eq!(made.get_version_num(), 7, "{bad}");
        assert_eq!(
            answer.json()["id"],
            made.to_string(),
            "the handler sees the same id"
        );
    }
    let preflight = TestRequest::default()
        .method(actix_web::http::Method::OPTIONS)
        .uri("/v1/things")
        .insert_header(("origin", "https://evil.example"))
        .insert_header(("access-control-request-method", "POST"));
    assert!(site.ask(preflight).await.header("x-request-id").is_some());
}

#[actix_web::test]
async fn requests_are_counted_by_outcome() {
    let site = site(Setup::default()).await;
    let before = site.kernel.metrics().snapshot();
    for uri in ["/health", "/health", "/v1/nowhere", "/v1/broken"] {
        site.ask(get(uri)).await;
    }
    let after = site.kernel.metrics().snapshot();
    assert_eq!(before.total, 0);
    assert_eq!(
        (
            after.total,
            after.success,
            after.client_error,
            after.server_error,
            after.active
        ),
        (4, 2, 1, 1, 0)
    );
    assert_eq!(after.cumulative.last(), Some(&4));
    assert!(after.cumulative.is_sorted());
}

#[actix_web::test]
async fn what_the_framework_refuses_is_told_in_the_dialect() {
    let site = site(Setup::default()).await;
    let answer = site
        .ask(post("/v1/small", "application/json", &"x".repeat(601)))
        .await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (413, r#"{"detail":"payload_too_large"}"#)
    );
}

#[test]
fn the_longest_prefix_decides_and_ends_at_a_segment() {
    let mounts = Mounts::new(&Verbose, LimitClass::Unlimited)
        .at("/api", &Terse, LimitClass::Api)
        .at("/api/v1", &Verbose, LimitClass::PerMinute)
        .at("/api/v1/login", &Terse, LimitClass::Login);
    let cases = [
        ("/", "verbose", LimitClass::Unlimited),
        ("/api", "terse", LimitClass::Api),
        ("/apiary", "verbose", LimitClass::Unlimited),
        ("/api/x", "terse", LimitClass::Api),
        ("/api/v1", "verbose", LimitClass::PerMinute),
        ("/api/v10", "terse", LimitClass::Api),
        ("/api/v1/login", "terse", LimitClass::Login),
        ("/api/v1/logins", "verbose", LimitClass::PerMinute),
    ];
    for (path, dialect, limit) in cases {
        let mount = mounts.find(path);
        assert_eq!(
            (mount.dialect.name(), mount.limit),
            (dialect, limit),
            "{path}"
        );
    }
}

#[test]
fn waiting_times_are_rounded_up() {
    use majordomo_presentation_http::ApiError;
    use majordomo_presentation_http::dialect::{Failed, render};
    let method = actix_web::http::Method::GET;
    let failed = Failed {
        request_id: Uuid::nil(),
        method: &method,
        path: "/",
    };
    for (wait, seconds) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (29_500, "30")] {
        let error = ApiError::rate_limited(Duration::from_millis(wait));
        let response = render(&Verbose, &error, failed);
        assert_eq!(response.status(), 429);
        assert_eq!(
            response.headers().get("retry-after").unwrap(),
            seconds,
            "{wait} ms"
        );
    }
    for class in ErrorClass::ALL {
        let response = render(&Terse, &ApiError::of(class), failed);
        assert_eq!(response.status(), Terse.status(class));
    }
}

#[test]
fn what_was_sent_is_shown_where_it_is_short_and_no_secret() {
    let shown = |field: &str, input: Value| {
        FieldIssue::new(Location::Body, field, "invalid_type", "is wrong")
            .with_input(input)
            .input
    };
    for input in [json!(7), json!(null), json!(true), json!("x".repeat(200))] {
        assert_eq!(shown("parts.0.text", input.clone()), Some(input));
    }
    for input in [
        json!("x".repeat(201)),
        json!(["a"]),
        json!({ "token": "t" }),
    ] {
        assert_eq!(shown("parts", input), None);
    }
    for field in [
        "password",
        "new_password",
        "session_token",
        "openai_api_key",
        "channels.Webhook.url",
        "code_verifier",
        "client_secret",
    ] {
        assert_eq!(shown(field, json!("hunter2")), None, "{field}");
    }
}
