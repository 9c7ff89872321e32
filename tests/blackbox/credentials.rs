//! Who may come in, with what, shown how, through which door.

use majordomo_application::ports::PasswordHasher as _;
use majordomo_infrastructure_system::Argon2PasswordHasher;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::harness::{Answer, Options, Server, Socket, run};

/// A protected route of every door.
const PROTECTED: [&str; 5] = [
    "/api/v1/sessions",
    "/api/sessions",
    "/v1/system/models",
    "/v1/models",
    "/api/search/conversations?q=zebra",
];

/// What needs no credential, of all documented routes.
const PUBLIC: [&str; 26] = [
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/oauth-protected-resource",
    "GET /api-docs/openapi.json",
    "GET /api/auth/status",
    "GET /api/v1/docs",
    "GET /api/v1/oauth/authorize",
    "GET /api/v1/openapi.json",
    "GET /api/v1/redoc",
    "GET /health",
    "GET /metrics",
    "GET /metrics/prometheus",
    "GET /oauth/callback",
    "GET /ready",
    "GET /ready/all",
    "GET /redoc",
    "GET /swagger-ui/",
    "POST /api/auth/login",
    "POST /api/auth/register",
    "POST /api/auth/session",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/session",
    "POST /api/v1/oauth/authorize/consent",
    "POST /api/v1/oauth/authorize/sign-in",
    "POST /api/v1/oauth/register",
    "POST /api/v1/oauth/revoke",
    "POST /api/v1/oauth/token",
];

const PLAIN_KEY: &str = "sk-configured-plain-0123456789";
const HASHED_KEY: &str = "sk-configured-hashed-0123456789";

/// A server on which nobody is let in without a credential, and one credential of every kind.
async fn server_and_credentials() -> (Server, Vec<(&'static str, String)>) {
    let hash = Argon2PasswordHasher::per_core()
        .hash(HASHED_KEY.to_owned())
        .await
        .unwrap();
    let config = format!(
        "[security]\nrate_limit_enabled = false\nlocalhost_auth_bypass = false\n\
         [security.api_key_users]\n\"{PLAIN_KEY}\" = \"3f0e8a6e-43a5-4a5e-9d6f-1f2d3c4b5a69\"\n\
         [[security.api_keys]]\nhash = \"{hash}\"\nuser_id = \"3f0e8a6e-43a5-4a5e-9d6f-1f2d3c4b5a70\"\n"
    );
    let server = Server::start(Options::config(config)).await;
    let session = server.post("/api/v1/auth/session", &json!({})).await.ok();
    let key = server
        .post("/api/v1/auth/api-keys", &json!({ "name": "test" }))
        .await
        .ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let credentials = vec![
        ("master token", server.token.clone()),
        ("session token", text(&session["session_token"])),
        ("API key", text(&key["key"])),
        ("configured key", PLAIN_KEY.to_owned()),
        ("configured hash", HASHED_KEY.to_owned()),
    ];
    (server, credentials)
}

fn header(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(
        HeaderName::from_static(name),
        HeaderValue::from_str(value).unwrap(),
    )])
}

/// The ways in which an HTTP request may carry a credential: what is added to its query, and its headers.
fn carriers(credential: &str) -> [(&'static str, String, HeaderMap); 6] {
    [
        (
            "bearer",
            String::new(),
            header("authorization", &format!("Bearer {credential}")),
        ),
        (
            "bearer in small letters",
            String::new(),
            header("authorization", &format!("bearer {credential}")),
        ),
        ("X-API-Key", String::new(), header("x-api-key", credential)),
        ("token", format!("token={credential}"), HeaderMap::new()),
        ("apiKey", format!("apiKey={credential}"), HeaderMap::new()),
        (
            "cookie",
            String::new(),
            header(
                "cookie",
                &format!("other=1; pocketpaw_session={credential}"),
            ),
        ),
    ]
}

async fn ask(server: &Server, path: &str, query: &str, headers: HeaderMap) -> Answer {
    let sign = if path.contains('?') { "&" } else { "?" };
    let path = if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}{sign}{query}")
    };
    Answer::of(
        server
            .anonymous(Method::GET, &path)
            .headers(headers)
            .send()
            .await
            .unwrap(),
    )
    .await
}

