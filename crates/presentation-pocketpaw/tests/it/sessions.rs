//! `/api/v1/sessions`.

use actix_web::test::TestRequest;
use majordomo_testkit::Script;
use serde_json::json;

use crate::world::{BOB, World, bearer};

const NOW: &str = "2026-02-02T02:40:00.000000+00:00";

/// A server with two sessions, `a` and `b`, of one turn each.
async fn world() -> World {
    let world =
        World::playing([Script::answer("Paris."), Script::answer("Rome, of course.")]).await;
    for (session, content) in [("a", "Capital of France?"), ("b", "And of Italy?")] {
        let body = json!({ "content": content, "session_id": session });
        world.post("/api/v1/chat", body).await.expect(200);
    }
    world
}

#[actix_web::test]
async fn a_session_is_named_before_it_is_stored() {
    let world = world().await;
    let created = world.post_empty("/api/v1/sessions").await.expect(200);
    assert_eq!(
        created,
        json!({ "id": "websocket_000000000001", "title": "New Chat" })
    );
    let listed = world.get("/api/v1/sessions").await.expect(200);
    assert_eq!(listed["total"], 2);
}

#[actix_web::test]
async fn sessions_are_listed_with_their_count() {
    let world = world().await;
    let listed = world.get("/api/v1/sessions?limit=1").await.expect(200);
    assert_eq!(listed["total"], 2);
    let session = &listed["sessions"][0];
    let id = session["id"].as_str().unwrap();
    let title = if id == "websocket_a" {
        "Capital of France?"
    } else {
        "And of Italy?"
    };
    assert_eq!(
        listed["sessions"],
        json!([{
            "id": id, "title": title, "channel": "websocket", "last_activity": NOW, "message_count": 2
        }])
    );
    for (limit, rule, words, bound) in [
        (
            "0",
            "greater_than_equal",
            "Input should be greater than or equal to 1",
            json!({ "ge": 1 }),
        ),
        (
            "501",
            "less_than_equal",
            "Input should be less than or equal to 500",
            json!({ "le": 500 }),
        ),
    ] {
        let refused = world.get(&format!("/api/v1/sessions?limit={limit}")).await;
        assert_eq!(
            refused.expect(422),
            json!({ "detail": [{
                "type": rule, "loc": ["query", "limit"], "msg": words, "input": limit, "ctx": bound
            }] })
        );
    }
    let unread = world.get("/api/v1/sessions?limit=many").await.expect(422);
    assert_eq!(unread["detail"][0]["input"], "many");
}

#[actix_web::test]
async fn history_is_oldest_first_and_empty_for_the_unknown() {
    let world = world().await;
    let history = world
        .get("/api/v1/sessions/websocket_a/history")
        .await
        .expect(200);
    assert_eq!(
        history,
        json!([
            { "id": "message-1", "role": "user", "content": "Capital of France?", "timestamp": NOW, "metadata": {} },
            { "id": "message-2", "role": "assistant", "content": "Paris.", "timestamp": NOW, "metadata": {
                "model": "mock/scripted", "usage": { "input_tokens": 10, "output_tokens": 5 } } }
        ])
    );
    let last = world
        .get("/api/v1/sessions/a/history?limit=1")
        .await
        .expect(200);
    assert_eq!(last[0]["content"], "Paris.");
    for unknown in ["nope", "%3Ca%3E"] {
        let path = format!("/api/v1/sessions/{unknown}/history");
        assert_eq!(world.get(&path).await.expect(200), json!([]));
    }
}

#[actix_web::test]
async fn a_chosen_title_stays() {
    let world = world().await;
    let path = "/api/v1/sessions/websocket_a/title";
    let renamed = world.post(path, json!({ "title": "Geography" })).await;
    assert_eq!(renamed.expect(200), json!({ "status": "ok" }));
    let listed = world.get("/api/v1/sessions").await.text;
    assert!(listed.contains("\"title\":\"Geography\""));
    let unknown = world
        .post("/api/v1/sessions/nope/title", json!({ "title": "x" }))
        .await;
    assert_eq!(
        unknown.expect(404),
        json!({ "detail": "Session not found" })
    );
    let empty = world.post(path, json!({ "title": "" })).await.expect(422);
    assert_eq!(
        empty["detail"][0],
        json!({
            "type": "string_too_short", "loc": ["body", "title"],
            "msg": "String should have at least 1 character", "input": "", "ctx": { "min_length": 1 }
        })
    );
    world.post(path, json!({ "title": "  " })).await.expect(422);
    world
        .post(path, json!({ "title": "x".repeat(201) }))
        .await
        .expect(422);
}

