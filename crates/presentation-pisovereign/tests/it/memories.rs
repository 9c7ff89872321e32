//! `/v1/memories`.

use actix_web::test::TestRequest;
use majordomo_domain::Scope;
use serde_json::{Value, json};

use crate::support::{ALICE, Answer, BOB, Site, bearer, failure, get, post, wrong_fields};

async fn create(site: &Site, content: &str) -> Value {
    let body = json!({
        "content": content, "summary": "about it", "memory_type": "preference",
        "importance": 0.75, "tags": ["drink"]
    });
    let answer = site.ask(bearer(post("/v1/memories", body), ALICE)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()
}

async fn ask(site: &Site, uri: &str, token: &str) -> Answer {
    site.ask(bearer(get(uri), token)).await
}

fn delete(uri: &str) -> TestRequest {
    TestRequest::delete().uri(uri)
}

#[actix_web::test]
async fn a_memory_is_stored_shown_and_forgotten() {
    let site = Site::new().await;
    let created = create(&site, "Likes green tea").await;
    let mut expected = json!({
        "id": created["id"], "content": "Likes green tea", "summary": "about it",
        "memory_type": "Preference", "importance": 0.75, "access_count": 0, "tags": ["drink"],
        "created_at": created["created_at"], "updated_at": created["updated_at"],
        "sources": [{ "author": "user", "conversation_id": null, "message_id": null, "run_id": null }],
        "trust": "trusted"
    });
    let path = format!("/v1/memories/{}", created["id"].as_str().unwrap());
    ask(&site, &path, ALICE).await.is(200, &expected);
    ask(&site, "/v1/memories", ALICE)
        .await
        .is(200, &json!([expected]));
    ask(&site, "/v1/memories?type=fact", ALICE)
        .await
        .is(200, &json!([]));
    expected["merged"] = json!(false);
    assert_eq!(created, expected);
    let gone = failure("NOT_FOUND", "Memory entry not found");
    ask(&site, &path, BOB).await.is(404, &gone);
    site.ask(bearer(delete(&path), BOB)).await.is(404, &gone);
    assert_eq!(site.ask(bearer(delete(&path), ALICE)).await.status, 204);
    ask(&site, &path, ALICE).await.is(404, &gone);
    site.ask(bearer(delete(&path), ALICE)).await.is(404, &gone);
}

#[actix_web::test]
async fn memories_are_searched_with_reasons() {
    let site = Site::new().await;
    create(&site, "Likes green tea").await;
    create(&site, "Lives in Oslo").await;
    let hits = ask(&site, "/v1/memories/search?q=which%20tea", ALICE)
        .await
        .json();
    assert_eq!(hits.as_array().unwrap().len(), 1);
    let hit = &hits[0];
    assert_eq!(hit["content"], "Likes green tea");
    assert_eq!(
        (&hit["source"], &hit["relevance"]),
        (&json!("memory"), &json!(1.0))
    );
    assert_eq!(hit["similarity"], 1.0);
    ask(&site, "/v1/memories/search?q=tea", BOB)
        .await
        .is(200, &json!([]));
    for uri in ["/v1/memories/search", "/v1/memories/search?q=%20"] {
        ask(&site, uri, ALICE)
            .await
            .is(422, &wrong_fields(&[("q", "cannot be empty")]));
    }
    ask(&site, "/v1/memories/search?q=tea&limit=0", ALICE)
        .await
        .is(
            422,
            &wrong_fields(&[("limit", "must be between 1 and 100")]),
        );
}

#[actix_web::test]
async fn memories_are_counted_and_fade() {
    let site = Site::new().await;
    create(&site, "Likes green tea").await;
    let stats = ask(&site, "/v1/memories/stats", ALICE).await;
    stats.is(
        200,
        &json!({ "total": 1, "by_type": [
            { "memory_type": "Fact", "count": 0 },
            { "memory_type": "Preference", "count": 1 },
            { "memory_type": "Tool Result", "count": 0 },
            { "memory_type": "Correction", "count": 0 },
            { "memory_type": "Context", "count": 0 },
        ] }),
    );
    let decay = || bearer(post("/v1/memories/decay", json!({})), ALICE);
    let nothing = json!({ "processed": 1, "decayed": 0, "removed": 0 });
    site.ask(decay()).await.is(200, &nothing);
    site.clock.advance(std::time::Duration::from_hours(24));
    let faded = json!({ "processed": 1, "decayed": 1, "removed": 0 });
    site.ask(decay()).await.is(200, &faded);
    site.ask(decay()).await.is(200, &nothing);
    let memory = &ask(&site, "/v1/memories", ALICE).await.json()[0];
    assert_eq!(memory["importance"], 0.75 * 0.95);
}

#[actix_web::test]
async fn many_are_imported_once() {
    let site = Site::new().await;
    let body = json!({ "memories": [
        { "content": "Ann: Where do you live?", "conversation_id": "talk", "created_at": "2024-05-08T10:00:00Z" },
        { "content": "Ben: In Oslo", "conversation_id": "talk", "created_at": "2024-05-08T10:01:00Z" },
    ] });
    let import = || bearer(post("/v1/memories/import", body.clone()), ALICE);
    let first = site.ask(import()).await.json();
    assert_eq!((&first["stored"], &first["known"]), (&json!(2), &json!(0)));
    let again = site.ask(import()).await.json();
    assert_eq!((&again["stored"], &again["known"]), (&json!(0), &json!(2)));
    assert_eq!(first["ids"], again["ids"]);
    let hits = ask(
        &site,
        "/v1/memories/search?q=Where%20does%20Ben%20live",
        ALICE,
    )
    .await
    .json();
    assert_eq!(hits[0]["content"], "Ben: In Oslo");
    assert_eq!(hits[0]["created_at"], "2024-05-08T10:01:00.000Z");
    assert_eq!(hits[0]["sources"][0]["conversation_id"], "talk");
    let bad = json!({ "memories": [{ "content": "x", "created_at": "yesterday" }] });
    site.ask(bearer(post("/v1/memories/import", bad), ALICE))
        .await
        .is(
            422,
            &wrong_fields(&[("created_at", "must be an RFC 3339 time")]),
        );
}

#[actix_web::test]
async fn wrong_fields_are_named() {
    let site = Site::new().await;
    let body = json!({ "content": " ", "importance": 2.0 });
    site.ask(bearer(post("/v1/memories", body), ALICE))
        .await
        .is(
            422,
            &wrong_fields(&[
                ("content", "cannot be empty"),
                ("summary", "cannot be empty"),
                ("importance", "must be between 0.0 and 1.0"),
            ]),
        );
    let body = json!({ "content": "x", "summary": "x", "memory_type": "dream" });
    let words = "must be one of fact, preference, tool_result, correction, context";
    site.ask(bearer(post("/v1/memories", body), ALICE))
        .await
        .is(422, &wrong_fields(&[("memory_type", words)]));
    let broken = TestRequest::post()
        .uri("/v1/memories")
        .insert_header(("content-type", "application/json"))
        .set_payload("{");
    assert_eq!(site.ask(bearer(broken, ALICE)).await.status, 400);
}

#[actix_web::test]
async fn every_route_wants_a_credential_and_its_scope() {
    let site = Site::new().await;
    let chat = site.key_with(&[Scope::Chat]).await;
    let requests: [fn() -> TestRequest; 8] = [
        || get("/v1/memories"),
        || post("/v1/memories", json!({ "content": "x", "summary": "x" })),
        || post("/v1/memories/decay", json!({})),
        || post("/v1/memories/import", json!({ "memories": [] })),
        || get("/v1/memories/search?q=x"),
        || get("/v1/memories/stats"),
        || get("/v1/memories/m1"),
        || delete("/v1/memories/m1"),
    ];
    let unauthorized = failure("UNAUTHORIZED", "Invalid or missing API key");
    let forbidden = failure("FORBIDDEN", "API key missing required scope: memory");
    for request in requests {
        site.ask(request()).await.is(401, &unauthorized);
        site.ask(bearer(request(), &chat)).await.is(403, &forbidden);
    }
}
