//! `/api/v1/memory` and `/api/memory`.

use actix_web::test::TestRequest;
use majordomo_application::Caller;
use majordomo_application::memory::NewMemory;
use majordomo_domain::{CredentialKind, MemoryAuthor, MemoryKind, MemorySource};
use majordomo_testkit::Script;
use serde_json::{Value, json};

use crate::world::{Answer, BOB, World, bearer};

const PREFIXES: [&str; 2] = ["/api/v1/memory", "/api/memory"];

pub(crate) async fn remember(world: &World, content: &str, tags: &[&str]) -> String {
    remember_as(MemoryKind::Fact, world, content, tags).await
}

async fn remember_as(kind: MemoryKind, world: &World, content: &str, tags: &[&str]) -> String {
    let operator = Caller::operator(CredentialKind::MasterToken);
    let new = NewMemory {
        content: content.to_owned(),
        summary: None,
        kind,
        importance: None,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        source: MemorySource::of(MemoryAuthor::User),
        created_at: None,
    };
    let stored = world.services.memory.create(&operator, new).await.unwrap();
    stored.memory.id.into_string()
}

async fn patch(world: &World, id: &str, body: Value) -> Answer {
    let path = format!("/api/memory/long_term/{id}");
    let request = TestRequest::patch().uri(&path).set_json(body);
    world.send(bearer(request, crate::world::MASTER)).await
}

#[actix_web::test]
async fn memories_are_listed_and_forgotten() {
    for prefix in PREFIXES {
        let world = World::playing([]).await;
        let id = remember(&world, "Golden likes tea", &["drink"]).await;
        let list = world.get(&format!("{prefix}/long_term")).await.expect(200);
        assert_eq!(
            list,
            json!([{
                "id": id, "content": "Golden likes tea",
                "timestamp": list[0]["timestamp"], "tags": ["drink"]
            }])
        );
        let path = format!("{prefix}/long_term/{id}");
        let gone = json!({ "detail": "Memory entry not found" });
        let others = bearer(TestRequest::delete().uri(&path), BOB);
        assert_eq!(world.send(others).await.expect(404), gone);
        assert_eq!(world.delete(&path).await.expect(200), json!({ "ok": true }));
        assert_eq!(world.delete(&path).await.expect(404), gone);
        assert_eq!(
            world.get(&format!("{prefix}/long_term")).await.expect(200),
            json!([])
        );
    }
}

#[actix_web::test]
async fn an_answer_and_its_stream_tell_which_memories_were_recalled() {
    let world = World::playing([Script::answer("Green"), Script::answer("Green")]).await;
    let memory = world.services.memory.clone();
    world.services.chat.remember_with(memory.clone());
    let id = remember(&world, "The favourite tea is green", &[]).await;
    // From now on the index is at hand, and turns do not go without it.
    let operator = Caller::operator(CredentialKind::MasterToken);
    let question = "what is my favourite tea?";
    while memory.recall(&operator, question, 10_000).await.is_none() {}
    let body = json!({ "content": question });
    let answer = world.post("/api/v1/chat", body.clone()).await.expect(200);
    assert_eq!(answer["metadata"], json!({ "recalled": [id] }));
    let stream = world.post("/api/v1/chat/stream", body).await.text;
    let event = format!("event: recalled\ndata: {{\"memories\":[\"{id}\"]}}\n\n");
    assert!(stream.contains(&event), "{stream}");
}

#[actix_web::test]
async fn limits_are_checked_or_bent() {
    let world = World::playing([]).await;
    for limit in [0, 501] {
        let path = format!("/api/v1/memory/long_term?limit={limit}");
        world.get(&path).await.expect(422);
        let path = format!("/api/memory/long_term?limit={limit}");
        world.get(&path).await.expect(200);
    }
}

#[actix_web::test]
async fn the_dashboard_changes_memories() {
    let world = World::playing([]).await;
    let id = remember(&world, "Golden likes tea", &[]).await;
    let body = json!({ "content": "Golden likes green tea", "tags": ["drink"] });
    assert_eq!(
        patch(&world, &id, body).await.expect(200),
        json!({ "ok": true })
    );
    let list = world.get("/api/memory/long_term").await.expect(200);
    assert_eq!(list[0]["content"], "Golden likes green tea");
    assert_eq!(list[0]["tags"], json!(["drink"]));
    let gone = json!({ "detail": "Memory entry not found or update unsupported" });
    assert_eq!(
        patch(&world, "nope", json!({ "content": "x" }))
            .await
            .expect(404),
        gone
    );
    patch(&world, &id, json!({ "content": "" }))
        .await
        .expect(422);
}

#[actix_web::test]
async fn memories_are_counted() {
    for prefix in PREFIXES {
        let world = World::playing([]).await;
        remember(&world, "Golden likes tea", &["drink", "habit"]).await;
        let by_type = json!({ "long_term": 1, "daily": 0, "session": 0 });
        assert_eq!(
            world.get(&format!("{prefix}/stats")).await.expect(200),
            json!({
                "backend": "file", "total_memories": 1, "by_type": by_type,
                "memories_by_type": by_type, "vector_backend": "disabled",
                "vector_enabled": false, "vector_entries": 0, "graph_enabled": true,
                "graph_entities": 2, "graph_relationships": 1
            })
        );
    }
}

