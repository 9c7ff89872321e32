//! Apps that register themselves, and what they can find out.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{HOST, ask, asked};
use crate::world::{Answer, MASTER, World};

async fn register(world: &World, body: Value) -> Answer {
    let request = TestRequest::post().uri("/api/v1/oauth/register");
    world.send(request.set_json(body)).await
}

#[actix_web::test]
async fn an_app_introduces_itself_and_can_ask() {
    let world = World::playing([]).await;
    let body = json!({
        "client_name": "Notes <b>", "redirect_uris": ["https://notes.example.org/cb"],
        "scope": "chat admin", "token_endpoint_auth_method": "none", "logo_uri": "x"
    });
    let made = register(&world, body).await.expect(201);
    let id = made["client_id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(made["token_endpoint_auth_method"], "none");
    assert!(!made["scope"].as_str().unwrap().contains("admin"));
    let changes = [
        ("client_id", id),
        ("redirect_uri", "https://notes.example.org/cb"),
        ("scope", "chat"),
    ];
    let page = ask(&world, &asked(&changes), Some(MASTER)).await;
    assert_eq!(page.status, 200);
    for part in [
        "Notes &lt;b&gt;",
        "has registered itself",
        "https://notes.example.org",
    ] {
        assert!(page.text.contains(part), "{part}");
    }
}

#[actix_web::test]
async fn apps_that_cannot_be_trusted_are_refused_and_their_number_is_bounded() {
    let world = World::playing([]).await;
    for (body, error) in [
        (json!({}), "invalid_redirect_uri"),
        (
            json!({ "redirect_uris": ["http://app.example.org/"] }),
            "invalid_redirect_uri",
        ),
        (
            json!({ "redirect_uris": ["app://cb"] }),
            "invalid_redirect_uri",
        ),
        (
            json!({ "redirect_uris": ["javascript:x"] }),
            "invalid_redirect_uri",
        ),
        (
            json!({ "redirect_uris": ["http://localhost/"], "client_name": "a\u{202e}b" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["http://localhost/"], "grant_types": ["implicit"] }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["http://localhost/"],
                    "token_endpoint_auth_method": "client_secret_basic" }),
            "invalid_client_metadata",
        ),
    ] {
        let refused = register(&world, body.clone()).await.expect(400);
        assert_eq!(refused["error"], error, "{body}");
    }
    let body = json!({ "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"] });
    for _ in 0..3 {
        register(&world, body.clone()).await.expect(201);
    }
    let full = register(&world, body).await.expect(503);
    assert_eq!(full["error"], "temporarily_unavailable");
}

#[actix_web::test]
async fn metadata_names_the_endpoints() {
    let world = World::playing([]).await;
    let get = async |path: &str| {
        let request = TestRequest::get().uri(path).insert_header(HOST);
        world.send(request).await.expect(200)
    };
    let server = get("/.well-known/oauth-authorization-server").await;
    let issuer = "http://localhost:8888";
    assert_eq!(server["issuer"], issuer);
    for (name, path) in [
        ("authorization_endpoint", "authorize"),
        ("token_endpoint", "token"),
        ("revocation_endpoint", "revoke"),
        ("registration_endpoint", "register"),
    ] {
        assert_eq!(server[name], format!("{issuer}/api/v1/oauth/{path}"));
    }
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(
        server["authorization_response_iss_parameter_supported"],
        true
    );
    let resource = get("/.well-known/oauth-protected-resource").await;
    assert_eq!(resource["resource"], issuer);
    assert_eq!(resource["authorization_servers"], json!([issuer]));
}
