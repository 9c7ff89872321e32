//! People and scripts: the first run in a browser, users and their passwords, keys and the cookies made of them.

use futures_util::future::join_all;
use reqwest::header::SET_COOKIE;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{
    Answer, ModelServer, Options, Server, WITHOUT_LIMITS, on_postgresql, run, run_with_input,
};

fn credentials(username: &str, password: &str) -> Value {
    json!({ "username": username, "password": password })
}

/// A request as a page of the server itself sends it.
async fn from_page(server: &Server, path: &str, body: &Value) -> Response {
    let request = server.anonymous(Method::POST, path);
    let request = request.header("origin", format!("http://{}", server.address));
    request.json(body).send().await.unwrap()
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies(response: &Response) -> String {
    let lines = response.headers().get_all(SET_COOKIE).iter();
    let pairs = lines.map(|line| line.to_str().unwrap().split(';').next().unwrap());
    let kept: Vec<&str> = pairs.filter(|pair| !pair.ends_with('=')).collect();
    kept.join("; ")
}

async fn with_cookie(server: &Server, method: Method, path: &str, cookie: &str) -> Answer {
    let request = server.anonymous(method, path).header("cookie", cookie);
    // As from another machine, so that nothing but the cookie lets it in.
    let request = request.header("x-forwarded-for", "192.0.2.1");
    Answer::of(request.send().await.unwrap()).await
}

async fn with_token(server: &Server, token: &str) -> u16 {
    let request = server.anonymous(Method::GET, "/api/auth/user");
    let response = request.bearer_auth(token).send().await.unwrap();
    response.status().as_u16()
}

/// From the empty server to being signed in again.
async fn a_browser_begins(mut server: Server) {
    let status = async |server: &Server| {
        let request = server.anonymous(Method::GET, "/api/auth/status");
        Answer::of(request.send().await.unwrap()).await.ok()
    };
    assert_eq!(status(&server).await["needsSetup"], true);
    let stranger = server
        .anonymous(Method::POST, "/api/auth/register")
        .header("x-forwarded-for", "192.0.2.1")
        .json(&credentials("mallory", "secret1"));
    assert_eq!(stranger.send().await.unwrap().status(), 403);

    // Many register at once: one of them becomes the owner.
    let names: Vec<String> = (0..8).map(|number| format!("owner-{number}")).collect();
    let registrations = names.iter().map(async |name| {
        let body = credentials(name, "secret1");
        let response = from_page(&server, "/api/auth/register", &body).await;
        (name, response.status().as_u16(), response)
    });
    let answers = join_all(registrations).await;
    let refused = answers.iter().filter(|(_, status, _)| *status == 403);
    assert_eq!(refused.count(), 7);
    let (owner, _, response) = answers
        .into_iter()
        .find(|(_, status, _)| *status == 200)
        .unwrap();
    let set = response.headers()[SET_COOKIE].to_str().unwrap();
    assert!(set.starts_with("token=eyJ"), "{set}");
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Strict"),
        "{set}"
    );
    let cookie = cookies(&response);
    let me = with_cookie(&server, Method::GET, "/api/auth/user", &cookie).await;
    assert_eq!(me.ok()["user"]["username"], owner.as_str());
    assert_eq!(status(&server).await["needsSetup"], false);
    let late = credentials("late", "secret1");
    let again = from_page(&server, "/api/auth/register", &late).await;
    assert_eq!(again.status(), 403);

    // A page of another site cannot use the cookie.
    let foreign = server
        .anonymous(Method::POST, "/api/auth/logout")
        .header("cookie", &cookie)
        .header("origin", "https://evil.example")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(foreign.send().await.unwrap().status(), 403);

    // Being signed in outlives the server; the password is in none of its files.
    server.stop().await;
    for entry in std::fs::read_dir(server.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let found =
            std::fs::read(&path).is_ok_and(|bytes| bytes.windows(7).any(|part| part == b"secret1"));
        assert!(!found, "{}", path.display());
    }
    server.restart().await;
    with_cookie(&server, Method::GET, "/api/auth/user", &cookie)
        .await
        .with_status(200);
    let wrong = from_page(&server, "/api/auth/login", &credentials(owner, "secret2")).await;
    assert_eq!(wrong.status(), 401);
    let right = from_page(&server, "/api/auth/login", &credentials(owner, "secret1")).await;
    assert_eq!(right.status(), 200);
    let cookie = cookies(&right);
    let out = server
        .anonymous(Method::POST, "/api/auth/logout")
        .header("cookie", &cookie)
        .header("sec-fetch-site", "same-origin");
    let out = out.send().await.unwrap();
    assert_eq!((out.status().as_u16(), cookies(&out)), (200, String::new()));
}

