//! Signing in: how tokens are renewed, how guessing is slowed down, how users change their own passwords.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{Answer, Options, Server, WITHOUT_LIMITS, on_postgresql, run, run_with_input};

const PASSWORD: &str = "correct horse";
const HOUR: i64 = 3600;

/// A server behind a proxy on this machine, so that requests can come from any address.
async fn start(database: &str) -> Server {
    let config =
        format!("[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n{WITHOUT_LIMITS}{database}");
    Server::start(Options::config(config)).await
}

async fn add(server: &Server, name: &str) {
    let added = ["users", "add", name];
    run_with_input(server.data_dir(), &added, PASSWORD)
        .await
        .ok();
}

async fn sign_in(server: &Server, name: &str, password: &str, address: &str) -> Answer {
    let request = server
        .anonymous(Method::POST, "/api/auth/login")
        .header("x-forwarded-for", address)
        .json(&json!({ "username": name, "password": password }));
    Answer::of(request.send().await.unwrap()).await
}

async fn token(server: &Server, name: &str) -> String {
    let signed_in = sign_in(server, name, PASSWORD, "192.0.2.1").await.ok();
    signed_in["token"].as_str().unwrap().to_owned()
}

/// Who asks, with a bearer token or a cookie.
async fn whoami(server: &Server, header: &'static str, value: &str) -> Answer {
    let request = server.anonymous(Method::GET, "/api/auth/user");
    let request = request.header(header, value);
    let request = request.header("x-forwarded-for", "192.0.2.1");
    Answer::of(request.send().await.unwrap()).await
}