#[tokio::test]
async fn every_credential_works_on_every_door_however_it_is_carried() {
    let (server, credentials) = server_and_credentials().await;
    for (kind, credential) in &credentials {
        for (carrier, query, headers) in carriers(credential) {
            for path in PROTECTED {
                let answer = ask(&server, path, &query, headers.clone()).await;
                assert_eq!(
                    answer.status, 200,
                    "{kind} as {carrier} on {path}: {}",
                    answer.text
                );
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_credential_is_refused_on_every_door_even_from_this_machine() {
    let server = Server::assistant().await;
    for path in PROTECTED {
        assert_eq!(
            ask(&server, path, "", HeaderMap::new()).await.status,
            200,
            "{path}: the bypass is open"
        );
        for wrong in ["nonsense", "pp_0123456789", "1234567890:abcdef", "sk-wrong"] {
            for (carrier, query, headers) in carriers(wrong) {
                let answer = ask(&server, path, &query, headers).await;
                assert_eq!(
                    answer.status, 401,
                    "{wrong} as {carrier} on {path}: {}",
                    answer.text
                );
            }
        }
        let basic = ask(
            &server,
            path,
            "",
            header("authorization", "Basic dXNlcjpwYXNz"),
        )
        .await;
        assert_eq!(basic.status, 401, "{path}");
    }
}

#[tokio::test]
async fn the_bypass_closes_for_whatever_is_not_plainly_this_machine() {
    let server = Server::assistant().await;
    let foreign = [
        ("host", "example.org"),
        ("host", "127.0.0.1.example.org"),
        ("origin", "https://example.org"),
        ("origin", "null"),
        ("forwarded", "for=10.0.0.1"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("x-real-ip", "127.0.0.1"),
        ("via", "1.1 proxy"),
        ("cf-connecting-ip", "127.0.0.1"),
        ("true-client-ip", "127.0.0.1"),
    ];
    for path in PROTECTED {
        for (name, value) in foreign {
            let answer = ask(&server, path, "", header(name, value)).await;
            assert_eq!(
                answer.status, 401,
                "{name}: {value} on {path}: {}",
                answer.text
            );
        }
    }
    for (name, value) in foreign {
        let refusal =
            Socket::connect(&format!("ws://{}/ws", server.address), &[(name, value)]).await;
        assert!(matches!(refusal.err(), Some(401 | 403)), "{name}: {value}");
    }
}

#[tokio::test]
async fn the_bypass_is_closed_where_others_can_reach_the_server() {
    for config in [
        "[server]\npublic_url = \"https://chat.example.org\"\n",
        "[server]\ntrusted_proxies = [\"127.0.0.1/32\"]\n",
        "[security]\nlocalhost_auth_bypass = false\n",
    ] {
        let server = Server::start(Options::config(config)).await;
        assert_eq!(
            ask(&server, "/v1/models", "", HeaderMap::new())
                .await
                .status,
            401,
            "{config}"
        );
    }
    let arguments = vec!["--host".to_owned(), "0.0.0.0".to_owned()];
    let server = Server::start(Options {
        arguments,
        ..Options::default()
    })
    .await;
    assert_eq!(
        ask(&server, "/v1/models", "", HeaderMap::new())
            .await
            .status,
        401,
        "listens everywhere"
    );
}

#[tokio::test]
async fn sockets_take_every_credential_and_check_the_origin() {
    let (server, credentials) = server_and_credentials().await;
    let url = format!("ws://{}/ws", server.address);
    assert_eq!(Socket::connect(&url, &[]).await.err(), Some(401));
    for (kind, credential) in &credentials {
        let bearer = format!("Bearer {credential}");
        let cookie = format!("pocketpaw_session={credential}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("x-api-key", credential),
            ("cookie", &cookie),
        ];
        for header in headers {
            assert!(
                Socket::connect(&url, &[header]).await.is_ok(),
                "{kind} in {}",
                header.0
            );
        }
        let query = format!("{url}?token={credential}");
        assert!(
            Socket::connect(&query, &[]).await.is_ok(),
            "{kind} in the query"
        );
        assert!(
            Socket::connect(&query, &[("origin", "http://localhost:1420")])
                .await
                .is_ok()
        );
        let foreign = Socket::connect(&query, &[("origin", "https://example.org")]).await;
        assert_eq!(foreign.err(), Some(403), "{kind}");
    }
    let key = &credentials[2].1;
    let offered = format!("chat, {key}");
    let socket = Socket::connect(&url, &[("sec-websocket-protocol", &offered)])
        .await
        .ok()
        .unwrap();
    assert_eq!(
        socket.protocol.as_deref(),
        Some(key.as_str()),
        "browsers demand one of those they offered"
    );
}

/// A body and its type.
type Sent = (&'static str, &'static str);

/// The refusal in the words of each door, on every route that is documented, whatever else is wrong with the request.
#[tokio::test]
async fn without_a_right_credential_every_route_but_the_public_ones_is_refused_in_its_doors_words()
{
    const WRONG: [Option<(&str, Sent)>; 4] = [
        None,
        Some(("wrong", ("application/json", "{bad"))),
        Some(("pp_wrong", ("text/plain", "{}"))),
        Some(("pp_wrong", ("application/json", "[]"))),
    ];
    let closed = "[security]\nrate_limit_enabled = false\nlocalhost_auth_bypass = false\n";
    let server = Server::start(Options::config(closed)).await;
    let mut public = Vec::new();
    for (dialect, path, method, operation) in documented_operations(&server).await {
        let name = format!("{method} {path}");
        if operation["security"].as_array().is_none_or(Vec::is_empty) {
            public.push(name);
            continue;
        }
        for shown in WRONG {
            let path = path.replace("{id}", "x").replace("{model}", "x");
            let request = server.anonymous(method.clone(), &format!("{path}?limit=many"));
            let request = match shown {
                None => request.json(&json!({})),
                Some((token, (media, body))) => request
                    .bearer_auth(token)
                    .header("content-type", media)
                    .body(body),
            };
            let answer = Answer::of(request.send().await.unwrap()).await;
            let name = format!("{name}, {shown:?}: {}", answer.text);
            assert_eq!(answer.status, 401, "{name}");
            assert_eq!(
                answer.header("www-authenticate"),
                format!(
                    "Bearer resource_metadata=\"http://{}/.well-known/oauth-protected-resource\"",
                    server.address
                ),
                "{name}"
            );
            // Where two dialects share a path, what shows nothing is answered in the older one's words.
            let spoken = match path.as_str() {
                "/api/auth/logout" => "pocketpaw",
                _ => dialect,
            };
            assert!(is_in_words_of(spoken, &answer.json()), "{name}");
        }
    }
    public.sort();
    public.dedup();
    assert_eq!(public, PUBLIC);
}

/// Every operation of every dialect's document, with its path and method.
async fn documented_operations(server: &Server) -> Vec<(&'static str, String, Method, Value)> {
    let mut found = Vec::new();
    for dialect in ["pocketpaw", "pisovereign", "pixcode", "openai"] {
        let document = run(server.data_dir(), &["openapi", "--dialect", dialect])
            .await
            .json();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes());
                if let (Ok(method), false) = (method, operation["responses"].is_null()) {
                    found.push((dialect, path.clone(), method, operation.clone()));
                }
            }
        }
    }
    found
}

fn is_in_words_of(dialect: &str, body: &Value) -> bool {
    match dialect {
        "pocketpaw" => *body == json!({ "detail": "Unauthorized" }),
        "pisovereign" => {
            body["error"]["code"] == "UNAUTHORIZED" && body["error"]["request_id"].is_string()
        }
        "pixcode" => body["error"].is_string() || body["error"]["code"].is_string(),
        _ => {
            body["error"]["code"] == "invalid_api_key"
                && body["error"]["type"] == "invalid_request_error"
        }
    }
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_until_it_is_revoked() {
    let (server, _) = server_and_credentials().await;
    let make = async |scopes: Value| {
        let made = server
            .post(
                "/api/v1/auth/api-keys",
                &json!({ "name": "k", "scopes": scopes }),
            )
            .await
            .ok();
        (
            made["id"].as_str().unwrap().to_owned(),
            made["key"].as_str().unwrap().to_owned(),
        )
    };
    let status = async |key: &str, path: &str| {
        ask(&server, path, "", header("x-api-key", key))
            .await
            .status
    };
    let (_, chat_only) = make(json!(["chat"])).await;
    assert_eq!(status(&chat_only, "/api/v1/sessions").await, 403);
    let (id, key) = make(json!(["sessions"])).await;
    assert!(key.starts_with("pp_"));
    assert_eq!(status(&key, "/api/v1/sessions").await, 200);
    let chat = server
        .anonymous(Method::POST, "/v1/chat")
        .header("x-api-key", &key)
        .json(&json!({ "message": "hi" }));
    assert_eq!(chat.send().await.unwrap().status().as_u16(), 403);
    let rotated = server
        .post(&format!("/api/v1/auth/api-keys/{id}/rotate"), &json!({}))
        .await
        .ok();
    let fresh = rotated["key"].as_str().unwrap();
    assert_eq!(
        (
            status(&key, "/api/v1/sessions").await,
            status(fresh, "/api/v1/sessions").await
        ),
        (401, 200)
    );
    server
        .delete(&format!(
            "/api/v1/auth/api-keys/{}",
            rotated["id"].as_str().unwrap()
        ))
        .await
        .ok();
    assert_eq!(status(fresh, "/api/v1/sessions").await, 401);
    server
        .post(
            "/api/v1/auth/api-keys",
            &json!({ "name": "k", "scopes": ["everything"] }),
        )
        .await
        .with_status(400);
    let listed = server.get("/api/v1/auth/api-keys").await;
    assert!(
        !listed.text.contains(&key) && !listed.text.contains(fresh),
        "a key is shown once"
    );
}

#[tokio::test]
async fn a_login_gives_a_cookie_that_works_and_a_logout_takes_it() {
    let (server, _) = server_and_credentials().await;
    for path in ["/api/v1/auth/login", "/api/auth/login"] {
        let request = server
            .anonymous(Method::POST, path)
            .json(&json!({ "token": server.token }));
        let answer = Answer::of(request.send().await.unwrap())
            .await
            .with_status(200);
        let cookie = answer.header("set-cookie");
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
            "{cookie}"
        );
        assert!(
            !cookie.contains(&server.token),
            "the master token does not leave"
        );
        let pair = cookie.split(';').next().unwrap();
        assert_eq!(
            ask(&server, "/api/v1/sessions", "", header("cookie", pair))
                .await
                .status,
            200
        );
        let wrong = server
            .anonymous(Method::POST, path)
            .json(&json!({ "token": "wrong" }));
        assert_eq!(wrong.send().await.unwrap().status().as_u16(), 401);
    }
    let out = server
        .post("/api/v1/auth/logout", &json!({}))
        .await
        .with_status(200);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
}
