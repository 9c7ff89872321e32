//! `/v1/system/...`.

use std::time::Duration;

use majordomo_domain::Scope;
use majordomo_testkit::Script;
use serde_json::json;

use crate::support::{ALICE, Site, bearer, failure, get, post};

#[actix_web::test]
async fn status_measures() {
    let site = Site::new().await;
    site.model.push(Script::answer("yes"));
    assert_eq!(site.chat(json!({ "message": "Hi" })).await.status, 200);
    site.clock.advance(Duration::from_secs(10));
    let answer = site.ask(bearer(get("/v1/system/status"), ALICE)).await;
    answer.is(
        200,
        &json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": 10,
            "environment": "development",
            "resources": { "memory_used_mb": 65, "cpu_percent": 20.0, "database_size_mb": 1 },
            "statistics": { "requests_total": 1, "inference_requests": 1, "cache_hit_rate": 0.0 }
        }),
    );
    site.clock.advance(Duration::from_secs(10));
    let answer = site.ask(bearer(get("/v1/system/status"), ALICE)).await;
    assert_eq!(answer.json()["resources"]["cpu_percent"], 0.0);
}

#[actix_web::test]
async fn models_are_listed() {
    let site = Site::new().await;
    let answer = site.ask(bearer(get("/v1/system/models"), ALICE)).await;
    answer.is(
        200,
        &json!({ "models": [
            {
                "id": "mock/small", "name": "small", "parameters": "1.5B",
                "context_length": 4096, "default": true
            },
            {
                "id": "mock/large", "name": "large", "parameters": null,
                "context_length": 8192, "default": false
            }
        ] }),
    );
}

#[actix_web::test]
async fn both_want_a_credential_and_its_scope() {
    let site = Site::new().await;
    let unauthorized = failure("UNAUTHORIZED", "Invalid or missing API key");
    let sessions = site.key_with(&[Scope::Sessions]).await;
    for (uri, scope) in [
        ("/v1/system/status", "metrics"),
        ("/v1/system/models", "chat"),
    ] {
        site.ask(get(uri)).await.is(401, &unauthorized);
        site.ask(bearer(get(uri), "sk-wrong"))
            .await
            .is(401, &unauthorized);
        let message = format!("API key missing required scope: {scope}");
        site.ask(bearer(get(uri), &sessions))
            .await
            .is(403, &failure("FORBIDDEN", &message));
        site.ask(bearer(post(uri, json!({})), ALICE))
            .await
            .is(405, &failure("METHOD_NOT_ALLOWED", "Method Not Allowed"));
    }
}