/// The same token as if it had been issued `age` seconds ago: signed with the server's own key.
fn aged(server: &Server, token: &str, age: i64) -> String {
    let mut parts = token.split('.');
    let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let mut claims: Value = serde_json::from_slice(&claims).unwrap();
    for name in ["iat", "exp"] {
        claims[name] = json!(claims[name].as_i64().unwrap() - age);
    }
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = std::fs::read_to_string(server.data_dir().join("login_key")).unwrap();
    let key = URL_SAFE_NO_PAD.decode(key.trim()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// A token past half of its life of a week is followed by a fresh one; one that is over, or whose user is shut out, is not.
async fn tokens_are_renewed(server: &Server) {
    const REFRESHED: &str = "x-refreshed-token";

    add(server, "alice").await;
    let young = token(server, "alice").await;
    for (age, renewed) in [
        (0, false),
        (83 * HOUR, false),
        (85 * HOUR, true),
        (167 * HOUR, true),
    ] {
        let bearer = format!("Bearer {}", aged(server, &young, age));
        let answer = whoami(server, "authorization", &bearer)
            .await
            .with_status(200);
        let fresh = answer.header(REFRESHED);
        assert_eq!(!fresh.is_empty(), renewed, "after {age} s");
        assert_eq!(answer.header("set-cookie"), "");
        if renewed {
            let next = whoami(server, "authorization", &format!("Bearer {fresh}")).await;
            assert_eq!(next.header(REFRESHED), "", "the fresh one is young");
            assert_eq!(next.ok()["user"]["username"], "alice");
        }
    }
    // A browser gets it as a cookie too.
    let cookie = format!("token={}", aged(server, &young, 100 * HOUR));
    let answer = whoami(server, "cookie", &cookie).await.with_status(200);
    let set = answer.header("set-cookie");
    assert_eq!(
        set.split(';').next(),
        Some(format!("token={}", answer.header(REFRESHED)).as_str())
    );
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Strict"),
        "{set}"
    );
    // On every door, and only with an answer that let the token in.
    for path in ["/api/v1/sessions", "/v1/models"] {
        let request = server.anonymous(Method::GET, path);
        let request = request.bearer_auth(aged(server, &young, 100 * HOUR));
        let answer = Answer::of(request.send().await.unwrap())
            .await
            .with_status(200);
        assert!(!answer.header(REFRESHED).is_empty(), "{path}");
    }
    let old = aged(server, &young, 100 * HOUR);
    let forged = format!("{old}x");
    for over in [aged(server, &young, 169 * HOUR), forged] {
        let refused = whoami(server, "authorization", &format!("Bearer {over}")).await;
        assert_eq!((refused.status, refused.header(REFRESHED)), (401, ""));
        assert_eq!(refused.header("set-cookie"), "");
    }
    run(server.data_dir(), &["users", "disable", "alice"])
        .await
        .ok();
    for age in [0, 100 * HOUR] {
        let bearer = format!("Bearer {}", aged(server, &young, age));
        let refused = whoami(server, "authorization", &bearer).await;
        assert_eq!((refused.status, refused.header(REFRESHED)), (401, ""));
    }
}

#[tokio::test]
async fn login_tokens_are_renewed_on_sqlite() {
    tokens_are_renewed(&start("").await).await;
}

#[tokio::test]
async fn login_tokens_are_renewed_on_postgresql() {
    let Some(database) = on_postgresql().await else {
        return;
    };
    tokens_are_renewed(&start(&database).await).await;
}

fn seconds_to_wait(throttled: &Answer) -> u64 {
    assert_eq!(throttled.status, 429, "{}", throttled.text);
    throttled.header("retry-after").parse().unwrap()
}

/// Guessing one account's password from one place meets a pause, which stands in nobody else's way, and passes.
#[tokio::test]
async fn guessing_one_password_is_slowed_down() {
    const ATTACKER: &str = "198.51.100.1";

    let server = start("").await;
    for name in ["alice", "bob"] {
        add(&server, name).await;
    }
    for guess in 0..5 {
        let wrong = sign_in(&server, "alice", &format!("guess-{guess}"), ATTACKER).await;
        wrong.with_status(401);
    }
    // Not even the right one is looked at, whatever the name's case.
    let begun = Instant::now();
    let throttled = sign_in(&server, "ALICE", PASSWORD, ATTACKER).await;
    assert_eq!(seconds_to_wait(&throttled), 1);
    let words = throttled.json()["error"].to_string();
    assert!(words.contains("Too many attempts"), "{words}");
    // What the client claims to be is not who it is.
    let claimed = format!("203.0.113.5, {ATTACKER}");
    let still = sign_in(&server, "alice", PASSWORD, &claimed).await;
    if begun.elapsed() < Duration::from_millis(900) {
        assert_eq!(still.status, 429);
    }
    sign_in(&server, "bob", PASSWORD, ATTACKER)
        .await
        .with_status(200);
    sign_in(&server, "alice", PASSWORD, "203.0.113.9")
        .await
        .with_status(200);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    sign_in(&server, "alice", PASSWORD, ATTACKER)
        .await
        .with_status(200);
    // The right password forgives: the next five are free again.
    for _ in 0..5 {
        sign_in(&server, "alice", "wrong", ATTACKER)
            .await
            .with_status(401);
    }
    // Each pause is twice as long as the one before.
    seconds_to_wait(&sign_in(&server, "alice", "wrong", ATTACKER).await);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    sign_in(&server, "alice", "wrong", ATTACKER)
        .await
        .with_status(401);
    let longer = seconds_to_wait(&sign_in(&server, "alice", "wrong", ATTACKER).await);
    assert_eq!(longer, 2);
}

/// Trying many names from one place meets a pause too, which others do not.
#[tokio::test]
async fn guessing_many_passwords_from_one_place_is_slowed_down() {
    const ATTACKER: &str = "2001:db8:7::1";
    /// The same subscriber's network.
    const NEIGHBOUR: &str = "2001:db8:7::2";

    let server = start("").await;
    add(&server, "alice").await;
    let mut refused = 0;
    for number in 0..40 {
        let name = format!("name-{number}");
        let answer = sign_in(&server, &name, "wrong", ATTACKER).await;
        match answer.status {
            401 => {}
            429 => {
                assert!(seconds_to_wait(&answer) >= 1);
                refused += 1;
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert!(refused >= 5, "{refused}");
    seconds_to_wait(&sign_in(&server, "alice", PASSWORD, NEIGHBOUR).await);
    sign_in(&server, "alice", PASSWORD, "2001:db8:8::1")
        .await
        .with_status(200);
    let entries = server.get("/api/v1/audit").await.text;
    assert!(!entries.contains(PASSWORD), "{entries}");
}

async fn change_password(server: &Server, token: &str, current: &str, password: &str) -> Answer {
    let request = server
        .anonymous(Method::PUT, "/api/v1/users/me/password")
        .bearer_auth(token)
        .header("x-forwarded-for", "192.0.2.1")
        .json(&json!({ "current_password": current, "password": password }));
    Answer::of(request.send().await.unwrap()).await
}

/// A user's own password: changed by who knows it, with all other tokens ended, and both outcomes in the audit log.
async fn own_passwords_are_changed(mut server: Server) {
    add(&server, "alice").await;
    let (phone, laptop) = (token(&server, "alice").await, token(&server, "alice").await);
    let wrong = change_password(&server, &laptop, "guess", "battery staple").await;
    wrong.with_status(422);
    let changed = change_password(&server, &laptop, PASSWORD, "battery staple").await;
    let fresh = changed.header("x-refreshed-token").to_owned();
    changed.with_status(200);
    for (token, status) in [(&phone, 401), (&laptop, 401), (&fresh, 200)] {
        let answer = whoami(&server, "authorization", &format!("Bearer {token}")).await;
        assert_eq!(answer.status, status);
    }
    sign_in(&server, "alice", PASSWORD, "192.0.2.1")
        .await
        .with_status(401);
    sign_in(&server, "alice", "battery staple", "192.0.2.1")
        .await
        .with_status(200);
    // What the server owes to the audit log it writes before it ends.
    assert_eq!(server.stop().await, 0);
    server.restart().await;
    let entries = server.get("/api/v1/audit?limit=100").await.text;
    assert_eq!(entries.matches("\"user_password\"").count(), 1, "{entries}");
    assert!(entries.contains("wrong_current_password"), "{entries}");
    assert!(!entries.contains("battery staple") && !entries.contains(PASSWORD));
    let log = server.log();
    assert!(!log.contains("battery staple") && !log.contains(PASSWORD));
}

#[tokio::test]
async fn own_passwords_are_changed_on_sqlite() {
    own_passwords_are_changed(start("").await).await;
}

#[tokio::test]
async fn own_passwords_are_changed_on_postgresql() {
    let Some(database) = on_postgresql().await else {
        return;
    };
    let server = start(&database).await;
    own_passwords_are_changed(server).await;
}

/// Many changes at once with one right password: one of them holds, and the others are told that it no longer is right.
#[tokio::test]
async fn of_many_changes_at_once_one_holds() {
    let server = start("").await;
    add(&server, "alice").await;
    let laptop = token(&server, "alice").await;
    let changes = (0..4).map(|number| {
        let (server, laptop) = (&server, &laptop);
        async move {
            let password = format!("password-{number}");
            (
                change_password(server, laptop, PASSWORD, &password)
                    .await
                    .status,
                password,
            )
        }
    });
    let answers = futures_util::future::join_all(changes).await;
    let held: Vec<_> = answers
        .iter()
        .filter(|(status, _)| *status == 200)
        .collect();
    assert_eq!(held.len(), 1, "{answers:?}");
    for (status, password) in &answers {
        assert!(matches!(status, 200 | 401 | 422), "{answers:?}");
        let signed_in = sign_in(&server, "alice", password, "203.0.113.1").await;
        assert_eq!(signed_in.status == 200, *status == 200);
    }
}
