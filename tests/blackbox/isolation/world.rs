//! A server with several users, one of whom owns objects that hold a canary.

use reqwest::Method;
use serde_json::{Value, json};

use super::operations::{AUTHORIZE_QUERY, Operation};
use crate::harness::{Answer, Options, Server};

/// A word of every text of the owner, which others may search for.
pub(crate) const WORD: &str = "zebrafinch";

/// The owner's secret, in every text beside [`WORD`]: whoever reads it has read the owner's data.
pub(crate) const CANARY: &str = "kq7canary";

/// What a request may name.
pub(crate) const KINDS: [&str; 8] = [
    "session", "run", "key", "grant", "user", "memory", "model", "date",
];

/// Ids of one object of each kind.
#[derive(Debug, Clone)]
pub(crate) struct Ids(Vec<(&'static str, String)>);

impl Ids {
    /// Ids that look right and name nothing.
    pub(crate) fn of_nothing() -> Self {
        Self(vec![
            ("session", "no-such-session".to_owned()),
            ("run", "01a1fe00-0000-7000-8000-000000000000".to_owned()),
            ("key", "01a1fe00-0000-7000-8000-000000000001".to_owned()),
            ("grant", "0123456789abcdef0123456789abcdef".to_owned()),
            ("user", "01a1fe00-0000-7000-8000-000000000002".to_owned()),
            ("memory", "01a1fe00-0000-7000-8000-000000000003".to_owned()),
            ("model", "no-such-model".to_owned()),
            ("date", "2001-01-01".to_owned()),
        ])
    }

    fn get(&self, kind: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == kind);
        &found.unwrap_or_else(|| panic!("no id of a {kind}")).1
    }

    /// The ids that belong to their owner alone.
    pub(crate) fn private(&self) -> impl Iterator<Item = &str> {
        let private = self
            .0
            .iter()
            .filter(|(kind, _)| !matches!(*kind, "model" | "date"));
        private.map(|(_, id)| id.as_str())
    }

    /// `text` with these ids in the place of `{kind}`.
    fn fill(&self, text: &str) -> String {
        let filled = text.replace("{word}", WORD);
        self.0.iter().fold(filled, |text, (kind, id)| {
            text.replace(&format!("{{{kind}}}"), id)
        })
    }

    /// Path and query of an operation.
    pub(crate) fn target(&self, operation: &Operation) -> String {
        let (_, path) = operation.parts();
        let mut names = operation.names.iter();
        let segments: Vec<String> = path
            .split('/')
            .map(|segment| {
                if segment.starts_with('{') {
                    let kind = names
                        .next()
                        .unwrap_or_else(|| panic!("{}: say what {segment} names", operation.route));
                    self.get(kind).to_owned()
                } else {
                    segment.to_owned()
                }
            })
            .collect();
        let path = segments.join("/");
        match operation.query {
            "" => path,
            query => format!("{path}?{}", self.fill(query)),
        }
    }

    /// The body of an operation.
    pub(crate) fn body(&self, operation: &Operation) -> Option<Value> {
        let body = operation.body;
        (!body.is_empty()).then(|| serde_json::from_str(&self.fill(body)).unwrap())
    }
}

/// Keys of the settings, each of a user of its own.
pub(crate) const BOB: &str = "sk-bob-0123456789abcdef";

/// A server on which nobody is let in without a credential, with the settings of its database.
pub(crate) async fn start(database: &str) -> Server {
    Server::start(Options::config(format!(
        "{database}[security]\nrate_limit_enabled = false\nlocalhost_auth_bypass = false\n\
         [security.api_key_users]\n\"{BOB}\" = \"3f0e8a6e-43a5-4a5e-9d6f-1f2d3c4b5a69\"\n"
    )))
    .await
}

/// Objects of the operator, of every kind, all with the canary.
pub(crate) async fn seed(server: &Server) -> Ids {
    let text = format!("{WORD} {CANARY}");
    let session = "owners-session";
    let said = json!({ "content": text, "session_id": session });
    let events = server
        .stream("/api/v1/chat/stream", &said)
        .await
        .rest()
        .await;
    let last = events.last().unwrap().id.clone().unwrap();
    let (run, _) = last.rsplit_once('.').unwrap();
    let title = json!({ "title": text });
    let path = format!("/api/v1/sessions/{session}/title");
    server.post(&path, &title).await.with_status(200);
    let key = json!({ "name": text, "scopes": ["chat"] });
    let key = server.post("/api/v1/auth/api-keys", &key).await.ok();
    let user = json!({ "username": "zoe", "password": "correct horse" });
    let user = server.post("/api/v1/users", &user).await.ok();
    let memory = json!({ "content": text, "summary": text, "tags": [CANARY] });
    let memory = server.post("/v1/memories", &memory).await.with_status(201);
    Ids(vec![
        ("memory", memory.json()["id"].as_str().unwrap().to_owned()),
        ("session", session.to_owned()),
        ("run", run.to_owned()),
        ("key", key["id"].as_str().unwrap().to_owned()),
        ("grant", grant(server).await),
        ("user", user["id"].as_str().unwrap().to_owned()),
        ("model", "no-such-model".to_owned()),
        ("date", "2001-01-01".to_owned()),
    ])
}

/// The operator's leave for an app to act for them, given in person; its id.
async fn grant(server: &Server) -> String {
    let person = json!({ "username": "operator", "password": "correct horse" });
    let person = server.post("/api/auth/register", &person).await.ok();
    let login = person["token"].as_str().unwrap();
    let path = format!("/api/v1/oauth/authorize?{AUTHORIZE_QUERY}");
    let page = server.anonymous(Method::GET, &path).bearer_auth(login);
    let page = Answer::of(page.send().await.unwrap())
        .await
        .with_status(200);
    let (_, rest) = page
        .text
        .split_once("name=\"consent_token\" value=\"")
        .unwrap();
    let token = rest.split('"').next().unwrap();
    let answer = server
        .anonymous(Method::POST, "/api/v1/oauth/authorize/consent")
        .bearer_auth(login)
        .header("origin", format!("http://{}", server.address))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!(
            "{AUTHORIZE_QUERY}&consent_token={token}&action=allow"
        ))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 302);
    let grants = server.get("/api/v1/oauth/grants").await.ok();
    grants[0]["id"].as_str().unwrap().to_owned()
}

