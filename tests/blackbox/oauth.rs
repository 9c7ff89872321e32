//! A desktop app signs its user in: browser, consent, code, tokens, and the end of it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Options, Server, http_client, on_postgresql};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const ASKED: [(&str, &str); 6] = [
    ("client_id", "pocketpaw-desktop"),
    ("redirect_uri", "http://localhost:54321"),
    ("scope", "admin"),
    (
        "code_challenge",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    ),
    ("code_challenge_method", "S256"),
    ("state", "a&b=\"c"),
];

fn query(pairs: &[(&str, &str)]) -> String {
    let url = reqwest::Url::parse_with_params("http://localhost/", pairs).unwrap();
    url.query().unwrap().to_owned()
}

/// The page that a browser on this machine, without any credential, is shown.
async fn page(server: &Server) -> Answer {
    let path = format!("/api/v1/oauth/authorize?{}", query(&ASKED));
    Answer::of(server.anonymous(Method::GET, &path).send().await.unwrap()).await
}

async fn consent(server: &Server, token: &str) -> reqwest::Response {
    let mut pairs = ASKED.to_vec();
    pairs.extend([("consent_token", token), ("action", "allow")]);
    server
        .anonymous(Method::POST, "/api/v1/oauth/authorize/consent")
        .header("origin", format!("http://{}", server.address))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(query(&pairs))
        .send()
        .await
        .unwrap()
}

async fn token(server: &Server, body: Value) -> Answer {
    let request = server.anonymous(Method::POST, "/api/v1/oauth/token");
    Answer::of(request.json(&body).send().await.unwrap()).await
}

async fn with_token(server: &Server, path: &str, token: &str) -> Answer {
    // As from another machine, so that nothing but the token lets it in.
    let request = server
        .anonymous(Method::GET, path)
        .header("x-forwarded-for", "192.0.2.1")
        .bearer_auth(token);
    Answer::of(request.send().await.unwrap()).await
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// The whole life of an app's access.
async fn desktop_app_signs_in(mut server: Server) {
    let page = page(&server).await.with_status(200);
    let (_, rest) = page
        .text
        .split_once("name=\"consent_token\" value=\"")
        .unwrap();
    let consent_token = rest.split('"').next().unwrap();
    assert_eq!(
        consent(&server, "forged").await.status(),
        StatusCode::FORBIDDEN
    );
    let answer = consent(&server, consent_token).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    let location = answer.headers()["location"].to_str().unwrap();
    let location = reqwest::Url::parse(location).unwrap();
    assert_eq!(
        (location.host_str(), location.port()),
        (Some("localhost"), Some(54321))
    );
    let sent: std::collections::BTreeMap<_, _> = location.query_pairs().into_owned().collect();
    assert_eq!(sent["state"], "a&b=\"c");
    assert_eq!(sent["iss"], format!("http://{}", server.address));

    let exchange = json!({
        "grant_type": "authorization_code", "code": sent["code"], "code_verifier": VERIFIER,
        "client_id": "pocketpaw-desktop", "redirect_uri": "http://localhost:54321"
    });
    let made = token(&server, exchange).await.ok();
    let (access, refresh) = (text(&made, "access_token"), text(&made, "refresh_token"));
    with_token(&server, "/api/v1/auth/api-keys", &access)
        .await
        .ok();

    // What was granted outlives the server; neither code nor tokens are anywhere in its files.
    server.stop().await;
    for entry in std::fs::read_dir(server.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(bytes) = std::fs::read(&path) {
            for secret in [&access, &refresh, &sent["code"]] {
                let found = bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
    server.restart().await;
    with_token(&server, "/api/v1/sessions", &access).await.ok();
    let refreshed = json!({ "grant_type": "refresh_token", "refresh_token": refresh });
    let made = token(&server, refreshed.clone()).await.ok();
    let renewed = text(&made, "access_token");
    with_token(&server, "/api/v1/sessions", &access)
        .await
        .with_status(401);
    with_token(&server, "/api/v1/sessions", &renewed).await.ok();

    // The refresh token comes a second time: somebody has stolen it, and nothing works any more.
    token(&server, refreshed).await.with_status(400);
    let refused = with_token(&server, "/api/v1/sessions", &renewed)
        .await
        .with_status(401);
    assert!(
        refused
            .header("www-authenticate")
            .contains("/.well-known/oauth-protected-resource")
    );
}

#[tokio::test]
async fn a_desktop_app_signs_in() {
    desktop_app_signs_in(Server::assistant().await).await;
}

#[tokio::test]
async fn a_desktop_app_signs_in_with_postgresql() {
    let Some(database) = on_postgresql().await else {
        return;
    };
    desktop_app_signs_in(Server::start(Options::config(database)).await).await;
}

#[tokio::test]
async fn an_app_finds_its_way_by_the_metadata() {
    let server = Server::assistant().await;
    let url = server.url("/.well-known/oauth-authorization-server");
    let metadata: Value = http_client()
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    for name in [
        "token_endpoint",
        "revocation_endpoint",
        "authorization_endpoint",
    ] {
        let endpoint = metadata[name].as_str().unwrap();
        let status = http_client().post(endpoint).send().await.unwrap().status();
        assert!(
            status.is_client_error() && status != StatusCode::NOT_FOUND,
            "{endpoint}: {status}"
        );
    }
}
