//! Codes and tokens.

use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{REDIRECT, TOKEN, VERIFIER, agreed, asked, code_body, exchange, form, tokens};
use crate::world::{MASTER, World, bearer};

const SESSIONS: &str = "/api/v1/sessions";

async fn status(world: &World, path: &str, token: &str) -> u16 {
    let request = bearer(TestRequest::get().uri(path), token);
    world.send(request).await.status.as_u16()
}

fn refresh_body(token: &str) -> Value {
    json!({ "grant_type": "refresh_token", "refresh_token": token })
}

#[track_caller]
fn is_refused(answer: &Value, error: &str, words: &str) {
    let expected = json!({ "error": error, "error_description": words, "detail": words });
    assert_eq!(*answer, expected);
}

#[actix_web::test]
async fn a_code_becomes_tokens_that_work() {
    let world = World::playing([]).await;
    let code = agreed(&world, &asked(&[])).await;
    let made = exchange(&world, code_body(&code)).await;
    assert!(made.header("cache-control").contains("no-store"));
    let made = made.expect(200);
    let (access, refresh) = (
        made["access_token"].as_str().unwrap(),
        made["refresh_token"].as_str().unwrap(),
    );
    assert!(access.starts_with("ppat_") && access.len() == 48);
    assert!(refresh.starts_with("pprt_") && refresh.len() == 48);
    assert_eq!(made["token_type"], "Bearer");
    assert_eq!(made["expires_in"], 3600);
    assert_eq!(made["scope"], "chat sessions");
    assert_eq!(status(&world, SESSIONS, access).await, 200);
    let request = bearer(TestRequest::get().uri("/api/v1/settings"), access);
    assert_eq!(
        world.send(request).await.expect(403),
        json!({ "detail": "OAuth token missing required scope: settings:read" })
    );
    // A refresh token opens nothing by itself, and no app learns the master token.
    assert_eq!(status(&world, SESSIONS, refresh).await, 401);
    let (admin, _) = tokens(&world, "admin").await;
    assert_eq!(status(&world, "/api/v1/settings", &admin).await, 200);
    let regenerate = TestRequest::post().uri("/api/v1/token/regenerate");
    world.send(bearer(regenerate, &admin)).await.expect(403);
}

#[actix_web::test]
async fn forms_are_read_like_json() {
    let world = World::playing([]).await;
    let code = agreed(&world, &asked(&[])).await;
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("code_verifier", VERIFIER),
        ("client_id", "pocketpaw-desktop"),
        ("redirect_uri", REDIRECT),
    ];
    let made = form(&world, TOKEN, &pairs, None).await.expect(200);
    let refresh = made["refresh_token"].as_str().unwrap();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh),
        ("scope", "chat"),
    ];
    let made = form(&world, TOKEN, &pairs, None).await.expect(200);
    assert_eq!(made["scope"], "chat");
    let access = made["access_token"].as_str().unwrap();
    assert_eq!(status(&world, SESSIONS, access).await, 403);
    let pairs = [("grant_type", "password")];
    let refused = form(&world, TOKEN, &pairs, None).await.expect(400);
    assert_eq!(refused["error"], "unsupported_grant_type");
    let twice = [("grant_type", "refresh_token"), ("grant_type", "password")];
    assert_eq!(form(&world, TOKEN, &twice, None).await.status, 422);
}

#[actix_web::test]
async fn wrong_exchanges_are_refused_and_leave_the_code_alone() {
    let world = World::playing([]).await;
    let code = agreed(&world, &asked(&[])).await;
    for (name, wrong, words) in [
        ("code", "nope", "invalid_code"),
        ("client_id", "other", "client_mismatch"),
        (
            "redirect_uri",
            "http://localhost:1/",
            "redirect_uri_mismatch",
        ),
        ("code_verifier", "wrong", "invalid_code_verifier"),
    ] {
        let mut body = code_body(&code);
        body[name] = json!(wrong);
        let refused = exchange(&world, body).await.expect(400);
        is_refused(&refused, "invalid_grant", words);
    }
    let refused = exchange(&world, json!({ "grant_type": "authorization_code" })).await;
    let words = "code, code_verifier, and client_id are required";
    is_refused(&refused.expect(400), "invalid_request", words);
    let refused = exchange(&world, json!({ "grant_type": "refresh_token" })).await;
    is_refused(
        &refused.expect(400),
        "invalid_request",
        "refresh_token is required",
    );
    let refused = exchange(&world, json!({ "grant_type": "password" }))
        .await
        .expect(422);
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "grant_type"]));
    exchange(&world, code_body(&code)).await.expect(200);
}

#[actix_web::test]
async fn a_code_expires_after_a_minute() {
    let world = World::playing([]).await;
    let code = agreed(&world, &asked(&[])).await;
    world.clock.advance(Duration::from_mins(1));
    let refused = exchange(&world, code_body(&code)).await.expect(400);
    is_refused(&refused, "invalid_grant", "code_expired");
}

#[actix_web::test]
async fn a_code_that_comes_twice_ends_what_was_made_of_it() {
    let world = World::playing([]).await;
    let code = agreed(&world, &asked(&[])).await;
    let made = exchange(&world, code_body(&code)).await.expect(200);
    let access = made["access_token"].as_str().unwrap();
    assert_eq!(status(&world, SESSIONS, access).await, 200);
    let refused = exchange(&world, code_body(&code)).await.expect(400);
    is_refused(&refused, "invalid_grant", "code_already_used");
    assert_eq!(status(&world, SESSIONS, access).await, 401);
    let refresh = made["refresh_token"].as_str().unwrap();
    exchange(&world, refresh_body(refresh)).await.expect(400);
}

