//! `/api/v1/sessions/import`.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::world::{BOB, World, bearer};

const PATH: &str = "/api/v1/sessions/import";

fn talk(messages: &[(&str, &str, &str)]) -> Value {
    let messages: Vec<Value> = (0..)
        .zip(messages)
        .map(|(second, (id, role, content)): (u32, _)| {
            let timestamp = format!("2023-05-08T10:00:{second:02}.250Z");
            json!({ "id": id, "role": role, "content": content, "timestamp": timestamp })
        })
        .collect();
    json!({ "conversations": [{
        "id": "chatgpt-1", "title": "Tea", "created_at": "2023-05-08T09:59:00Z", "messages": messages
    }] })
}

#[actix_web::test]
async fn a_conversation_becomes_a_session() {
    let world = World::playing([]).await;
    let two = [("m1", "user", "Which tea?"), ("m2", "assistant", "Green.")];
    let imported = world.post(PATH, talk(&two)).await.expect(200);
    let of = |stored: u64, known: u64| json!({ "sessions": [{ "id": "websocket_chatgpt-1", "stored": stored, "known": known }] });
    assert_eq!(imported, of(2, 0));
    assert_eq!(world.post(PATH, talk(&two)).await.expect(200), of(0, 2));
    let listed = world.get("/api/v1/sessions").await.expect(200);
    assert_eq!(
        listed["sessions"],
        json!([{
            "id": "websocket_chatgpt-1", "title": "Tea", "channel": "import",
            "last_activity": "2023-05-08T10:00:01.250000+00:00", "message_count": 2
        }])
    );
    let three = [two[0], two[1], ("m3", "user", "Thanks")];
    assert_eq!(world.post(PATH, talk(&three)).await.expect(200), of(1, 2));
    let path = "/api/v1/sessions/chatgpt-1/history";
    let history = world.get(path).await.expect(200);
    let said: Vec<(&Value, &Value)> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (&message["role"], &message["content"]))
        .collect();
    let expected = three.map(|(_, role, text)| (json!(role), json!(text)));
    assert_eq!(said, expected.each_ref().map(|(role, text)| (role, text)));
    assert_eq!(history[0]["timestamp"], "2023-05-08T10:00:00.250000+00:00");
    let found = world
        .get("/api/v1/sessions/search?q=green")
        .await
        .expect(200);
    assert_eq!(found["sessions"][0]["id"], "websocket_chatgpt-1");
}

#[actix_web::test]
async fn another_users_import_is_another_session() {
    let world = World::playing([]).await;
    let two = [("m1", "user", "Which tea?"), ("m2", "assistant", "Green.")];
    world.post(PATH, talk(&two)).await.expect(200);
    let body = talk(&[("m1", "user", "His own")]);
    let his = TestRequest::post().uri(PATH).set_json(body);
    let imported = world.send(bearer(his, BOB)).await.expect(200);
    assert_eq!(imported["sessions"][0]["stored"], 1);
    let path = "/api/v1/sessions/chatgpt-1/history";
    let hers = world.get(path).await.expect(200);
    assert_eq!(hers.as_array().unwrap().len(), 2);
    let his = bearer(TestRequest::get().uri(path), BOB);
    let his = world.send(his).await.expect(200);
    assert_eq!(his[0]["content"], "His own");
}

#[actix_web::test]
async fn who_may_not_and_what_is_wrong_is_refused() {
    let world = World::playing([]).await;
    let good = || {
        TestRequest::post()
            .uri(PATH)
            .set_json(talk(&[("m", "user", "x")]))
    };
    let refused = world.send(good()).await.expect(401);
    assert_eq!(refused, json!({ "detail": "Unauthorized" }));
    let chat = world.key(&["chat"]).await;
    world.send(bearer(good(), &chat)).await.expect(403);
    let too_many: Vec<(&str, &str, &str)> = vec![("m", "user", "x"); 1001];
    let long = "x".repeat(1_000_001);
    for body in [
        json!({}),
        talk(&[("m", "tool", "x")]),
        talk(&[("", "user", "x")]),
        talk(&[("m", "user", " ")]),
        talk(&[("m", "user", &long)]),
        talk(&too_many),
        json!({ "conversations": [{ "id": "a/b", "messages": [] }] }),
        json!({ "conversations": [{ "id": "a", "created_at": "soon", "messages": [] }] }),
        json!({ "conversations": vec![json!({ "id": "a", "messages": [] }); 101] }),
    ] {
        let refused = world.post(PATH, body).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
    }
    let nothing = json!({ "conversations": [{ "id": "a", "messages": [] }] });
    let imported = world.post(PATH, nothing).await.expect(200);
    assert_eq!(imported["sessions"][0]["stored"], 0);
    assert_eq!(world.get("/api/v1/sessions").await.expect(200)["total"], 0);
}
