//! `/api/v1/users`.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use majordomo_application::access::SignIn;
use majordomo_domain::RequestSource;

use crate::world::{Answer, BOB, MASTER, World, bearer};

const USERS: &str = "/api/v1/users";
const NOW: &str = "2026-02-02T02:40:00.000000+00:00";

async fn put(world: &World, path: &str, token: &str, body: Value) -> Answer {
    let request = TestRequest::with_uri(path).method(Method::PUT);
    world.send(bearer(request.set_json(body), token)).await
}

#[actix_web::test]
async fn users_are_added_listed_and_changed() {
    let world = World::playing([]).await;
    assert_eq!(world.get(USERS).await.expect(200), json!([]));
    let body = json!({ "username": "Alice", "password": "secret1" });
    let added = world.post(USERS, body).await.expect(200);
    let mut alice = json!({
        "id": "user-1", "username": "Alice", "role": "member", "enabled": true,
        "created_at": NOW, "last_login_at": null
    });
    assert_eq!(added, alice);
    let bot = json!({ "username": "bot", "role": "service" });
    world.post(USERS, bot).await.expect(200);
    let same = json!({ "username": "alice", "password": "secret1" });
    let taken = world.post(USERS, same).await.expect(409);
    assert_eq!(taken, json!({ "detail": "This username is taken" }));
    let of = |what: &str| format!("{USERS}/user-1/{what}");
    for (what, body) in [
        ("role", json!({ "role": "viewer" })),
        ("enabled", json!({ "enabled": false })),
        ("password", json!({ "password": "another1" })),
    ] {
        let changed = put(&world, &of(what), MASTER, body).await.expect(200);
        assert_eq!(changed, json!({ "status": "ok" }), "{what}");
    }
    alice["role"] = json!("viewer");
    alice["enabled"] = json!(false);
    assert_eq!(world.get(USERS).await.expect(200)[0], alice);
}

#[actix_web::test]
async fn what_cannot_be_is_refused() {
    let world = World::playing([]).await;
    for body in [
        json!({}),
        json!({ "username": "al", "password": "secret1" }),
        json!({ "username": "al ice", "password": "secret1" }),
        json!({ "username": "alice", "password": "short" }),
        json!({ "username": "alice" }),
        json!({ "username": "alice", "password": "secret1", "role": "king" }),
        json!({ "username": "bot", "password": "secret1", "role": "service" }),
    ] {
        let said = body.to_string();
        assert_eq!(world.post(USERS, body).await.status, 422, "{said}");
    }
    for (what, body) in [
        ("role", json!({ "role": "viewer" })),
        ("enabled", json!({ "enabled": false })),
        ("password", json!({ "password": "another1" })),
    ] {
        let nobody = format!("{USERS}/nobody/{what}");
        let refused = put(&world, &nobody, MASTER, body).await;
        assert_eq!(refused.expect(404), json!({ "detail": "User not found" }));
        let empty = put(&world, &nobody, MASTER, json!({})).await;
        assert_eq!(empty.status, 422, "{what}");
    }
}

/// Keys make and change nobody: that would outlive them.
#[actix_web::test]
async fn only_administrators_in_person_look_after_users() {
    let world = World::playing([]).await;
    let body = json!({ "username": "alice", "password": "secret1" });
    world.post(USERS, body.clone()).await.expect(200);
    let add = || TestRequest::post().uri(USERS).set_json(body.clone());
    let list = || TestRequest::get().uri(USERS);
    assert_eq!(world.send(list()).await.status, 401);
    assert_eq!(world.send(add()).await.status, 401);
    let (chat, admin) = (world.key(&["chat"]).await, world.key(&["admin"]).await);
    assert_eq!(world.send(bearer(list(), &chat)).await.status, 403);
    assert_eq!(world.send(bearer(list(), &admin)).await.status, 200);
    for key in [&chat, &admin] {
        assert_eq!(world.send(bearer(add(), key)).await.status, 403);
        for (what, body) in [
            ("role", json!({ "role": "admin" })),
            ("enabled", json!({ "enabled": false })),
            ("password", json!({ "password": "another1" })),
        ] {
            for id in ["user-1", "nobody"] {
                let path = format!("{USERS}/{id}/{what}");
                let refused = put(&world, &path, key, body.clone()).await;
                assert_eq!(refused.status, 403, "{path}");
            }
        }
    }
}

const OWN: &str = "/api/v1/users/me/password";

/// The user `alice`, and a login token of hers.
async fn alice(world: &World) -> String {
    let body = json!({ "username": "alice", "password": "secret1" });
    world.post(USERS, body).await.expect(200);
    let request = SignIn {
        username: "alice".to_owned(),
        password: "secret1".to_owned(),
    };
    let signed_in = world
        .services
        .users
        .sign_in(request, RequestSource::default());
    signed_in.await.unwrap().token.secret
}

fn passwords(current: &str, password: &str) -> Value {
    json!({ "current_password": current, "password": password })
}

#[actix_web::test]
async fn a_user_changes_their_own_password_and_goes_on_with_another_token() {
    let world = World::playing([]).await;
    let token = alice(&world).await;
    let whoami = |token: &str| bearer(TestRequest::get().uri("/api/v1/version"), token);
    let changed = put(&world, OWN, &token, passwords("secret1", "another1")).await;
    let fresh = changed.header("x-refreshed-token").to_owned();
    assert_eq!(changed.header("set-cookie"), "", "no cookie was shown");
    assert_eq!(changed.expect(200), json!({ "status": "ok" }));
    assert_eq!(world.send(whoami(&token)).await.status, 401);
    assert_eq!(world.send(whoami(&fresh)).await.status, 200);

    // As a browser does it.
    let request = TestRequest::put()
        .uri(OWN)
        .insert_header(("cookie", format!("token={fresh}")))
        .insert_header(("sec-fetch-site", "same-origin"))
        .set_json(passwords("another1", "third-one"));
    let changed = world.send(request).await;
    let cookie = changed.header("set-cookie");
    assert!(cookie.starts_with("token=eyJ"), "{cookie}");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    assert_eq!(changed.status, 200);
    assert_eq!(world.send(whoami(&fresh)).await.status, 401);
}

#[actix_web::test]
async fn own_passwords_are_not_changed_by_keys_nor_without_the_current_one() {
    let world = World::playing([]).await;
    let token = alice(&world).await;
    let right = passwords("secret1", "another1");
    let anonymous = TestRequest::put().uri(OWN).set_json(&right);
    assert_eq!(world.send(anonymous).await.status, 401);
    for key in [world.key(&["admin"]).await, BOB.to_owned()] {
        assert_eq!(put(&world, OWN, &key, right.clone()).await.status, 403);
    }
    for body in [
        json!({}),
        json!({ "password": "another1" }),
        passwords("secret1", "short"),
    ] {
        assert_eq!(put(&world, OWN, &token, body).await.status, 422);
    }
    let wrong = put(&world, OWN, &token, passwords("secret2", "another1")).await;
    let wrong = wrong.expect(422);
    let place = json!(["body", "current_password"]);
    assert_eq!(
        (&wrong["detail"][0]["loc"], &wrong["detail"][0]["msg"]),
        (&place, &json!("is wrong"))
    );
    for _ in 0..4 {
        put(&world, OWN, &token, passwords("secret2", "another1")).await;
    }
    let throttled = put(&world, OWN, &token, right).await;
    assert_eq!(throttled.status, 429);
    assert_eq!(throttled.header("retry-after"), "1");
}
