//! Session tokens, the login cookie, and the way in without a credential.

use std::net::SocketAddr;

use actix_web::test::TestRequest;
use majordomo_presentation_http::rate_limit::RateLimitConfig;
use serde_json::json;

use crate::world::{MASTER, World, bearer};

#[actix_web::test]
async fn the_master_token_is_exchanged_for_a_session_token() {
    let world = World::playing([]).await;
    for path in ["/api/v1/auth/session", "/api/auth/session"] {
        let answer = world.post_empty(path).await.expect(200);
        assert_eq!(answer["expires_in_hours"], 24);
        let token = answer["session_token"].as_str().unwrap();
        assert!(token.starts_with("1770086400:"), "{token}");
        for request in [
            bearer(TestRequest::get().uri("/api/v1/sessions"), token),
            TestRequest::get().uri(&format!("/api/v1/sessions?token={token}")),
        ] {
            world.send(request).await.expect(200);
        }
        // A session token makes no other, and nothing but a bearer token is taken, not even from this machine.
        let key = world.key(&["admin"]).await;
        let here: SocketAddr = "127.0.0.1:50000".parse().unwrap();
        for request in [
            bearer(TestRequest::post().uri(path), token),
            bearer(TestRequest::post().uri(path), &key),
            TestRequest::post().uri(&format!("{path}?token={MASTER}")),
            TestRequest::post().uri(path).peer_addr(here),
        ] {
            let refused = world.send(request).await;
            assert_eq!(
                refused.expect(401),
                json!({ "detail": "Invalid master token" })
            );
        }
    }
}

#[actix_web::test]
async fn a_login_sets_a_cookie_that_works() {
    let world = World::playing([]).await;
    for path in ["/api/v1/auth/login", "/api/auth/login"] {
        let request = TestRequest::post().uri(path);
        let answer = world
            .send(request.set_json(json!({ "token": MASTER })))
            .await;
        let cookie = answer.header("set-cookie").to_owned();
        assert_eq!(answer.expect(200), json!({ "ok": true }));
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        assert!(
            pair.starts_with("pocketpaw_session=1770086400:"),
            "{cookie}"
        );
        let mut attributes: Vec<&str> = attributes.split("; ").collect();
        attributes.sort_unstable();
        assert_eq!(
            attributes,
            ["HttpOnly", "Max-Age=86400", "Path=/", "SameSite=Lax"]
        );
        let request = TestRequest::get().uri("/api/v1/sessions");
        world
            .send(request.insert_header(("cookie", pair)))
            .await
            .expect(200);
    }
}

#[actix_web::test]
async fn a_login_with_a_key_gives_no_more_than_the_key() {
    let world = World::playing([]).await;
    let key = world.key(&["chat"]).await;
    let request = TestRequest::post().uri("/api/v1/auth/login");
    let answer = world.send(request.set_json(json!({ "token": key }))).await;
    let cookie = answer.header("set-cookie").to_owned();
    let (pair, _) = cookie.split_once("; ").unwrap();
    let request = TestRequest::get().uri("/api/v1/sessions");
    let refused = world.send(request.insert_header(("cookie", pair))).await;
    assert_eq!(
        refused.expect(403),
        json!({ "detail": "API key missing required scope: sessions" })
    );
}

#[actix_web::test]
async fn a_login_is_refused_in_two_ways() {
    let world = World::playing([]).await;
    let session = world.post_empty("/api/v1/auth/session").await.expect(200);
    for token in [json!("wrong"), json!(""), session["session_token"].clone()] {
        let request = TestRequest::post().uri("/api/v1/auth/login");
        let refused = world
            .send(request.set_json(json!({ "token": token })))
            .await;
        assert_eq!(refused.header("set-cookie"), "");
        assert_eq!(
            refused.expect(401),
            json!({ "detail": "Invalid access token" })
        );
    }
    for body in ["{bad", "", "[1]", "{\"token\":7}"] {
        let request = TestRequest::post()
            .uri("/api/v1/auth/login")
            .set_payload(body);
        let request = request.insert_header(("content-type", "application/json"));
        let refused = world.send(request).await;
        assert_eq!(
            refused.expect(400),
            json!({ "detail": "Invalid JSON body" }),
            "{body}"
        );
    }
}

#[actix_web::test]
async fn guessing_is_slowed_down() {
    let world = World::limited([], RateLimitConfig::default()).await;
    let here: SocketAddr = "203.0.113.9:50000".parse().unwrap();
    for attempt in 1..=6 {
        let request = TestRequest::post()
            .uri("/api/v1/auth/login")
            .peer_addr(here);
        let refused = world
            .send(request.set_json(json!({ "token": "guess" })))
            .await;
        if attempt < 6 {
            refused.expect(401);
        } else {
            assert!(!refused.header("retry-after").is_empty());
            assert_eq!(
                refused.expect(429),
                json!({ "detail": "Too many requests" })
            );
        }
    }
}

#[actix_web::test]
async fn a_logout_removes_the_cookie() {
    let world = World::playing([]).await;
    for path in ["/api/v1/auth/logout", "/api/auth/logout"] {
        let answer = world.post_empty(path).await;
        let cookie = answer.header("set-cookie").to_owned();
        assert!(cookie.starts_with("pocketpaw_session=;"), "{cookie}");
        assert!(cookie.contains("Max-Age=0"), "{cookie}");
        assert_eq!(answer.expect(200), json!({ "ok": true }));
        world.send(TestRequest::post().uri(path)).await.expect(401);
    }
}

#[actix_web::test]
async fn this_machine_needs_no_credential_and_others_do() {
    let world = World::playing([]).await;
    let from = |peer: &str, host: &str| {
        let peer: SocketAddr = peer.parse().unwrap();
        let request = TestRequest::get().uri("/api/v1/version").peer_addr(peer);
        request.insert_header(("host", host.to_owned()))
    };
    let here = || from("127.0.0.1:50000", "localhost:8888");
    world.send(here()).await.expect(200);
    for refused in [
        from("203.0.113.9:50000", "localhost:8888"),
        from("127.0.0.1:50000", "evil.example"),
        here().insert_header(("origin", "https://evil.example")),
        here().insert_header(("x-real-ip", "8.8.8.8")),
        bearer(here(), "wrong"),
    ] {
        let refused = world.send(refused).await;
        assert_eq!(refused.expect(401), json!({ "detail": "Unauthorized" }));
    }
}

#[actix_web::test]
async fn regenerating_the_master_token_ends_the_old_one_and_all_it_made() {
    for path in ["/api/v1/token/regenerate", "/api/token/regenerate"] {
        let world = World::playing([]).await;
        let session = world.post_empty("/api/v1/auth/session").await.expect(200);
        let session = session["session_token"].as_str().unwrap();
        let key = world.key(&["admin"]).await;
        let refused = world.send(TestRequest::post().uri(path)).await;
        assert_eq!(refused.status, 401);
        let refused = world
            .send(bearer(TestRequest::post().uri(path), &key))
            .await;
        assert_eq!(
            refused.expect(403),
            json!({ "detail": "API key missing required scope: admin" })
        );
        let fresh = world.post_empty(path).await.expect(200);
        let fresh = fresh["token"].as_str().unwrap();
        let list = || TestRequest::get().uri("/api/v1/sessions");
        for dead in [MASTER, session] {
            assert_eq!(world.send(bearer(list(), dead)).await.status, 401);
        }
        for alive in [fresh, key.as_str()] {
            assert_ne!(world.send(bearer(list(), alive)).await.status, 401);
        }
    }
}
