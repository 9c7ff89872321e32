//! `/api/v1/identity` and `/api/identity`.

use actix_web::test::TestRequest;
use majordomo_testkit::Script;
use serde_json::{Value, json};

use crate::world::{Answer, BOB, MASTER, World, bearer};

const PATHS: [&str; 2] = ["/api/v1/identity", "/api/identity"];

async fn put(world: &World, path: &str, body: Value) -> Answer {
    let request = TestRequest::put().uri(path).set_json(body);
    world.send(bearer(request, MASTER)).await
}

#[actix_web::test]
async fn what_is_put_is_what_get_and_the_agent_see() {
    for path in PATHS {
        let world = World::playing([Script::answer("hi")]).await;
        let nothing = json!({ "ok": true, "updated": [] });
        assert_eq!(put(&world, path, json!({})).await.expect(200), nothing);
        let body = json!({ "user_file": "# User Profile\nName: Golden\n", "style_file": "terse" });
        assert_eq!(
            put(&world, path, body).await.expect(200),
            json!({ "ok": true, "updated": ["STYLE.md", "USER.md"] })
        );
        assert_eq!(
            world.get(path).await.expect(200),
            json!({
                "identity_file": "Be brief.", "soul_file": "", "style_file": "terse",
                "instructions_file": "", "user_file": "# User Profile\nName: Golden\n"
            })
        );
        world
            .post("/api/v1/chat", json!({ "content": "hello" }))
            .await
            .expect(200);
        let asked = format!("{:?}", world.model.requests()[0].messages[0]);
        for part in ["Be brief.", "terse", "Name: Golden"] {
            assert!(asked.contains(part), "{asked}");
        }
    }
}

#[actix_web::test]
async fn the_display_name_stands_in_the_users_file() {
    let world = World::playing([]).await;
    for name in ["Ann", "Bea"] {
        let request = TestRequest::put().uri("/api/v1/settings");
        let request = request.set_json(json!({ "user_display_name": name }));
        world.send(bearer(request, MASTER)).await.expect(200);
        let file = format!("# User Profile\nName: {name}\n");
        assert_eq!(world.get(PATHS[0]).await.expect(200)["user_file"], file);
    }
}

#[actix_web::test]
async fn bad_bodies_change_nothing() {
    let world = World::playing([]).await;
    let refused = put(&world, PATHS[0], json!({ "user_file": 5 }))
        .await
        .expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "user_file"]));
    let long = json!({ "style_file": "terse", "soul_file": "x".repeat(20_001) });
    put(&world, PATHS[0], long).await.expect(422);
    for (path, status) in [(PATHS[0], 422), (PATHS[1], 400)] {
        let request = TestRequest::put().uri(path).set_payload("{bad");
        let request = request.insert_header(("content-type", "application/json"));
        let refused = world.send(bearer(request, MASTER)).await.expect(status);
        if status == 400 {
            assert_eq!(refused, json!({ "detail": "Invalid JSON payload" }));
        }
    }
    assert_eq!(world.get(PATHS[0]).await.expect(200)["style_file"], "");
}

#[actix_web::test]
async fn only_administrators_see_and_change_it() {
    let world = World::playing([]).await;
    let key = world.key(&["settings:read", "settings:write"]).await;
    for path in PATHS {
        let get = || TestRequest::get().uri(path);
        let refused = world.send(bearer(get(), &key)).await.expect(403);
        assert_eq!(
            refused,
            json!({ "detail": "API key missing required scope: admin" })
        );
        world.send(bearer(get(), BOB)).await.expect(403);
        let put = TestRequest::put()
            .uri(path)
            .set_json(json!({ "style_file": "x" }));
        world.send(bearer(put, &key)).await.expect(403);
        let anonymous = get().insert_header(("x-forwarded-for", "1.2.3.4"));
        world.send(anonymous).await.expect(401);
    }
}
