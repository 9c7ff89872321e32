//! Who may open a socket.

use std::num::NonZeroU32;
use std::time::Duration;

use majordomo_application::Caller;
use majordomo_domain::{CredentialKind, RequestSource};
use majordomo_presentation_http::rate_limit::{Rate, RateLimitConfig};
use majordomo_presentation_pocketpaw::ws::SocketTiming;
use majordomo_testkit::Script;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::site::Site;
use crate::world::{BOB, MASTER, World};

/// What a proxy adds, so that being on the same machine is not enough.
const PROXIED: (&str, &str) = ("x-forwarded-for", "192.0.2.1");

#[actix_web::test]
async fn all_three_paths_greet_alike() {
    let site = Site::playing([]).await;
    for (path, id) in [
        ("/ws", "session-1"),
        ("/api/v1/ws", "session-2"),
        ("/v1/ws", "session-3"),
    ] {
        let greeting = site.connect(path).await.json().await;
        assert_eq!(
            greeting,
            json!({ "type": "connection_info", "content": "Connected to PocketPaw",
                    "id": format!("websocket_{id}") })
        );
    }
}

#[actix_web::test]
async fn a_socket_needs_a_credential_before_the_upgrade() {
    let site = Site::playing([]).await;
    let unauthorized = (401, json!({ "detail": "Unauthorized" }));
    assert_eq!(site.refusal("/ws", &[PROXIED]).await, unauthorized);
    let wrong = site.refusal("/ws?token=wrong", &[]).await;
    assert_eq!(wrong, unauthorized);
    let master_as_protocol = [PROXIED, ("sec-websocket-protocol", MASTER)];
    assert_eq!(site.refusal("/ws", &master_as_protocol).await, unauthorized);
}

#[actix_web::test]
async fn every_place_of_a_credential_works() {
    let site = Site::playing([]).await;
    let key = site.world.key(&["chat"]).await;
    let access = &site.world.services.access;
    let token = access.open_session(MASTER, RequestSource::default()).await;
    let cookie = format!("pocketpaw_session={}", token.unwrap().secret);
    let bearer = format!("Bearer {MASTER}");
    for headers in [
        [PROXIED, ("authorization", bearer.as_str())],
        [PROXIED, ("cookie", cookie.as_str())],
    ] {
        let (mut socket, _) = site.connect_with("/ws", &headers).await.unwrap();
        assert_eq!(socket.json().await["type"], "connection_info");
    }
    let path = format!("/ws?token={key}");
    let (mut socket, _) = site.connect_with(&path, &[PROXIED]).await.unwrap();
    assert_eq!(socket.json().await["type"], "connection_info");
    let protocols = format!("other, {key}");
    let headers = [PROXIED, ("sec-websocket-protocol", protocols.as_str())];
    let (mut socket, response) = site.connect_with("/ws", &headers).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], key.as_str());
    assert_eq!(socket.json().await["type"], "connection_info");
}

#[actix_web::test]
async fn a_key_without_the_scope_is_refused() {
    let site = Site::playing([]).await;
    let key = site.world.key(&["memory"]).await;
    let refusal = site.refusal(&format!("/ws?token={key}"), &[]).await;
    let detail = "API key missing required scope: chat";
    assert_eq!(refusal, (403, json!({ "detail": detail })));
}

#[actix_web::test]
async fn pages_of_elsewhere_may_not_open_a_socket() {
    let site = Site::playing([]).await;
    let path = format!("/ws?token={MASTER}");
    let detail = json!({ "detail": "This origin may not open a WebSocket" });
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
    ] {
        let refusal = site.refusal(&path, &[("origin", origin)]).await;
        assert_eq!(refusal, (403, detail.clone()), "{origin}");
    }
    let own = format!("http://{}", site.address);
    for origin in [own.as_str(), "http://localhost:1420", "tauri://localhost"] {
        let opened = site.connect_with(&path, &[("origin", origin)]).await;
        assert!(opened.is_ok(), "{origin}");
    }
}

#[actix_web::test]
async fn a_query_that_cannot_be_read_is_refused_in_words() {
    let site = Site::playing([]).await;
    let refusal = site.refusal("/ws?resume_session=a/b", &[]).await;
    assert_eq!(refusal.0, 422);
    let refusal = site.refusal("/ws?resume_run=r&after=x", &[]).await;
    assert_eq!(refusal, (400, json!({ "detail": "after is not a number" })));
}