#[actix_web::test]
async fn refreshing_replaces_tokens_and_a_second_use_ends_them_all() {
    let world = World::playing([]).await;
    let (access, refresh) = tokens(&world, "sessions").await;
    let made = exchange(&world, refresh_body(&refresh)).await.expect(200);
    let (new_access, new_refresh) = (
        made["access_token"].as_str().unwrap(),
        made["refresh_token"].as_str().unwrap(),
    );
    assert_eq!(status(&world, SESSIONS, &access).await, 401);
    assert_eq!(status(&world, SESSIONS, new_access).await, 200);
    let refused = exchange(&world, refresh_body(&refresh)).await.expect(400);
    is_refused(&refused, "invalid_grant", "invalid_refresh_token");
    assert_eq!(status(&world, SESSIONS, new_access).await, 401);
    exchange(&world, refresh_body(new_refresh))
        .await
        .expect(400);
}

#[actix_web::test]
async fn tokens_expire() {
    let world = World::playing([]).await;
    let (access, refresh) = tokens(&world, "sessions").await;
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(status(&world, SESSIONS, &access).await, 401);
    let made = exchange(&world, refresh_body(&refresh)).await.expect(200);
    let refresh = made["refresh_token"].as_str().unwrap();
    world.clock.advance(Duration::from_hours(720));
    let refused = exchange(&world, refresh_body(refresh)).await.expect(400);
    is_refused(&refused, "invalid_grant", "invalid_refresh_token");
}

#[actix_web::test]
async fn a_refresh_widens_nothing_and_serves_its_own_app_only() {
    let world = World::playing([]).await;
    let (_, refresh) = tokens(&world, "sessions").await;
    let mut body = refresh_body(&refresh);
    body["scope"] = json!("sessions admin");
    assert_eq!(
        exchange(&world, body).await.expect(400)["error"],
        "invalid_scope"
    );
    let mut body = refresh_body(&refresh);
    body["client_id"] = json!("other");
    is_refused(
        &exchange(&world, body).await.expect(400),
        "invalid_grant",
        "client_mismatch",
    );
    exchange(&world, refresh_body(&refresh)).await.expect(200);
}

#[actix_web::test]
async fn either_token_can_be_given_back() {
    let world = World::playing([]).await;
    let revoke = async |token: &str| {
        let body = json!({ "token": token });
        let request = TestRequest::post()
            .uri("/api/v1/oauth/revoke")
            .set_json(body);
        world.send(request).await.expect(200)
    };
    for which in [0, 1] {
        let (access, refresh) = tokens(&world, "sessions").await;
        let token = [&access, &refresh][which];
        assert_eq!(status(&world, SESSIONS, &access).await, 200);
        assert_eq!(revoke(token).await, json!({ "revoked": true }));
        assert_eq!(status(&world, SESSIONS, &access).await, 401);
        exchange(&world, refresh_body(&refresh)).await.expect(400);
        assert_eq!(revoke(token).await, json!({ "revoked": false }));
    }
    assert_eq!(revoke("nope").await, json!({ "revoked": false }));
    let pairs = [("token", "nope")];
    let answer = form(&world, "/api/v1/oauth/revoke", &pairs, None).await;
    assert_eq!(answer.expect(200), json!({ "revoked": false }));
}

#[actix_web::test]
async fn users_see_and_end_what_they_granted() {
    let world = World::playing([]).await;
    let grants = "/api/v1/oauth/grants";
    let (access, _) = tokens(&world, "sessions").await;
    let listed = world.get(grants).await.expect(200);
    let one = &listed[0];
    assert_eq!(one["client_id"], "pocketpaw-desktop");
    assert_eq!(one["client_name"], "PocketPaw Desktop");
    assert_eq!(one["scopes"], json!(["sessions"]));
    let path = format!("{grants}/{}", one["id"].as_str().unwrap());
    let as_bob = |request: TestRequest| bearer(request, crate::world::BOB);
    let bobs = world.send(as_bob(TestRequest::get().uri(grants))).await;
    assert_eq!(bobs.expect(200), json!([]));
    world
        .send(as_bob(TestRequest::delete().uri(&path)))
        .await
        .expect(404);
    for (credential, expected) in [(access.as_str(), 403), ("wrong", 401)] {
        let request = bearer(TestRequest::delete().uri(&path), credential);
        world.send(request).await.expect(expected);
        assert_eq!(status(&world, grants, credential).await, expected);
    }
    assert_eq!(
        world.delete(&path).await.expect(200),
        json!({ "status": "ok" })
    );
    assert_eq!(status(&world, SESSIONS, &access).await, 401);
    assert_eq!(world.get(grants).await.expect(200), json!([]));
    world.delete(&path).await.expect(404);
    world.delete(&format!("{grants}/a%20b")).await.expect(404);
    assert_eq!(status(&world, grants, MASTER).await, 200);
}

#[actix_web::test]
async fn a_login_cookie_made_of_an_access_token_keeps_its_scopes_and_dies_with_it() {
    let world = World::playing([]).await;
    let (access, _) = tokens(&world, "sessions").await;
    let login = TestRequest::post().uri("/api/v1/auth/login");
    let answer = world.send(login.set_json(json!({ "token": access }))).await;
    assert_eq!(answer.status, 200);
    let cookie = answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let get = async |path: &str| {
        let request = TestRequest::get()
            .uri(path)
            .insert_header(("cookie", cookie.clone()));
        world.send(request).await.status.as_u16()
    };
    assert_eq!(get(SESSIONS).await, 200);
    assert_eq!(get("/api/v1/settings").await, 403);
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(get(SESSIONS).await, 401);
}
