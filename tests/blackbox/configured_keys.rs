//! Keys of the configuration file: each does what it says there, however it is carried, and nothing more.

use majordomo_application::ports::PasswordHasher as _;
use majordomo_infrastructure_system::Argon2PasswordHasher;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, ModelServer, Options, Server, on_postgresql};

/// The one user the keys stand for.
const USER: &str = "3f0e8a6e-43a5-4a5e-9d6f-1f2d3c4b5a70";

const CHAT_ONLY: &str = "sk-chat-only-0123456789";
const WITHOUT_SCOPES: &str = "sk-without-scopes-0123456789";
const EXPIRED: &str = "sk-expired-0123456789";
const LASTING: &str = "sk-lasting-0123456789";
const FROM_OFFICE: &str = "sk-from-the-office-0123456789";
const SLOW: &str = "sk-slow-0123456789";

/// An address of the office.
const OFFICE: &str = "192.0.2.7";
/// An address from elsewhere.
const ELSEWHERE: &str = "198.51.100.7";

/// Every key with what stands about it in the file.
const KEYS: [(&str, &str); 6] = [
    (
        CHAT_ONLY,
        "scopes = [\"chat\"]\nallowed_models = [\"mock/m\"]\n",
    ),
    (WITHOUT_SCOPES, ""),
    (EXPIRED, "expires_at = \"2020-01-31T00:00:00Z\"\n"),
    (LASTING, "expires_at = \"2999-01-31T00:00:00Z\"\n"),
    (FROM_OFFICE, "allowed_addresses = [\"192.0.2.0/24\"]\n"),
    (SLOW, "scopes = [\"sessions\"]\nrequests_per_minute = 3\n"),
];

/// A server that has the keys, behind a proxy on this machine.
async fn start(database: &str, model: &ModelServer) -> Server {
    let hasher = Argon2PasswordHasher::per_core();
    let mut config =
        "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[security]\nrate_limit_api_burst = 10000\n\
         rate_limit_login_burst = 1000\n"
            .to_owned();
    for (key, limits) in KEYS {
        let hash = hasher.hash(key.to_owned()).await.unwrap();
        let key =
            format!("[[security.api_keys]]\nhash = \"{hash}\"\nuser_id = \"{USER}\"\n{limits}");
        config.push_str(&key);
    }
    let config = [config.as_str(), database, &model.settings()].concat();
    Server::start(Options::config(config)).await
}

