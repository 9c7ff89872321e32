//! The dashboard's routes under `/api`.

use majordomo_testkit::Script;
use serde_json::json;

use crate::world::World;

const NOW: &str = "2026-02-02T02:40:00.000000+00:00";

async fn world() -> World {
    let answer = format!("Paris{}", ".".repeat(200));
    let world = World::playing([Script::answer(&answer)]).await;
    let body = json!({ "content": "Capital of France?", "session_id": "a" });
    world.post("/api/v1/chat", body).await.expect(200);
    world
}

#[actix_web::test]
async fn sessions_have_previews_and_chosen_titles() {
    let world = world().await;
    let preview = format!("Paris{}", ".".repeat(115));
    let mut session = json!({
        "id": "websocket_a", "title": "Capital of France?", "channel": "websocket", "last_activity": NOW,
        "message_count": 2, "created": NOW, "preview": preview
    });
    let listed = world.get("/api/sessions?limit=100").await.expect(200);
    assert_eq!(listed, json!({ "sessions": [session], "total": 1 }));
    let bare = world.get("/api/memory/sessions").await.expect(200);
    assert_eq!(bare, json!([session]));
    world
        .post(
            "/api/sessions/websocket_a/title",
            json!({ "title": "Trip" }),
        )
        .await
        .expect(200);
    session["title"] = "Trip".into();
    session["user_title"] = "Trip".into();
    // Limits out of bounds are not refused here.
    let listed = world.get("/api/sessions?limit=0").await.expect(200);
    assert_eq!(listed["sessions"], json!([session]));
}

#[actix_web::test]
async fn titles_are_required() {
    let world = world().await;
    for (id, title, status, words) in [
        ("a", " ", 400, "Title is required"),
        ("nope", "x", 404, "Session not found"),
    ] {
        let path = format!("/api/sessions/{id}/title");
        let answer = world.post(&path, json!({ "title": title })).await;
        assert_eq!(answer.expect(status), json!({ "detail": words }));
    }
}

#[actix_web::test]
async fn sessions_are_searched_and_deleted() {
    let world = world().await;
    let found = world
        .get("/api/sessions/search?q=france&limit=100000")
        .await
        .expect(200);
    assert_eq!(found["sessions"][0]["id"], "websocket_a");
    assert_eq!(found["sessions"][0]["match_role"], "user");
    assert_eq!(
        world.get("/api/sessions/search").await.expect(200),
        json!({ "sessions": [] })
    );
    let deleted = world.delete("/api/sessions/websocket_a").await;
    assert_eq!(deleted.expect(200), json!({ "status": "ok" }));
    world.delete("/api/sessions/websocket_a").await.expect(404);
}

#[actix_web::test]
async fn messages_are_read_by_query() {
    let world = world().await;
    assert_eq!(
        world.get("/api/memory/session").await.expect(200),
        json!([])
    );
    let messages = world
        .get("/api/memory/session?id=websocket_a&limit=1")
        .await;
    assert_eq!(messages.expect(200)[0]["role"], "assistant");
    let export = world.get("/api/memory/session/export?id=websocket_a").await;
    assert!(
        export
            .header("content-disposition")
            .ends_with("websocket_a.json\"")
    );
    assert_eq!(export.expect(200)["message_count"], 2);
    let markdown = world.get("/api/memory/session/export?id=a&format=md").await;
    assert!(markdown.text.starts_with("# Conversation Export\n"));
    for (query, status, words) in [
        ("", 400, "Missing required parameter: id"),
        ("?id=x&format=pdf", 400, "Format must be 'json' or 'md'"),
        ("?id=nope", 404, "Session not found: nope"),
    ] {
        let answer = world
            .get(&format!("/api/memory/session/export{query}"))
            .await;
        assert_eq!(answer.expect(status), json!({ "detail": words }));
    }
}

#[actix_web::test]
async fn the_version_is_its_own_newest() {
    let world = world().await;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        world.get("/api/version").await.expect(200),
        json!({ "current": version, "latest": version, "update_available": false })
    );
}
