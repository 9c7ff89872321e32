//! The first user, signing in and out, and API keys.

use actix_web::test::TestRequest;
use majordomo_domain::Scope;
use serde_json::{Value, json};

use crate::support::{Answer, Site, bearer, get};

fn post(uri: &str, body: &Value) -> TestRequest {
    TestRequest::post().uri(uri).set_json(body)
}

async fn register(site: &Site, name: &str) -> Answer {
    let body = json!({ "username": name, "password": "secret1" });
    site.ask(bearer(post("/api/auth/register", &body), "master"))
        .await
}

/// A registered owner's login token.
async fn owner(site: &Site) -> String {
    let answer = register(site, "alice").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
        .json()
        .get("token")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

#[actix_web::test]
async fn the_first_registration_makes_the_owner_and_no_other_does() {
    let site = Site::new().await;
    let status = site.ask(get("/api/auth/status")).await.json();
    assert_eq!(
        (&status["needsSetup"], &status["isAuthenticated"]),
        (&json!(true), &json!(false))
    );
    // A stranger, from elsewhere, with no credential.
    let body = json!({ "username": "mallory", "password": "secret1" });
    let stranger = site.ask(post("/api/auth/register", &body)).await;
    assert_eq!(stranger.status, 403, "{}", stranger.body);
    let token = owner(&site).await;
    let second = register(&site, "bob").await;
    assert_eq!(second.status, 403);
    assert_eq!(
        second.json()["error"],
        "User already exists. This is a single-user system."
    );
    let status = site
        .ask(bearer(get("/api/auth/status"), &token))
        .await
        .json();
    assert_eq!(
        (
            &status["needsSetup"],
            &status["isAuthenticated"],
            &status["user"]["username"]
        ),
        (&json!(false), &json!(true), &json!("alice"))
    );
}

#[actix_web::test]
async fn bad_registrations_are_told_as_clients_know_it() {
    let site = Site::new().await;
    let ask = async |body: Value| {
        site.ask(bearer(post("/api/auth/register", &body), "master"))
            .await
    };
    for (body, words) in [
        (json!({}), "Username and password are required"),
        (
            json!({ "username": "al", "password": "secret1" }),
            "Username must be at least 3 characters, password at least 6 characters",
        ),
        (
            json!({ "username": "alice", "password": "short" }),
            "Username must be at least 3 characters, password at least 6 characters",
        ),
    ] {
        let answer = ask(body).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!(words))
        );
    }
}

#[actix_web::test]
async fn signing_in_gives_a_strict_cookie_that_foreign_pages_cannot_use() {
    let site = Site::new().await;
    owner(&site).await;
    let body = json!({ "username": "ALICE", "password": "secret1" });
    let answer = site.ask(post("/api/auth/login", &body)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("token=eyJ"), "{cookie}");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    let pair = cookie.split(';').next().unwrap().to_owned();
    let user = get("/api/auth/user").insert_header(("cookie", pair.clone()));
    assert_eq!(site.ask(user).await.json()["user"]["username"], "alice");
    for (origin, status) in [
        ("https://evil.example", 403),
        ("http://localhost:8080", 200),
    ] {
        let logout = post("/api/auth/logout", &json!({}))
            .insert_header(("cookie", pair.clone()))
            .insert_header(("host", "localhost:8080"))
            .insert_header(("origin", origin));
        assert_eq!(site.ask(logout).await.status, status, "{origin}");
    }
}

#[actix_web::test]
async fn a_wrong_password_and_an_unknown_name_are_told_alike() {
    let site = Site::new().await;
    owner(&site).await;
    for name in ["alice", "nobody"] {
        let body = json!({ "username": name, "password": "wrong-password" });
        let answer = site.ask(post("/api/auth/login", &body)).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"], "Invalid username or password");
    }
    assert_eq!(site.ask(get("/api/auth/user")).await.status, 401);
}

#[actix_web::test]
async fn keys_are_made_switched_off_and_deleted() {
    let site = Site::new().await;
    let token = owner(&site).await;
    let uri = "/api/settings/api-keys";
    let made = site
        .ask(bearer(post(uri, &json!({ "keyName": "ci" })), &token))
        .await
        .json();
    let key = made["apiKey"]["apiKey"].as_str().unwrap().to_owned();
    let id = made["apiKey"]["id"].as_str().unwrap().to_owned();
    assert!(key.starts_with("px_"));
    assert_eq!(made["api_key"], key.as_str());
    let works = async || site.ask(bearer(get("/api/auth/user"), &key)).await.status;
    assert_eq!(works().await, 200);
    let listed = site.ask(bearer(get(uri), &token)).await;
    assert!(!listed.body.contains(&key));
    assert_eq!(listed.json()["apiKeys"][0]["is_active"], 1);
    let toggle = async |body: Value| {
        let uri = format!("{uri}/{id}/toggle");
        let request = TestRequest::patch().uri(&uri).set_json(body);
        site.ask(bearer(request, &token)).await
    };
    assert_eq!(toggle(json!({})).await.status, 400);
    assert_eq!(toggle(json!({ "isActive": false })).await.status, 200);
    assert_eq!(works().await, 401);
    assert_eq!(toggle(json!({ "is_active": true })).await.status, 200);
    assert_eq!(works().await, 200);
    let delete = async || {
        let uri = format!("{uri}/{id}");
        let request = TestRequest::delete().uri(&uri);
        site.ask(bearer(request, &token)).await
    };
    assert_eq!(delete().await.status, 200);
    assert_eq!((works().await, delete().await.status), (401, 404));
}

#[actix_web::test]
async fn keys_are_nobodys_business_without_the_right_credential() {
    let site = Site::new().await;
    owner(&site).await;
    let scoped = site.key_with(&[Scope::Chat]).await;
    let uri = "/api/settings/api-keys";
    assert_eq!(site.ask(get(uri)).await.status, 401);
    assert_eq!(site.ask(bearer(get(uri), &scoped)).await.status, 403);
    let make = post(uri, &json!({ "keyName": "x" }));
    assert_eq!(site.ask(bearer(make, &scoped)).await.status, 403);
}
