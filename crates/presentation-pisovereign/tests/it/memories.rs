//! `/v1/memories`.

use actix_web::test::TestRequest;
use majordomo_application::Caller;
use majordomo_application::chat::{NewConversation, NewMessage};
use majordomo_domain::{CredentialKind, Role, Scope, Scopes, UserId, UserRole};
use majordomo_testkit::Script;
use majordomo_testkit::builders::{at, session_id};
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
    assert_eq!(
        (&hit["words_rank"], &hit["meaning_rank"]),
        (&json!(1), &json!(null))
    );
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

fn alice() -> Caller {
    Caller::new(
        UserId::parse("alice").unwrap(),
        UserRole::Owner,
        Scopes::full(),
        CredentialKind::Login,
    )
}

#[actix_web::test]
async fn an_answer_and_its_stream_tell_which_memories_were_recalled() {
    let site = Site::new().await;
    let memory = site.services.memory.clone();
    site.services.chat.remember_with(memory.clone());
    let id = create(&site, "The favourite tea is green").await["id"].clone();
    // From now on the index is at hand, and turns do not go without it.
    let question = "what is my favourite tea?";
    while memory.recall(&alice(), question, 10_000).await.is_none() {}
    for _ in 0..3 {
        site.model.push(Script::answer("Green"));
    }
    let body = |message: &str| json!({ "message": message });
    let answer = site.chat(body(question)).await.json();
    assert_eq!(answer["recalled"], json!([id]));
    let stream = site.stream(body(question)).await.body;
    let event = format!("event: recalled\ndata: {{\"memories\":[{id}]}}\n\n");
    assert!(stream.contains(&event), "{stream}");
    let other = site.chat(body("hello")).await.json();
    assert_eq!(other.get("recalled"), None);
}

