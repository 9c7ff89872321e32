//! Where a credential may stand, and what becomes of a wrong one.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::test::{self, TestRequest};
use bytes::Bytes;
use futures_util::stream;

use crate::support::{Setup, bearer, get, local, post, site};

#[actix_web::test]
async fn the_master_token_opens_every_place_it_may_stand_in() {
    let site = site(Setup::default()).await;
    let remote = || {
        TestRequest::get()
            .uri("/v1/whoami")
            .peer_addr("203.0.113.5:40000".parse().unwrap())
            .insert_header(("host", "example.org"))
    };
    let token = site.master.clone();
    let requests = [
        remote().uri(&format!("/v1/whoami?x=1&token={token}")),
        remote().uri(&format!("/v1/whoami?apiKey={token}")),
        bearer(remote(), &token),
        remote().insert_header(("authorization", format!("bearer   {token} "))),
        remote().insert_header(("x-api-key", token.clone())),
        remote().insert_header(("cookie", format!("a=b; pocketpaw_session={token}; c=d"))),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let answer = site.ask(request).await;
        assert_eq!(answer.status, 200, "request {number}: {answer:?}");
        assert_eq!(answer.json()["credential"], "MasterToken");
        assert_eq!(answer.json()["user"], "operator");
    }
    assert_eq!(site.ask(remote()).await.status, 401);
    let subprotocol = remote().insert_header(("sec-websocket-protocol", format!("chat, {token}")));
    assert_eq!(
        site.ask(subprotocol).await.status,
        401,
        "only keys may stand there"
    );
}

#[actix_web::test]
async fn an_api_key_opens_as_a_subprotocol_too() {
    let site = site(Setup::default()).await;
    let key = site.api_key().await;
    let request = TestRequest::get()
        .uri("/v1/whoami")
        .insert_header(("sec-websocket-protocol", format!("chat, {key}")));
    let answer = site.ask(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.json()["credential"]
            .as_str()
            .unwrap()
            .starts_with("ApiKey")
    );
}

#[actix_web::test]
async fn the_first_credential_decides() {
    let site = site(Setup::default()).await;
    let right_behind_wrong = bearer(get("/v1/whoami?token=wrong"), &site.master);
    assert_eq!(site.ask(right_behind_wrong).await.status, 401);
    let right_before_wrong = bearer(get(&format!("/v1/whoami?token={}", site.master)), "wrong");
    assert_eq!(site.ask(right_before_wrong).await.status, 200);
}

#[actix_web::test]
async fn a_wrong_credential_is_never_rescued_by_the_bypass() {
    let site = site(Setup::default()).await;
    let nothing = site.ask(get("/v1/whoami")).await;
    assert_eq!(
        (nothing.status, nothing.json()["credential"].as_str()),
        (200, Some("Localhost"))
    );
    for request in [
        bearer(get("/v1/whoami"), "wrong"),
        get("/v1/whoami?token=wrong"),
        get("/v1/whoami").insert_header(("x-api-key", "pp_wrong")),
        get("/v1/whoami").insert_header(("cookie", "pocketpaw_session=1:00")),
        get("/v1/whoami").insert_header(("authorization", "Basic YTpi")),
        get("/v1/whoami").insert_header(("authorization", b"\xff\xfe".as_slice())),
        get("/v1/whoami").insert_header(("sec-websocket-protocol", "pp_wrong")),
    ] {
        let answer = site.ask(request).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.json()["code"], "invalid_credential");
        let metadata = "http://localhost:8888/.well-known/oauth-protected-resource";
        let challenge = format!("Bearer resource_metadata=\"{metadata}\"");
        assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()));
    }
    // What is empty is no credential.
    for request in [
        get("/v1/whoami?token="),
        get("/v1/whoami").insert_header(("authorization", "Bearer ")),
        get("/v1/whoami").insert_header(("cookie", "pocketpaw_session=")),
    ] {
        assert_eq!(site.ask(request).await.status, 200);
    }
}

#[actix_web::test]
async fn the_bypass_goes_through_the_front_door() {
    let site = site(Setup::default()).await;
    let forwarded = get("/v1/whoami").insert_header(("x-real-ip", "10.0.0.1"));
    let answer = site.ask(forwarded).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["code"], "missing_credential");
    let rebound = TestRequest::get()
        .uri("/v1/whoami")
        .peer_addr("127.0.0.1:1".parse().unwrap())
        .insert_header(("host", "evil.example"));
    assert_eq!(site.ask(rebound).await.status, 401);
    let peerless = TestRequest::get()
        .uri("/v1/whoami")
        .insert_header(("host", "localhost"));
    assert_eq!(site.ask(peerless).await.status, 401);
    let public = crate::support::site(Setup {
        listeners: vec!["0.0.0.0:8888".parse().unwrap()],
        ..Setup::default()
    })
    .await;
    assert_eq!(
        public
            .ask(local(TestRequest::get().uri("/v1/whoami")))
            .await
            .status,
        401
    );
}

#[actix_web::test]
async fn a_wrong_credential_goes_before_everything_else_that_is_wrong() {
    let site = site(Setup::default()).await;
    let requests = || {
        [
            post("/v1/things", "application/json", "{bad"),
            post("/v1/things", "application/json", "[]"),
            post("/v1/things", "text/plain", "{}"),
            post("/v1/things", "application/json", "{}")
                .insert_header(("content-length", "99999999")),
            get("/v1/things?limit=many"),
            local(TestRequest::delete().uri("/v1/things/abc")),
        ]
    };
    for request in requests() {
        let answer = site.ask(bearer(request, "wrong")).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.json()["code"], "invalid_credential");
    }
    // A key that this process has not seen yet is looked up as well, and found.
    for (number, request) in requests().into_iter().enumerate() {
        let key = site.api_key().await;
        let answer = site.ask(bearer(request, &key)).await;
        assert_ne!(answer.status, 401, "request {number}: {answer:?}");
    }
}

#[actix_web::test]
async fn no_body_is_read_before_its_sender_is_let_in() {
    let site = site(Setup::default()).await;
    let key = site.api_key().await;
    let app = site.app().await;
    for (token, status, expected) in [("wrong", 401, false), (key.as_str(), 201, true)] {
        let was_read = Rc::new(Cell::new(false));
        let reading = was_read.clone();
        let body = stream::once(async move {
            reading.set(true);
            Ok(Bytes::from_static(br#"{"name":"a"}"#))
        });
        let request = bearer(post("/v1/things", "application/json", ""), token).to_request();
        let payload: Payload = Payload::Stream {
            payload: Box::pin(body),
        };
        let (request, _) = request.replace_payload(payload);
        let response = test::call_service(&app, request).await;
        assert_eq!(
            (response.status().as_u16(), was_read.get()),
            (status, expected)
        );
    }
}
