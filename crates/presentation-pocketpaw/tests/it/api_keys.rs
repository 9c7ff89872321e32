//! `/api/v1/auth/api-keys`.

use actix_web::test::TestRequest;
use serde_json::json;

use crate::world::{World, bearer};

const KEYS: &str = "/api/v1/auth/api-keys";
const NOW: &str = "2026-02-02T02:40:00.000000+00:00";

#[actix_web::test]
async fn a_key_is_shown_once_and_works() {
    let world = World::playing([]).await;
    let body = json!({ "name": "golden", "scopes": ["memory", "sessions"] });
    let made = world.post(KEYS, body).await.expect(200);
    let key = made["key"].as_str().unwrap();
    assert_eq!(key.len(), 46);
    let prefix = key.get(..12).unwrap();
    assert_eq!(
        made,
        json!({
            "key": key, "id": "0000000000000001", "name": "golden", "prefix": prefix,
            "scopes": ["sessions", "memory"], "created_at": NOW, "expires_at": null
        })
    );
    world
        .send(bearer(TestRequest::get().uri("/api/v1/sessions"), key))
        .await
        .expect(200);
    assert_eq!(
        world.get(KEYS).await.expect(200),
        json!([{
            "id": "0000000000000001", "name": "golden", "prefix": prefix, "scopes": ["sessions", "memory"],
            "created_at": NOW, "last_used_at": NOW, "expires_at": null, "revoked": false, "enabled": true,
            "allowed_addresses": [], "allowed_models": [], "requests_per_minute": null
        }])
    );
}

#[actix_web::test]
async fn scopes_and_expiry_have_defaults_and_forms() {
    let world = World::playing([]).await;
    let made = world
        .post(KEYS, json!({ "name": "plain" }))
        .await
        .expect(200);
    assert_eq!(made["scopes"], json!(["chat", "sessions"]));
    for text in [
        "2027-01-01T00:00:00Z",
        "2027-01-01T01:00:00+01:00",
        "2027-01-01T00:00:00",
    ] {
        let body = json!({ "name": "brief", "expires_at": text });
        let made = world.post(KEYS, body).await.expect(200);
        assert_eq!(made["expires_at"], "2027-01-01T00:00:00.000000+00:00");
    }
}

#[actix_web::test]
async fn keys_that_cannot_be_are_refused() {
    let world = World::playing([]).await;
    let bad = world
        .post(KEYS, json!({ "name": "bad", "scopes": ["nope"] }))
        .await;
    assert_eq!(bad.expect(400), json!({ "detail": "Invalid scopes: nope" }));
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(101) }), "name"),
        (json!({ "scopes": ["chat"] }), "name"),
        (json!({ "name": "x", "scopes": [] }), "scopes"),
        (json!({ "name": "x", "expires_at": "soon" }), "expires_at"),
        (
            json!({ "name": "x", "expires_at": "2020-01-01T00:00:00Z" }),
            "expires_at",
        ),
    ] {
        let refused = world.post(KEYS, body.clone()).await.expect(422);
        assert_eq!(
            refused["detail"][0]["loc"],
            json!(["body", field]),
            "{body}"
        );
    }
    assert_eq!(world.get(KEYS).await.expect(200), json!([]));
}

#[actix_web::test]
async fn a_revoked_key_opens_nothing_and_stays_listed() {
    let world = World::playing([]).await;
    let key = world.key(&["sessions"]).await;
    let path = format!("{KEYS}/0000000000000001");
    assert_eq!(
        world.delete(&path).await.expect(200),
        json!({ "status": "ok" })
    );
    let refused = world
        .send(bearer(TestRequest::get().uri("/api/v1/sessions"), &key))
        .await;
    assert_eq!(refused.expect(401), json!({ "detail": "Unauthorized" }));
    assert_eq!(world.get(KEYS).await.expect(200)[0]["revoked"], true);
    for path in [path, format!("{KEYS}/nope"), format!("{KEYS}/a%20b")] {
        let again = world.delete(&path).await;
        assert_eq!(
            again.expect(404),
            json!({ "detail": "API key not found or already revoked" })
        );
    }
}

#[actix_web::test]
async fn a_rotated_key_is_replaced_at_once() {
    let world = World::playing([]).await;
    let old = world.key(&["sessions"]).await;
    let path = format!("{KEYS}/0000000000000001/rotate");
    let made = world.post_empty(&path).await.expect(200);
    assert_eq!(made["id"], "0000000000000002");
    assert_eq!(made["name"], "test");
    let new = made["key"].as_str().unwrap();
    let sessions = || TestRequest::get().uri("/api/v1/sessions");
    world.send(bearer(sessions(), &old)).await.expect(401);
    world.send(bearer(sessions(), new)).await.expect(200);
    world.post_empty(&path).await.expect(404);
}

#[actix_web::test]
async fn a_budget_is_set_with_its_key() {
    let world = World::playing([]).await;
    let body = json!({
        "name": "script", "budget": { "day": { "max_usd": 0.5 }, "month": { "max_tokens": 1000 } }
    });
    let made = world.post(KEYS, body).await.expect(200);
    let subject = format!("key:{}", made["id"].as_str().unwrap());
    let listed = world.get("/api/v1/budgets").await.expect(200);
    let limits: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!(one["subject"], subject.as_str());
            (
                one["period"].clone(),
                one["max_usd"].clone(),
                one["max_tokens"].clone(),
            )
        })
        .collect();
    assert_eq!(
        limits,
        [
            (json!("day"), json!(0.5), json!(null)),
            (json!("month"), json!(null), json!(1000)),
        ]
    );
    for wrong in [
        json!({ "day": { "max_usd": -1 } }),
        json!({ "day": { "max_usd": 1e300 } }),
        json!({ "month": { "max_tokens": 1_000_000_000_000_001_u64 } }),
        json!({ "month": 5 }),
    ] {
        let said = wrong.to_string();
        let refused = world
            .post(KEYS, json!({ "name": "x", "budget": wrong }))
            .await;
        assert_eq!(refused.status, 422, "{said}");
    }
}