#[actix_web::test]
async fn plain_requests_are_told_what_is_expected() {
    let site = Site::playing([]).await;
    for (method, status, words) in [
        ("GET", "400", "Expected a WebSocket handshake"),
        ("POST", "405", "Method Not Allowed"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(site.address).await.unwrap();
        let request = format!(
            "{method} /ws HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            site.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(
            answer.ends_with(&json!({ "detail": words }).to_string()),
            "{answer}"
        );
    }
}

#[actix_web::test]
async fn connecting_has_its_own_limit() {
    let limits = RateLimitConfig {
        websocket: Rate::per_minute(NonZeroU32::new(2).unwrap()),
        ..RateLimitConfig::default()
    };
    let site = Site::serve(World::limited([], limits).await, SocketTiming::default());
    let _first = site.greeted("/ws").await;
    let _second = site.greeted("/api/v1/ws").await;
    let refusal = site.refusal("/ws", &[]).await;
    assert_eq!(refusal, (429, json!({ "detail": "Too many requests" })));
}

#[actix_web::test]
async fn actions_cost_what_requests_cost() {
    let limits = RateLimitConfig {
        api: Rate::per_minute(NonZeroU32::new(2).unwrap()),
        ..RateLimitConfig::default()
    };
    let site = Site::serve(World::limited([], limits).await, SocketTiming::default());
    // Opening the connection is the first action.
    let mut socket = site.greeted("/ws").await;
    socket.say(&json!({ "action": "new_session" })).await;
    assert_eq!(socket.json().await["type"], "new_session");
    socket.say(&json!({ "action": "new_session" })).await;
    let refused = json!({ "type": "error", "content": "Too many requests" });
    assert_eq!(socket.json().await, refused);
}

#[actix_web::test]
async fn a_revoked_key_ends_its_socket_with_the_next_action() {
    let site = Site::playing([Script::answer("Hi")]).await;
    let key = site.world.key(&["chat"]).await;
    let mut socket = site.greeted(&format!("/ws?token={key}")).await;
    let operator = Caller::operator(CredentialKind::MasterToken);
    let access = &site.world.services.access;
    let keys = access.list_keys(&operator).await.unwrap();
    access.revoke_key(&operator, &keys[0].id).await.unwrap();
    socket
        .say(&json!({ "action": "chat", "message": "x" }))
        .await;
    assert_eq!(socket.json().await["type"], "error");
    assert_eq!(socket.closed().await.unwrap().code, CloseCode::Policy);
    assert!(site.world.model.requests().is_empty());
}

#[actix_web::test]
async fn nobody_sees_the_runs_and_sessions_of_others() {
    let site = Site::playing([Script::answer("secret")]).await;
    let mut mine = site.greeted("/ws?resume_session=websocket_s").await;
    assert_eq!(mine.json().await["messages"], json!([]));
    mine.chat("hello").await;
    let mut other = site
        .greeted(&format!("/ws?token={BOB}&resume_session=websocket_s"))
        .await;
    let history = json!({ "type": "session_history", "session_id": "websocket_s", "messages": [] });
    assert_eq!(other.json().await, history);
    other
        .say(&json!({ "action": "resume", "run_id": "run-1", "after": 0 }))
        .await;
    let error = json!({ "type": "error", "content": "Run not found" });
    assert_eq!(other.json().await, error);
}

#[actix_web::test]
async fn a_silent_client_is_given_up_and_a_living_one_is_not() {
    let timing = SocketTiming {
        ping_interval: Duration::from_millis(40),
        silence: Duration::from_millis(120),
    };
    let site = Site::serve(World::playing([]).await, timing);
    // This client answers pings as long as it reads.
    let mut living = site.greeted("/ws").await;
    let reads = async {
        loop {
            assert!(living.message().await.is_some());
        }
    };
    let kept = tokio::time::timeout(Duration::from_millis(500), reads).await;
    assert!(kept.is_err());
    // Now it does not read, so it does not answer.
    tokio::time::sleep(Duration::from_millis(400)).await;
    while living.message().await.is_some() {}
}
