//! Version, health, documentation.

use actix_web::test::TestRequest;
use majordomo_presentation_pocketpaw::document;
use serde_json::{Value, json};

use crate::world::World;

#[actix_web::test]
async fn the_version_is_told() {
    let world = World::playing([]).await;
    assert_eq!(
        world.get("/api/v1/version").await.expect(200),
        json!({ "version": env!("CARGO_PKG_VERSION"), "python": "", "agent_backend": "majordomo" })
    );
}

#[actix_web::test]
async fn documentation_is_public_and_needs_no_other_server() {
    let world = World::playing([]).await;
    for path in ["/api/v1/docs", "/api/v1/redoc"] {
        let page = world.send(TestRequest::get().uri(path)).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("/api/v1/openapi.json"));
        assert!(!page.text.contains("src=\"http"));
    }
    let served = world
        .send(TestRequest::get().uri("/api/v1/openapi.json"))
        .await;
    assert_eq!(served.expect(200), document());
}

#[test]
fn the_document_covers_every_operation() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let operations: Vec<(&String, &String, &Value)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (path, method, operation))
        })
        .collect();
    assert!(operations.len() > 40, "{}", operations.len());
    let mut ids: Vec<&str> = Vec::new();
    for (path, method, operation) in operations {
        let summary = operation["summary"].as_str().unwrap_or_default();
        let place = format!("{} {path}:", method.to_uppercase());
        assert!(
            summary.starts_with(&place),
            "{place} has the summary {summary}"
        );
        let success = match path.as_str() {
            // Connecting another service only sends the browser on.
            "/api/oauth/authorize" => "307",
            "/api/v1/oauth/register" => "201",
            _ => "200",
        };
        assert!(operation["responses"].get(success).is_some(), "{place}");
        ids.push(operation["operationId"].as_str().unwrap());
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
}

#[test]
fn the_document_tells_the_failures_of_single_operations() {
    let document = document();
    for (method, path, status) in [
        ("post", "/api/v1/auth/login", "400"),
        ("post", "/api/v1/auth/login", "401"),
        ("post", "/api/auth/session", "401"),
        ("post", "/api/v1/auth/api-keys", "400"),
        ("post", "/api/v1/chat/stop", "400"),
        ("post", "/api/v1/chat/stop", "404"),
        ("get", "/api/v1/chat/stream", "404"),
        ("get", "/api/memory/session/export", "404"),
        ("post", "/api/sessions/{id}/title", "400"),
    ] {
        let response = &document["paths"][path][method]["responses"][status];
        assert!(response.is_object(), "{method} {path} {status}");
    }
}