#[tokio::test]
async fn a_browser_begins_with_sqlite() {
    a_browser_begins(Server::assistant().await).await;
}

#[tokio::test]
async fn a_browser_begins_with_postgresql() {
    let Some(database) = on_postgresql().await else {
        return;
    };
    let config = format!("{WITHOUT_LIMITS}{database}");
    a_browser_begins(Server::start(Options::config(config)).await).await;
}

#[tokio::test]
async fn an_operator_looks_after_users_from_the_command_line() {
    let server = Server::assistant().await;
    let folder = server.data_dir();
    let users = async |arguments: &[&str]| {
        let arguments = [&["users"], arguments].concat();
        run(folder, &arguments).await.ok()
    };
    let added = run_with_input(folder, &["users", "add", "alice"], "first-one\n").await;
    assert_eq!(added.ok(), "Added alice as member.\n");
    assert_eq!(
        users(&["add", "bot", "--role", "service"]).await,
        "Added bot as service.\n"
    );
    let none = run(folder, &["users", "add", "carol"]).await;
    assert_eq!(none.code, 1, "no password: {none:?}");
    let short = run_with_input(folder, &["users", "add", "carol"], "short").await;
    assert_eq!(short.code, 1, "{short:?}");

    let sign_in = async |password: &str| {
        let body = credentials("alice", password);
        Answer::of(from_page(&server, "/api/auth/login", &body).await).await
    };
    let token = async |password: &str| {
        let signed_in = sign_in(password).await.ok();
        signed_in["token"].as_str().unwrap().to_owned()
    };
    let first = token("first-one").await;
    assert_eq!(with_token(&server, &first).await, 200);
    users(&["role", "alice", "viewer"]).await;
    assert_eq!(with_token(&server, &first).await, 401);
    let second = token("first-one").await;
    let passwd = run_with_input(folder, &["users", "passwd", "ALICE"], "second-one").await;
    passwd.ok();
    assert_eq!(with_token(&server, &second).await, 401);
    sign_in("first-one").await.with_status(401);
    let third = token("second-one").await;
    users(&["disable", "alice"]).await;
    assert_eq!(with_token(&server, &third).await, 401);
    sign_in("second-one").await.with_status(401);
    let listed = run(folder, &["users", "list", "--json"]).await.json();
    let alice = &listed[0];
    assert_eq!(
        (&alice["username"], &alice["role"], &alice["enabled"]),
        (&json!("alice"), &json!("viewer"), &json!(false))
    );
    users(&["enable", "alice"]).await;
    assert_eq!(
        with_token(&server, &third).await,
        401,
        "old tokens stay ended"
    );
    token("second-one").await;
    let nobody = run(folder, &["users", "disable", "nobody"]).await;
    assert_eq!(nobody.code, 1, "{nobody:?}");
    for password in ["first-one", "second-one"] {
        assert!(!server.log().contains(password));
    }
}

async fn complete(server: &Server, credential: (&str, &str), model: &str) -> Answer {
    let request = server
        .anonymous(Method::POST, "/v1/chat/completions")
        .header(credential.0, credential.1)
        .header("sec-fetch-site", "same-origin")
        .json(&json!({
            "model": model,
            "messages": [{ "role": "user", "content": "ECHO one two three four five" }]
        }));
    Answer::of(request.send().await.unwrap()).await
}