/// What the operator has, to see that nobody has changed it.
pub(crate) async fn belongings(server: &Server) -> String {
    let mut all = String::new();
    for path in [
        "/api/v1/sessions",
        "/api/v1/sessions/owners-session/history",
        "/api/v1/auth/api-keys",
        "/api/v1/oauth/grants",
        "/api/v1/identity",
        "/api/v1/budgets",
        "/api/v1/users",
        "/v1/memories",
        "/api/v1/memory/settings",
    ] {
        all += &server.get(path).await.with_status(200).text;
    }
    assert!(all.contains(CANARY), "the canary is not where it belongs");
    all
}

/// An API key of the operator with these scopes.
pub(crate) async fn key_with(server: &Server, scopes: &[&str]) -> String {
    let key = json!({ "name": "scoped", "scopes": scopes });
    let key = server.post("/api/v1/auth/api-keys", &key).await.ok();
    key["key"].as_str().unwrap().to_owned()
}

/// A login of a user who may only look.
pub(crate) async fn viewer(server: &Server) -> String {
    let person = json!({ "username": "looker", "password": "correct horse" });
    let mut account = person.clone();
    account["role"] = json!("viewer");
    server.post("/api/v1/users", &account).await.ok();
    let signed_in = server.post("/api/auth/login", &person).await.ok();
    signed_in["token"].as_str().unwrap().to_owned()
}

/// The method of an operation.
pub(crate) fn method(operation: &Operation) -> Method {
    operation.parts().0.parse().unwrap()
}