#[actix_web::test]
async fn search_shows_each_session_once() {
    let world = world().await;
    let found = world
        .get("/api/v1/sessions/search?q=PARIS")
        .await
        .expect(200);
    assert_eq!(
        found,
        json!({ "sessions": [{
            "id": "websocket_a", "title": "Capital of France?", "channel": "websocket",
            "match": "Paris.", "match_role": "assistant", "last_activity": NOW
        }] })
    );
    for within in ["/api/v1", "/api"] {
        let path = format!("{within}/sessions/search?q=pital%20OF%20fr");
        let found = world.get(&path).await.expect(200);
        assert_eq!(found["sessions"].as_array().unwrap().len(), 1);
        assert_eq!(found["sessions"][0]["match"], "Capital of France?");
    }
    let both = world.get("/api/v1/sessions/search?q=of").await.expect(200);
    assert_eq!(both["sessions"].as_array().unwrap().len(), 2);
    let first = world
        .get("/api/v1/sessions/search?q=of&limit=1")
        .await
        .expect(200);
    assert_eq!(first["sessions"].as_array().unwrap().len(), 1);
    for nothing in ["?q=", "", "?q=Berlin"] {
        let found = world
            .get(&format!("/api/v1/sessions/search{nothing}"))
            .await;
        assert_eq!(found.expect(200), json!({ "sessions": [] }));
    }
    world
        .get("/api/v1/sessions/search?q=of&limit=201")
        .await
        .expect(422);
}

#[actix_web::test]
async fn a_session_is_exported_as_json() {
    let world = world().await;
    let answer = world.get("/api/v1/sessions/websocket_a/export").await;
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"pocketpaw-session-websocket_a.json\""
    );
    assert_eq!(answer.header("content-type"), "application/json");
    let export = answer.expect(200);
    assert_eq!(export["export_version"], "1.0");
    assert_eq!(export["exported_at"], NOW);
    assert_eq!(export["session_id"], "websocket_a");
    assert_eq!(export["message_count"], 2);
    assert_eq!(
        export["messages"][0],
        json!({ "id": "message-1", "role": "user", "content": "Capital of France?", "timestamp": NOW, "metadata": {} })
    );
}

#[actix_web::test]
async fn a_session_is_exported_as_markdown() {
    let world = world().await;
    let answer = world.get("/api/v1/sessions/a/export?format=md").await;
    assert_eq!(
        answer.header("content-type"),
        "text/markdown; charset=utf-8"
    );
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"pocketpaw-session-websocket_a.md\""
    );
    assert_eq!(
        answer.text,
        "# Conversation Export\n**Session**: `websocket_a` | **Messages**: 2 | **Exported**: 2026-02-02 02:40\n\n\
         ---\n\n**User** (02:40):\nCapital of France?\n\n---\n\n**Assistant** (02:40):\nParis.\n\n---"
    );
    let unknown = world.get("/api/v1/sessions/nope/export").await;
    assert_eq!(
        unknown.expect(404),
        json!({ "detail": "Session not found: nope" })
    );
    let format = world.get("/api/v1/sessions/a/export?format=pdf").await;
    assert_eq!(
        format.expect(400),
        json!({ "detail": "Format must be 'json' or 'md'" })
    );
}

#[actix_web::test]
async fn a_deleted_session_is_gone() {
    let world = world().await;
    let deleted = world.delete("/api/v1/sessions/websocket_a").await;
    assert_eq!(deleted.expect(200), json!({ "status": "ok" }));
    let again = world.delete("/api/v1/sessions/websocket_a").await;
    assert_eq!(again.expect(404), json!({ "detail": "Session not found" }));
    assert_eq!(world.get("/api/v1/sessions").await.expect(200)["total"], 1);
}

#[actix_web::test]
async fn another_users_sessions_do_not_exist() {
    let world = world().await;
    let as_bob = |request: TestRequest, path: &str| bearer(request.uri(path), BOB);
    let listed = world
        .send(as_bob(TestRequest::get(), "/api/v1/sessions"))
        .await;
    assert_eq!(listed.expect(200), json!({ "sessions": [], "total": 0 }));
    let found = world
        .send(as_bob(
            TestRequest::get(),
            "/api/v1/sessions/search?q=Paris",
        ))
        .await;
    assert_eq!(found.expect(200), json!({ "sessions": [] }));
    let history = world
        .send(as_bob(TestRequest::get(), "/api/v1/sessions/a/history"))
        .await;
    assert_eq!(history.expect(200), json!([]));
    let title = TestRequest::post().set_json(json!({ "title": "mine" }));
    for (request, path) in [
        (TestRequest::delete(), "/api/v1/sessions/a"),
        (TestRequest::get(), "/api/v1/sessions/a/export"),
        (title, "/api/v1/sessions/a/title"),
    ] {
        world.send(as_bob(request, path)).await.expect(404);
    }
    assert_eq!(world.get("/api/v1/sessions").await.expect(200)["total"], 2);
}