/// A script gets a key that is limited in every way; neither a cookie made of it nor its successor is limited less.
#[tokio::test]
async fn a_script_uses_a_limited_key_and_nothing_gets_around_its_limits() {
    let model = ModelServer::start().await;
    let config = format!(
        "{WITHOUT_LIMITS}localhost_auth_bypass = false\n[budgets]\nmax_output_tokens = 10\n{}",
        model.settings()
    );
    let server = Server::start(Options::config(config)).await;
    let folder = server.data_dir();
    let limits = "keys create script --scopes chat,sessions --models mock/m --daily-tokens 200 \
                  --addresses 127.0.0.0/8,::1 --json";
    let arguments: Vec<&str> = limits.split_whitespace().collect();
    let made = run(folder, &arguments).await.json();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());

    let login = json!({ "token": key });
    let cookie = cookies(&from_page(&server, "/api/v1/auth/login", &login).await);
    assert!(!cookie.contains(key), "it stands for the key");
    let bearer = format!("Bearer {key}");
    for credential in [("authorization", bearer.as_str()), ("cookie", &cookie)] {
        let get = async |path: &str| {
            let request = server.anonymous(Method::GET, path);
            let request = request.header(credential.0, credential.1);
            Answer::of(request.send().await.unwrap()).await
        };
        let models = get("/v1/models").await.ok().to_string();
        assert!(models.contains("mock/m"), "{models}");
        assert!(!models.contains("builtin/assistant"), "{models}");
        get("/api/v1/sessions").await.with_status(200);
        get("/api/v1/settings").await.with_status(403);
        get("/api/v1/auth/api-keys").await.with_status(403);
        let other = complete(&server, credential, "builtin/assistant").await;
        assert_eq!(other.status, 404, "{}", other.text);
        let answered = complete(&server, credential, "mock/m").await;
        assert_eq!(answered.status, 200, "{}", answered.text);
    }
    let spent = async |credential: (&str, &str)| {
        for _ in 0..100 {
            let answer = complete(&server, credential, "mock/m").await;
            if answer.status != 200 {
                return answer.status;
            }
        }
        200
    };
    let refused = spent(("authorization", &bearer)).await;
    assert!(matches!(refused, 402 | 429), "{refused}");
    assert_eq!(
        complete(&server, ("cookie", &cookie), "mock/m")
            .await
            .status,
        refused
    );
    let rotated = run(folder, &["keys", "rotate", id, "--overlap", "60", "--json"]).await;
    let rotated = rotated.json();
    let successor = format!("Bearer {}", rotated["key"].as_str().unwrap());
    for credential in [("authorization", successor.as_str()), ("cookie", &cookie)] {
        let answer = complete(&server, credential, "mock/m").await;
        assert_eq!(answer.status, refused, "{}", answer.text);
    }
    run(folder, &["keys", "revoke", id]).await.ok();
    let ended = complete(&server, ("cookie", &cookie), "mock/m").await;
    assert_eq!(ended.status, 401);
}

#[tokio::test]
async fn the_requests_of_a_cookie_count_as_those_of_its_key() {
    let config = "[security]\nlocalhost_auth_bypass = false\n";
    let server = Server::start(Options::config(config)).await;
    let body = json!({ "name": "slow", "scopes": ["sessions"], "requests_per_minute": 4 });
    let made = server.post("/api/v1/auth/api-keys", &body).await.ok();
    let key = made["key"].as_str().unwrap();
    let login = json!({ "token": key });
    let cookie = cookies(&from_page(&server, "/api/v1/auth/login", &login).await);
    let bearer = format!("Bearer {key}");
    let mut answered = Vec::new();
    for credential in [("authorization", bearer.as_str()), ("cookie", &cookie)] {
        for _ in 0..3 {
            let request = server.anonymous(Method::GET, "/api/v1/sessions");
            let request = request.header(credential.0, credential.1);
            answered.push(request.send().await.unwrap().status().as_u16());
        }
    }
    assert_eq!(answered, [200, 200, 200, 200, 429, 429]);
}
