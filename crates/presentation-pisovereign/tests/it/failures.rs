//! Failures that no handler sees.

use std::num::NonZeroU32;

use majordomo_presentation_http::rate_limit::{Rate, RateLimitConfig};
use serde_json::json;

use crate::support::{ALICE, REQUEST_ID, Site, bearer, failure, get, post};

#[actix_web::test]
async fn unknown_routes_and_wrong_methods_have_the_envelope() {
    let site = Site::new().await;
    let answer = site.ask(get("/v1/nothing")).await;
    answer.is(404, &failure("NOT_FOUND", "Not Found"));
    assert_eq!(answer.header("x-request-id"), Some(REQUEST_ID));
    site.ask(post("/health", json!({})))
        .await
        .is(405, &failure("METHOD_NOT_ALLOWED", "Method Not Allowed"));
}

#[actix_web::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let two = Rate::per_minute(NonZeroU32::new(2).unwrap());
    let site = Site::limited(RateLimitConfig {
        per_minute: two,
        ..RateLimitConfig::default()
    })
    .await;
    let ask = || site.ask(bearer(get("/v1/system/models"), ALICE));
    let first = ask().await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-ratelimit-limit"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining"), Some("1"));
    ask().await;
    let answer = ask().await;
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    answer.is(
        429,
        &json!({ "error": {
            "code": "RATE_LIMITED",
            "message": format!("Too many requests. Please retry after {seconds} seconds."),
            "details": {},
            "request_id": REQUEST_ID,
            "retry_after": seconds
        } }),
    );
    assert_eq!(site.ask(get("/health")).await.status, 200);
}

#[actix_web::test]
async fn a_body_that_is_too_large_is_refused() {
    let site = Site::new().await;
    let body = json!({ "message": "x".repeat(1024 * 1024) });
    let answer = site.chat(body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["error"]["code"], "PAYLOAD_TOO_LARGE");
}
