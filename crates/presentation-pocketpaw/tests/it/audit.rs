//! The audit log and the self-audit, on both of their addresses.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::world::{Answer, BOB, MASTER, World, bearer};

/// Every route of them.
const ROUTES: [(&str, &str); 12] = [
    ("GET", "/api/v1/audit"),
    ("DELETE", "/api/v1/audit"),
    ("GET", "/api/audit"),
    ("DELETE", "/api/audit"),
    ("POST", "/api/v1/security-audit"),
    ("POST", "/api/security-audit"),
    ("GET", "/api/v1/self-audit/reports"),
    ("GET", "/api/self-audit/reports"),
    ("GET", "/api/v1/self-audit/reports/2026-02-02"),
    ("GET", "/api/self-audit/reports/2026-02-02"),
    ("POST", "/api/v1/self-audit/run"),
    ("POST", "/api/self-audit/run"),
];

async fn ask(world: &World, method: &str, path: &str, token: &str) -> Answer {
    let request = TestRequest::default()
        .method(method.parse::<Method>().unwrap())
        .uri(path);
    world.send(bearer(request, token)).await
}

async fn listed(world: &World, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit{query}");
    let entries = world.get(&path).await.expect(200);
    entries.as_array().unwrap().clone()
}

#[actix_web::test]
async fn only_administrators_may_look_and_run() {
    let world = World::playing([]).await;
    let key = world
        .key(&["chat", "sessions", "settings:read", "settings:write"])
        .await;
    for (method, path) in ROUTES {
        let nobody = ask(&world, method, path, "nobody").await;
        assert_eq!(nobody.status, 401, "{method} {path}");
        for token in [BOB, &key] {
            let refused = ask(&world, method, path, token).await;
            assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
        }
    }
    // Nothing was recorded but the key, nor taken away.
    let [entry] = listed(&world, "").await.try_into().unwrap();
    assert_eq!(entry["action"], "api_key_created");
}

#[actix_web::test]
async fn entries_are_told_as_clients_know_them() {
    let world = World::playing([]).await;
    world.key(&["chat"]).await;
    let [entry] = listed(&world, "").await.try_into().unwrap();
    for name in [
        "id",
        "timestamp",
        "severity",
        "actor",
        "action",
        "target",
        "status",
        "context",
    ] {
        assert!(entry.get(name).is_some(), "{name} in {entry}");
    }
    assert_eq!(entry["action"], "api_key_created");
    assert_eq!(
        (&entry["severity"], &entry["status"]),
        (&json!("info"), &json!("success"))
    );
    for (query, count) in [
        ("?limit=1", 1),
        ("?action=api_key_created", 1),
        ("?action=api_key.create", 1),
        ("?action=settings_update", 0),
        ("?actor=nobody", 0),
        ("?date_to=2026-02-01T00:00:00Z", 0),
        ("?date_from=2026-02-01T00:00:00Z", 1),
    ] {
        assert_eq!(listed(&world, query).await.len(), count, "{query}");
    }
    let body = json!({ "theme_preference": "dark" });
    let change = TestRequest::put().uri("/api/v1/settings").set_json(body);
    world.send(bearer(change, MASTER)).await.expect(200);
    assert_eq!(listed(&world, "?action=settings_update").await.len(), 1);
    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?date_from=yesterday",
    ] {
        let refused = world
            .get(&format!("/api/v1/audit{query}"))
            .await
            .expect(422);
        assert_eq!(refused["detail"][0]["loc"][0], "query", "{query}");
    }
}

#[actix_web::test]
async fn clearing_archives() {
    let world = World::playing([]).await;
    let empty = world.delete("/api/v1/audit").await.expect(200);
    assert_eq!(empty, json!({ "ok": true, "archived_to": null }));
    for path in ["/api/v1/audit", "/api/audit"] {
        world.key(&["chat"]).await;
        let archived = world.delete(path).await.expect(200);
        assert_eq!(archived["ok"], true);
        assert!(
            archived["archived_to"].as_str().unwrap().contains("audit-"),
            "{archived}"
        );
        let [left] = listed(&world, "").await.try_into().unwrap();
        assert_eq!(left["action"], "audit_log_rotated");
    }
}

#[actix_web::test]
async fn the_self_audit_is_run_kept_and_found() {
    let world = World::playing([]).await;
    assert_eq!(
        world.get("/api/v1/self-audit/reports").await.expect(200),
        json!([])
    );
    let missing = world
        .get("/api/v1/self-audit/reports/2026-02-02")
        .await
        .expect(404);
    assert_eq!(missing, json!({ "detail": "Report not found" }));
    let looked = world.post_empty("/api/v1/security-audit").await.expect(200);
    assert_eq!(
        (&looked["total"], &looked["passed"], &looked["issues"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let failed = &looked["results"][1];
    assert_eq!(failed["passed"], false);
    assert!(failed["remedy"].is_string(), "{failed}");
    let run = world.post_empty("/api/self-audit/run").await.expect(200);
    assert_eq!(run["total_checks"], 2);
    for path in [
        "/api/v1/self-audit/reports/2026-02-02",
        "/api/self-audit/reports/2026-02-02",
    ] {
        assert_eq!(world.get(path).await.expect(200), run);
    }
    assert_eq!(
        world.get("/api/v1/self-audit/reports").await.expect(200),
        json!([{ "date": "2026-02-02", "total": 2, "passed": 1, "issues": 1 }])
    );
    for date in ["2026-02-03", "today", "..%2F..%2Fetc"] {
        world
            .get(&format!("/api/v1/self-audit/reports/{date}"))
            .await
            .expect(404);
    }
    assert_eq!(listed(&world, "?action=self_audit_run").await.len(), 1);
}