#[actix_web::test]
async fn tags_make_a_graph_and_markup_stays_text() {
    let world = World::playing([]).await;
    let empty = world.get("/api/memory/graph").await.expect(200);
    assert_eq!(empty, json!({ "nodes": [], "edges": [] }));
    let drawing = world.get("/api/memory/graph.svg").await;
    assert!(drawing.text.contains("No graph data"), "{}", drawing.text);
    remember(&world, "one", &["<b>", "tea"]).await;
    remember(&world, "two", &["tea"]).await;
    assert_eq!(
        world.get("/api/memory/graph").await.expect(200),
        json!({
            "nodes": [
                { "id": "tea", "label": "tea", "count": 2 },
                { "id": "<b>", "label": "<b>", "count": 1 }
            ],
            "edges": [{ "source": "<b>", "target": "tea", "weight": 1 }]
        })
    );
    let drawing = world.get("/api/memory/graph.svg").await;
    assert!(drawing.text.contains("&lt;b&gt;") && !drawing.text.contains("<b>"));
}

#[actix_web::test]
async fn what_is_old_is_pruned() {
    let world = World::playing([]).await;
    remember_as(MemoryKind::Context, &world, "old chatter", &[]).await;
    remember(&world, "old fact", &[]).await;
    world
        .clock
        .advance(std::time::Duration::from_hours(24 * 31));
    remember_as(MemoryKind::Context, &world, "fresh chatter", &[]).await;
    let pruned = world.post("/api/memory/prune", json!({})).await.expect(200);
    let expected = json!({ "ok": true, "older_than_days": 30, "deleted_daily_memories": 1 });
    assert_eq!(pruned, expected);
    let list = world.get("/api/memory/long_term").await.expect(200);
    let left: Vec<&Value> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|memory| &memory["content"])
        .collect();
    assert_eq!(left, ["fresh chatter", "old fact"]);
    for days in [0, 3651] {
        let body = json!({ "older_than_days": days });
        world.post("/api/memory/prune", body).await.expect(422);
    }
}

#[actix_web::test]
async fn settings_of_memory_are_shown_and_changed() {
    for prefix in PREFIXES {
        let world = World::playing([]).await;
        let path = format!("{prefix}/settings");
        let shown = world.get(&path).await.expect(200);
        assert_eq!(shown.as_object().unwrap().len(), 9);
        assert_eq!(shown["memory_backend"], "file");
        let body = json!({ "mem0_auto_learn": false, "agent_backend": "ignored" });
        let changed = world.post(&path, body).await.expect(200);
        assert_eq!(changed["status"], "ok");
        assert_eq!(world.get(&path).await.expect(200)["mem0_auto_learn"], false);
        world
            .post(&path, json!({ "mem0_auto_learn": "no" }))
            .await
            .expect(422);
    }
}

#[actix_web::test]
async fn every_route_wants_a_credential_and_its_scope() {
    let world = World::playing([]).await;
    let chat = world.key(&["chat"]).await;
    let mut requests: Vec<(&str, String)> = Vec::new();
    for prefix in PREFIXES {
        for (method, path) in [
            ("GET", "long_term"),
            ("DELETE", "long_term/x"),
            ("GET", "settings"),
            ("POST", "settings"),
            ("GET", "stats"),
        ] {
            requests.push((method, format!("{prefix}/{path}")));
        }
    }
    for (method, path) in [
        ("PATCH", "long_term/x"),
        ("GET", "graph"),
        ("GET", "graph.svg"),
        ("POST", "prune"),
    ] {
        requests.push((method, format!("/api/memory/{path}")));
    }
    let settings = world.key(&["settings:read", "settings:write"]).await;
    for (method, path) in requests {
        let request = || {
            let method = actix_web::http::Method::from_bytes(method.as_bytes()).unwrap();
            TestRequest::default()
                .method(method)
                .uri(&path)
                .set_json(json!({}))
        };
        let stranger = request().insert_header(("authorization", "Bearer wrong"));
        world.send(stranger).await.expect(401);
        for key in [&chat, &settings] {
            world.send(bearer(request(), key)).await.expect(403);
        }
    }
}

/// The scope of memory is enough for its settings, and for no others; they are everybody's, so administrators change them.
#[actix_web::test]
async fn settings_of_memory_want_the_scope_of_memory() {
    for prefix in PREFIXES {
        let world = World::playing([]).await;
        let key = world.key(&["memory"]).await;
        let path = format!("{prefix}/settings");
        let change = |key: &str| {
            let body = json!({ "mem0_auto_learn": false, "soul_name": "Mo" });
            bearer(TestRequest::post().uri(&path).set_json(body), key)
        };
        world.send(change(BOB)).await.expect(403);
        world.send(change(&key)).await.expect(200);
        let shown = world
            .send(bearer(TestRequest::get().uri(&path), &key))
            .await;
        assert_eq!(shown.expect(200)["mem0_auto_learn"], false);
        let all = world.get("/api/v1/settings").await.expect(200);
        assert_eq!(all["soul_name"], "Paw");
        let all = TestRequest::get().uri("/api/v1/settings");
        world.send(bearer(all, &key)).await.expect(403);
    }
}