/// A request of somebody at `address`, with the key or its cookie.
async fn ask(
    server: &Server,
    (method, path): (Method, &str),
    (header, credential): (&'static str, &str),
    address: &str,
    body: Option<&Value>,
) -> Answer {
    let request = server
        .anonymous(method, path)
        .header(header, credential)
        .header("sec-fetch-site", "same-origin")
        .header("x-forwarded-for", address);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    Answer::of(request.send().await.unwrap()).await
}

async fn get(server: &Server, path: &str, key: &str, address: &str) -> Answer {
    ask(
        server,
        (Method::GET, path),
        ("x-api-key", key),
        address,
        None,
    )
    .await
}

/// The cookie that a key is exchanged for, which must hold the key itself.
async fn cookie_of(server: &Server, key: &str) -> String {
    let login = server.anonymous(Method::POST, "/api/v1/auth/login");
    let login = login.header("x-forwarded-for", OFFICE);
    let answer = login.json(&json!({ "token": key })).send().await.unwrap();
    let answer = Answer::of(answer).await.with_status(200);
    let cookie = answer.header("set-cookie").split(';').next().unwrap();
    assert_eq!(cookie, format!("pocketpaw_session={key}"));
    cookie.to_owned()
}

async fn complete(server: &Server, credential: (&'static str, &str), model: &str) -> Answer {
    let body =
        json!({ "model": model, "messages": [{ "role": "user", "content": "ECHO one two" }] });
    let route = (Method::POST, "/v1/chat/completions");
    ask(server, route, credential, OFFICE, Some(&body)).await
}

/// Scopes and models, the same by the key and by its cookie.
async fn scopes_and_models(server: &Server) {
    let cookie = cookie_of(server, CHAT_ONLY).await;
    for credential in [("x-api-key", CHAT_ONLY), ("cookie", cookie.as_str())] {
        let status = async |path: &str| {
            let route = (Method::GET, path);
            ask(server, route, credential, OFFICE, None).await.status
        };
        assert_eq!(status("/api/v1/sessions").await, 403);
        assert_eq!(status("/api/v1/settings").await, 403);
        assert_eq!(status("/api/v1/audit").await, 403);
        assert_eq!(status("/v1/models").await, 200);
        assert_eq!(status("/v1/models/mock%2Fm").await, 200);
        assert_eq!(status("/v1/models/builtin%2Fassistant").await, 404);
        let answered = complete(server, credential, "mock/m").await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let other = complete(server, credential, "builtin/assistant").await;
        assert_eq!(other.status, 404, "{}", other.text);
        let route = (Method::POST, "/api/v1/token/regenerate");
        let stolen = ask(server, route, credential, OFFICE, Some(&json!({}))).await;
        assert_eq!(stolen.status, 403);
    }
    // A key without scopes has all but the right to administer.
    for (path, status) in [
        ("/api/v1/sessions", 200),
        ("/api/v1/settings", 200),
        ("/api/v1/metrics/usage", 200),
        ("/api/v1/audit", 403),
        ("/api/v1/users", 403),
        ("/api/v1/identity", 403),
    ] {
        let answer = get(server, path, WITHOUT_SCOPES, OFFICE).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
}

/// When it ends, where it works from, how often it may ask; the same by the key and by its cookie.
async fn times_places_and_rates(server: &Server) {
    const PATH: &str = "/api/v1/sessions";

    let expired = get(server, PATH, EXPIRED, OFFICE).await;
    expired.with_status(401);
    get(server, PATH, LASTING, OFFICE).await.with_status(200);
    let login = server.anonymous(Method::POST, "/api/v1/auth/login");
    let login = login
        .json(&json!({ "token": EXPIRED }))
        .send()
        .await
        .unwrap();
    assert_eq!(login.status(), 401);

    let cookie = cookie_of(server, FROM_OFFICE).await;
    for credential in [("x-api-key", FROM_OFFICE), ("cookie", cookie.as_str())] {
        // What a client writes itself stands left of what the proxy saw, and counts for nothing.
        for (address, allowed) in [
            (OFFICE, true),
            ("198.51.100.7, 192.0.2.7", true),
            (ELSEWHERE, false),
            ("192.0.2.7, 198.51.100.7", false),
        ] {
            let answer = ask(server, (Method::GET, PATH), credential, address, None).await;
            assert_eq!(answer.status == 200, allowed, "{address}: {}", answer.text);
            assert!(allowed || matches!(answer.status, 401 | 403), "{address}");
        }
    }

    let cookie = cookie_of(server, SLOW).await;
    let mut answered = Vec::new();
    for credential in [("x-api-key", SLOW), ("cookie", cookie.as_str())] {
        for address in [OFFICE, ELSEWHERE] {
            let answer = ask(server, (Method::GET, PATH), credential, address, None).await;
            let wait = answer.header("retry-after").to_owned();
            answered.push((answer.status, !wait.is_empty()));
        }
    }
    assert_eq!(
        answered,
        [(200, false), (200, false), (200, false), (429, true)]
    );
    // Other keys of the same user are not in the way.
    get(server, PATH, LASTING, OFFICE).await.with_status(200);
}

/// What the user may spend is what all keys of the user may spend.
async fn budget(server: &Server) {
    let body = json!({ "subject": format!("user:{USER}"), "period": "day", "max_tokens": 1 });
    let set = server.request(Method::PUT, "/api/v1/budgets").json(&body);
    assert!(set.send().await.unwrap().status().is_success());
    let cookie = cookie_of(server, CHAT_ONLY).await;
    for credential in [
        ("x-api-key", CHAT_ONLY),
        ("x-api-key", LASTING),
        ("cookie", cookie.as_str()),
    ] {
        let refused = complete(server, credential, "mock/m").await;
        let refused = refused.with_status(429);
        assert_eq!(refused.json()["error"]["code"], "insufficient_quota");
        assert!(!refused.header("retry-after").is_empty());
    }
    // The operator has a purse of their own.
    let operator = server.token.clone();
    let answered = complete(server, ("x-api-key", &operator), "mock/m").await;
    assert_eq!(answered.status, 200, "{}", answered.text);
}

async fn keys_keep_their_limits(database: &str) {
    let model = ModelServer::start().await;
    let server = start(database, &model).await;
    scopes_and_models(&server).await;
    times_places_and_rates(&server).await;
    budget(&server).await;
    let log = server.log();
    for (key, _) in KEYS {
        assert!(!log.contains(key), "{key} is in the log");
    }
}

#[tokio::test]
async fn configured_keys_keep_their_limits_on_sqlite() {
    keys_keep_their_limits("").await;
}

#[tokio::test]
async fn configured_keys_keep_their_limits_on_postgresql() {
    let Some(database) = on_postgresql().await else {
        return;
    };
    keys_keep_their_limits(&database).await;
}
