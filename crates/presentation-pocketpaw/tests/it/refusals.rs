//! Every operation: who may not, what is not there.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;

use crate::world::{World, bearer};

/// Every operation that wants a credential, and the scope it wants.
const PROTECTED: [(&str, &str, Option<&str>); 29] = [
    ("GET", "/api/v1/auth/api-keys", Some("admin")),
    ("POST", "/api/v1/auth/api-keys", Some("admin")),
    ("DELETE", "/api/v1/auth/api-keys/x", Some("admin")),
    ("POST", "/api/v1/auth/api-keys/x/rotate", Some("admin")),
    ("POST", "/api/v1/auth/logout", None),
    ("POST", "/api/v1/chat", Some("chat")),
    ("POST", "/api/v1/chat/stop?session_id=x", Some("chat")),
    ("GET", "/api/v1/chat/stream?run=x", Some("chat")),
    ("POST", "/api/v1/chat/stream", Some("chat")),
    ("GET", "/api/v1/health", None),
    ("GET", "/api/v1/sessions", Some("sessions")),
    ("POST", "/api/v1/sessions", Some("sessions")),
    ("GET", "/api/v1/sessions/search?q=x", Some("sessions")),
    ("DELETE", "/api/v1/sessions/x", Some("sessions")),
    ("GET", "/api/v1/sessions/x/export", Some("sessions")),
    ("GET", "/api/v1/sessions/x/history", Some("sessions")),
    ("GET", "/api/v1/sessions/%3C/history", Some("sessions")),
    ("POST", "/api/v1/sessions/x/title", Some("sessions")),
    ("GET", "/api/v1/version", None),
    ("POST", "/api/auth/logout", None),
    ("GET", "/api/health", None),
    ("GET", "/api/memory/session?id=x", Some("sessions")),
    ("GET", "/api/memory/session/export?id=x", Some("sessions")),
    ("GET", "/api/memory/sessions", Some("sessions")),
    ("GET", "/api/sessions", Some("sessions")),
    ("GET", "/api/sessions/search?q=x", Some("sessions")),
    ("DELETE", "/api/sessions/x", Some("sessions")),
    ("POST", "/api/sessions/x/title", Some("sessions")),
    ("GET", "/api/version", None),
];

/// A request whose body fits every operation.
fn request(method: &str, path: &str) -> TestRequest {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = TestRequest::with_uri(path).method(method.clone());
    if method == Method::POST {
        request.set_json(json!({ "content": "x", "name": "x", "title": "x" }))
    } else {
        request
    }
}

#[actix_web::test]
async fn nobody_gets_in_without_a_right_credential() {
    let world = World::playing([]).await;
    for (method, path, _) in PROTECTED {
        let none = world.send(request(method, path)).await;
        assert_eq!(none.header("www-authenticate"), "Bearer", "{method} {path}");
        assert_eq!(none.expect(401), json!({ "detail": "Unauthorized" }));
        for wrong in ["wrong", "pp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            let wrong = world.send(bearer(request(method, path), wrong)).await;
            assert_eq!(wrong.expect(401), json!({ "detail": "Unauthorized" }));
        }
    }
}

#[actix_web::test]
async fn a_key_opens_only_what_its_scopes_name() {
    let world = World::playing([]).await;
    let key = world.key(&["memory"]).await;
    for (method, path, scope) in PROTECTED {
        let answer = world.send(bearer(request(method, path), &key)).await;
        match scope {
            None => assert_eq!(answer.status, 200, "{method} {path}"),
            Some(scope) => {
                let words = format!("API key missing required scope: {scope}");
                assert_eq!(
                    answer.expect(403),
                    json!({ "detail": words }),
                    "{method} {path}"
                );
            }
        }
    }
}

#[actix_web::test]
async fn unknown_paths_and_wrong_methods_are_told_in_this_dialect() {
    let world = World::playing([]).await;
    for path in [
        "/api/v1/nope",
        "/api/v1/sessions/x/nope",
        "/api/sessions/x/y/z",
    ] {
        assert_eq!(
            world.get(path).await.expect(404),
            json!({ "detail": "Not Found" })
        );
    }
    for (method, path) in [
        ("GET", "/api/v1/chat"),
        ("PUT", "/api/v1/sessions"),
        ("PUT", "/api/sessions"),
    ] {
        let answer = world.send(request(method, path)).await;
        assert!(!answer.header("allow").is_empty(), "{method} {path}");
        assert_eq!(
            answer.expect(405),
            json!({ "detail": "Method Not Allowed" })
        );
    }
}

#[actix_web::test]
async fn bodies_that_cannot_be_read_are_faults_of_the_body() {
    let world = World::playing([]).await;
    let send = |content_type: &'static str, body: &'static str| {
        let request = TestRequest::post().uri("/api/v1/chat").set_payload(body);
        bearer(request, crate::world::MASTER).insert_header(("content-type", content_type))
    };
    let broken = world
        .send(send("application/json", "{bad"))
        .await
        .expect(422);
    assert_eq!(broken["detail"][0]["type"], "json_invalid");
    assert_eq!(broken["detail"][0]["loc"], json!(["body"]));
    let other = world
        .send(send("text/plain", "{\"content\":\"hi\"}"))
        .await
        .expect(422);
    assert_eq!(other["detail"][0]["type"], "json_type");
    let list = r#"["text",null,[],null,null,null]"#;
    let list = world.send(send("application/json", list)).await.expect(422);
    assert_eq!(list["detail"][0]["type"], "invalid_type");
    assert_eq!(list["detail"][0]["loc"], json!(["body"]));
    assert_eq!(list["detail"][0]["msg"], "must be a JSON object");
}
