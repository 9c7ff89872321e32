//! How often one address may ask: each door's limit, headers and refusal, and the one switch.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Options, Server, Socket};

async fn with(settings: &str) -> Server {
    Server::start(Options::config(format!("[security]\n{settings}"))).await
}

/// Asks so often, and gives the last answer, the only one that may be refused.
async fn last_of(server: &Server, path: &str, times: u32) -> Answer {
    for number in 1..times {
        let answer = server.get(path).await;
        assert_eq!(
            answer.status, 200,
            "{path}, request {number}: {}",
            answer.text
        );
    }
    server.get(path).await
}

fn number(answer: &Answer, name: &str) -> u64 {
    answer
        .header(name)
        .parse()
        .unwrap_or_else(|_| panic!("{name}: {:?}", answer.header(name)))
}

#[tokio::test]
async fn pisovereign_counts_by_the_minute() {
    let server = with("rate_limit_rpm = 3").await;
    let first = server.get("/v1/system/models").await;
    assert_eq!(
        (
            number(&first, "x-ratelimit-limit"),
            number(&first, "x-ratelimit-remaining")
        ),
        (3, 2)
    );
    assert!(
        number(&first, "x-ratelimit-reset") > 1_700_000_000,
        "Unix time"
    );
    let refused = last_of(&server, "/v1/system/models", 3)
        .await
        .with_status(429);
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 0);
    let wait = number(&refused, "retry-after");
    assert!((1..=20).contains(&wait), "{wait}");
    let error = &refused.json()["error"];
    assert_eq!(
        (&error["code"], &error["retry_after"]),
        (&json!("RATE_LIMITED"), &json!(wait))
    );
    // The OpenAI routes share the bucket, and refuse in their own words.
    let error = server.get("/v1/models").await.with_status(429).json();
    assert_eq!(error["error"]["code"], "rate_limit_exceeded");
    for free in ["/health", "/ready", "/metrics", "/api-docs/openapi.json"] {
        last_of(&server, free, 10).await.with_status(200);
    }
}

#[tokio::test]
async fn pocketpaw_counts_by_the_second_with_a_burst() {
    let server = with("rate_limit_api_per_sec = 1\nrate_limit_api_burst = 4\n").await;
    let first = server.get("/api/v1/sessions").await;
    assert_eq!(
        (
            number(&first, "x-ratelimit-limit"),
            number(&first, "x-ratelimit-remaining")
        ),
        (4, 3)
    );
    assert!(number(&first, "x-ratelimit-reset") <= 4, "seconds from now");
    let mut refused = server.get("/api/v1/sessions").await;
    for _ in 0..20 {
        if refused.status == 429 {
            break;
        }
        refused = server.get("/api/v1/sessions").await;
    }
    assert_eq!(number(&refused, "retry-after"), 1);
    assert!(refused.with_status(429).json()["detail"].is_string());
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    server.get("/api/v1/sessions").await.with_status(200);
}

#[tokio::test]
async fn logins_have_a_stricter_limit() {
    let server = with("rate_limit_login_per_sec = 1\nrate_limit_login_burst = 2\n").await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let request = server
            .anonymous(Method::POST, "/api/v1/auth/login")
            .json(&json!({ "token": "guess" }));
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses[..2], [401, 401]);
    assert!(statuses[2..].contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn sockets_have_a_limit_of_their_own() {
    let server = with("rate_limit_ws_per_sec = 1\nrate_limit_ws_burst = 2\n").await;
    let url = format!("ws://{}/ws", server.address);
    let mut refusals = Vec::new();
    for _ in 0..5 {
        refusals.extend(Socket::connect(&url, &[]).await.err());
    }
    assert!(
        !refusals.is_empty() && refusals.iter().all(|status| *status == 429),
        "{refusals:?}"
    );
}

#[tokio::test]
async fn keys_have_a_limit_of_their_own() {
    let server = with("rate_limit_key_rpm = 2").await;
    let key = server
        .post("/api/v1/auth/api-keys", &json!({ "name": "k" }))
        .await
        .ok();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let request = server
            .anonymous(Method::GET, "/api/v1/sessions")
            .bearer_auth(key["key"].as_str().unwrap());
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429]);
}

#[tokio::test]
async fn one_switch_lifts_all_limits() {
    let server = with(
        "rate_limit_enabled = false\nrate_limit_rpm = 1\nrate_limit_api_per_sec = 1\nrate_limit_api_burst = 1\n\
         rate_limit_login_burst = 1\nrate_limit_ws_burst = 1\nrate_limit_key_rpm = 1\n",
    )
    .await;
    for path in ["/v1/models", "/api/v1/sessions", "/v1/system/status"] {
        let last = last_of(&server, path, 20).await.with_status(200);
        assert_eq!(last.header("x-ratelimit-limit"), "");
    }
    for _ in 0..5 {
        Socket::open(&server, "/ws").await;
    }
}