#[actix_web::test]
async fn a_message_is_trusted_where_its_user_said_it_and_not_where_a_file_did() {
    let site = Site::new().await;
    site.model.push(Script::answer("Noted"));
    let body = json!({ "message": "The kettle is blue", "conversation_id": "here" });
    assert_eq!(site.chat(body).await.status, 200);
    let said = NewMessage {
        name: "m1".to_owned(),
        role: Role::User,
        text: "The kettle is mine".to_owned(),
        created_at: at(0),
    };
    let talk = NewConversation {
        session: session_id("there"),
        title: None,
        created_at: None,
        messages: vec![said],
    };
    let sessions = &site.services.sessions;
    sessions.import(&alice(), vec![talk]).await.unwrap();
    let hits = ask(&site, "/v1/memories/search?q=kettle", ALICE)
        .await
        .json();
    let mut shown: Vec<_> = hits
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| {
            let source = &hit["sources"][0];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&hit["content"]),
                text(&source["author"]),
                source["run_id"].is_null(),
                text(&hit["trust"]),
            )
        })
        .collect();
    shown.sort_unstable();
    let hit = |content: &str, author: &str, imported, trust: &str| {
        let [content, author, trust] = [content, author, trust].map(str::to_owned);
        (content, author, imported, trust)
    };
    let expected = [
        hit("Noted", "agent", false, "untrusted"),
        hit("The kettle is blue", "user", false, "trusted"),
        hit("The kettle is mine", "import", true, "untrusted"),
    ];
    assert_eq!(shown, expected);
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
        ], "embedding": null }),
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
    let requests: [fn() -> TestRequest; 10] = [
        || get("/v1/memories"),
        || post("/v1/memories", json!({ "content": "x", "summary": "x" })),
        || post("/v1/memories/decay", json!({})),
        || post("/v1/memories/import", json!({ "memories": [] })),
        || get("/v1/memories/audit"),
        || get("/v1/memories/export"),
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

/// Everything that is known of a memory comes back, except that it was imported.
#[actix_web::test]
async fn an_export_can_be_imported_by_another_user() {
    let site = Site::new().await;
    create(&site, "Likes green tea").await;
    site.clock.advance(std::time::Duration::from_hours(50));
    create(&site, "Lives in a small town near the sea").await;
    ask(&site, "/v1/memories/search?q=tea", ALICE).await;
    site.ask(bearer(post("/v1/memories/decay", json!({})), ALICE))
        .await;
    let first = ask(&site, "/v1/memories/export?limit=1", ALICE)
        .await
        .json();
    let after = first["next"].as_u64().unwrap();
    let rest = ask(&site, &format!("/v1/memories/export?after={after}"), ALICE)
        .await
        .json();
    assert_eq!(rest["next"], Value::Null);
    let mut lines = first["memories"].as_array().unwrap().clone();
    lines.extend(rest["memories"].as_array().unwrap().clone());
    assert_eq!(lines.len(), 2);

    let import = json!({ "memories": lines });
    let import = |token| bearer(post("/v1/memories/import", import.clone()), token);
    let counts = |answer: Answer| {
        (
            answer.json()["stored"].clone(),
            answer.json()["known"].clone(),
        )
    };
    assert_eq!(
        counts(site.ask(import(ALICE)).await),
        (json!(0), json!(2)),
        "they are there already"
    );
    assert_eq!(counts(site.ask(import(BOB)).await), (json!(2), json!(0)));
    assert_eq!(counts(site.ask(import(BOB)).await), (json!(0), json!(2)));
    let his = ask(&site, "/v1/memories/export", BOB).await.json();
    for (mut hers, mut his) in lines
        .into_iter()
        .zip(his["memories"].as_array().unwrap().clone())
    {
        let (hers, his) = (hers.as_object_mut().unwrap(), his.as_object_mut().unwrap());
        assert_ne!(hers.remove("id"), his.remove("id"));
        let sources = his["sources"].as_array_mut().unwrap();
        assert_eq!(sources.pop().unwrap()["author"], "import");
        assert_eq!(hers, his);
    }
    let shown = ask(&site, "/v1/memories", BOB).await.json();
    assert_eq!(shown[0]["trust"], "untrusted", "whatever a file says");
    assert_eq!(
        ask(&site, "/v1/memories/export", ALICE).await.json()["memories"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    for wrong in ["after=-1", "limit=0", "limit=501"] {
        let uri = format!("/v1/memories/export?{wrong}");
        assert_eq!(ask(&site, &uri, ALICE).await.status, 422, "{wrong}");
    }
    for (field, value) in [("updated_at", "soon"), ("decayed_at", "x"), ("id", "a/b")] {
        let body = json!({ "memories": [{ "content": "x", field: value }] });
        let refused = site
            .ask(bearer(post("/v1/memories/import", body), ALICE))
            .await;
        assert_eq!(refused.status, 422, "{field}: {}", refused.body);
        assert!(refused.body.contains(field), "{}", refused.body);
    }
    let body = json!({ "memories": [{ "content": "x", "sources": [{ "author": "god" }] }] });
    let refused = site
        .ask(bearer(post("/v1/memories/import", body), ALICE))
        .await;
    assert_eq!(refused.status, 422);
}

#[actix_web::test]
async fn an_audit_names_what_is_wrong() {
    let site = Site::new().await;
    let text = "The dentist of the whole family is in the Rose street in Berlin";
    let body = json!({ "memories": [
        { "content": text }, { "content": text.to_uppercase(), "created_at": "2024-05-08T10:00:00Z" },
        { "content": format!("{text} now") },
        { "content": "Somebody said so", "conversation_id": "gone" },
    ] });
    let imported = site
        .ask(bearer(post("/v1/memories/import", body), ALICE))
        .await
        .json();
    let id = |place: usize| imported["ids"][place].clone();
    let audit = ask(&site, "/v1/memories/audit", ALICE).await.json();
    assert_eq!(
        (&audit["examined"], &audit["whole"]),
        (&json!(4), &json!(true))
    );
    let names = |sort: &str| {
        let finding = &audit[sort]["memories"][0];
        (
            audit[sort]["count"].clone(),
            finding["id"].clone(),
            finding["like"].clone(),
        )
    };
    assert_eq!(names("duplicates"), (json!(1), id(1), id(0)));
    assert_eq!(names("near_duplicates"), (json!(1), id(2), id(0)));
    assert_eq!(names("orphaned"), (json!(1), id(3), Value::Null));
    assert_eq!(audit["stale"], json!({ "count": 0, "memories": [] }));
    let share = audit["near_duplicates"]["memories"][0]["likeness"]
        .as_f64()
        .unwrap();
    assert!((0.85..1.0).contains(&share), "{share}");

    site.clock.advance(std::time::Duration::from_hours(24 * 3));
    let audit = ask(&site, "/v1/memories/audit?stale_days=3&limit=1", ALICE)
        .await
        .json();
    assert_eq!(audit["stale"]["count"], 4);
    assert_eq!(audit["stale"]["memories"].as_array().unwrap().len(), 1);
    let others = ask(&site, "/v1/memories/audit?stale_days=1", BOB)
        .await
        .json();
    assert_eq!(others["examined"], 0);
    for wrong in ["stale_days=0", "stale_days=-3", "limit=0", "limit=501"] {
        let uri = format!("/v1/memories/audit?{wrong}");
        assert_eq!(ask(&site, &uri, ALICE).await.status, 422, "{wrong}");
    }
}
