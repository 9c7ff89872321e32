//! The OpenAPI document and its pages.

use std::collections::BTreeSet;

use majordomo_presentation_pisovereign::document;
use serde_json::Value;

use crate::support::{Site, get};

const OPERATIONS: [&str; 23] = [
    "delete /v1/memories/{id}",
    "get /api-docs/openapi.json",
    "get /health",
    "get /metrics",
    "get /metrics/prometheus",
    "get /ready",
    "get /ready/all",
    "get /redoc",
    "get /swagger-ui/",
    "get /v1/chat/stream",
    "get /v1/memories",
    "get /v1/memories/audit",
    "get /v1/memories/export",
    "get /v1/memories/search",
    "get /v1/memories/stats",
    "get /v1/memories/{id}",
    "get /v1/system/models",
    "get /v1/system/status",
    "post /v1/chat",
    "post /v1/chat/stream",
    "post /v1/memories",
    "post /v1/memories/decay",
    "post /v1/memories/import",
];

#[actix_web::test]
async fn the_document_covers_every_route() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "PiSovereign API");
    assert_eq!(document["info"]["license"]["name"], "MIT");
    let scheme = &document["components"]["securitySchemes"]["bearerAuth"];
    assert_eq!(
        (&scheme["type"], &scheme["scheme"]),
        (&"http".into(), &"bearer".into())
    );
    let operations: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(operations, OPERATIONS.map(str::to_owned).into());
    let ids: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), OPERATIONS.len(), "{ids:?}");
}

#[actix_web::test]
async fn the_document_tells_bodies_answers_and_failures() {
    let document = document();
    let chat = &document["paths"]["/v1/chat"]["post"];
    assert_eq!(chat["operationId"], "chat");
    assert_eq!(chat["tags"], serde_json::json!(["Chat"]));
    assert_eq!(
        chat["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/ChatRequest"
    );
    assert_eq!(
        chat["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/ChatResponse"
    );
    assert_eq!(
        chat["responses"]["401"]["$ref"],
        "#/components/responses/Unauthorized"
    );
    for status in ["400", "403", "422", "429", "503"] {
        assert!(chat["responses"][status].is_object(), "{status}");
    }
    let request = &document["components"]["schemas"]["ChatRequest"];
    assert_eq!(request["required"], serde_json::json!(["message"]));
    assert_eq!(request["properties"]["message"]["maxLength"], 10_000);
    let stream = &document["paths"]["/v1/chat/stream"]["post"]["responses"]["200"]["content"];
    assert!(stream["text/event-stream"].is_object());
    let health = &document["paths"]["/health"]["get"]["security"];
    assert_eq!(health, &Value::Array(Vec::new()));
}

#[actix_web::test]
async fn the_document_and_its_pages_need_no_credential() {
    let site = Site::new().await;
    let answer = site.ask(get("/api-docs/openapi.json")).await;
    answer.is(200, &document());
    for uri in ["/swagger-ui", "/swagger-ui/", "/redoc", "/redoc/"] {
        let page = site.ask(get(uri)).await;
        assert_eq!(page.status, 200, "{uri}");
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert!(page.body.contains("/api-docs/openapi.json"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("connect-src 'self'"), "{policy}");
    }
}
