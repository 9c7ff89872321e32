//! The audit log of a whole server: what stands in it after everything that matters was done, what a flood leaves, what
//! archiving keeps, and whether somebody who changes the database is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use majordomo_infrastructure_system::is_audit_archive;
use majordomo_testkit::postgres::PostgresCluster;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Finished, ModelServer, Options, PATIENCE, Server, WITHOUT_LIMITS, let_app_in,
    on_postgresql, run, within,
};

/// A place where a server is set up, so that commands can be run beside it.
struct Place {
    server: Server,
    config: tempfile::NamedTempFile,
}

impl Place {
    async fn start(database: &str) -> Self {
        let config = tempfile::NamedTempFile::new().unwrap();
        let text = format!("{WITHOUT_LIMITS}[oauth]\ndynamic_registration = true\n{database}");
        fs::write(config.path(), &text).unwrap();
        let server = Server::start(Options::config(text)).await;
        Self { server, config }
    }

    async fn run(&self, arguments: &[&str]) -> Finished {
        let mut all = arguments.to_vec();
        all.extend(["--config", self.config.path().to_str().unwrap()]);
        run(self.server.data_dir(), &all).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.server.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        Answer::of(request.send().await.unwrap()).await
    }

    /// How often each act stands in the log, newest entries first; refusals come with the next few seconds.
    async fn acts(&self) -> BTreeMap<String, u64> {
        let listed = self
            .run(&["audit", "list", "--limit", "1000", "--json"])
            .await
            .json();
        let mut acts = BTreeMap::new();
        for entry in listed.as_array().unwrap() {
            let action = entry["action"].as_str().unwrap().to_owned();
            *acts.entry(action).or_default() += entry["count"].as_u64().unwrap();
        }
        acts
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
        .to_owned()
}

/// Makes, uses, changes and ends keys of both dialects.
async fn keys(place: &Place) {
    let body = json!({ "name": "script", "scopes": ["chat"] });
    let made = place
        .send(Method::POST, "/api/v1/auth/api-keys", Some(&body))
        .await
        .ok();
    let path = format!("/api/v1/auth/api-keys/{}", text(&made, "id"));
    let scoped = place.server.anonymous(Method::GET, "/api/v1/settings");
    let refused = scoped.bearer_auth(text(&made, "key")).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    let rotated = place
        .send(Method::POST, &format!("{path}/rotate"), None)
        .await
        .ok();
    let path = format!("/api/v1/auth/api-keys/{}", text(&rotated, "id"));
    place.send(Method::DELETE, &path, None).await.ok();
    let body = json!({ "keyName": "script" });
    let made = place
        .send(Method::POST, "/api/settings/api-keys", Some(&body))
        .await;
    assert!(made.status < 300, "{made:?}");
    let listed = place
        .send(Method::GET, "/api/settings/api-keys", None)
        .await
        .ok();
    let id = listed["apiKeys"][0]["id"].clone();
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let toggle = format!("/api/settings/api-keys/{id}/toggle");
    for active in [false, true] {
        let body = json!({ "isActive": active });
        place.send(Method::PATCH, &toggle, Some(&body)).await.ok();
    }
}

/// Signs in with a password, rightly and wrongly, and with the token.
async fn logins(place: &Place) {
    let body = json!({ "username": "alice", "password": "canary-password" });
    place
        .send(Method::POST, "/api/auth/register", Some(&body))
        .await
        .ok();
    let login = place.server.anonymous(Method::POST, "/api/auth/login");
    Answer::of(login.json(&body).send().await.unwrap())
        .await
        .ok();
    let wrong = json!({ "username": "alice", "password": "wrong-password" });
    let login = place.server.anonymous(Method::POST, "/api/auth/login");
    let refused = login.json(&wrong).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    place
        .send(Method::POST, "/api/v1/auth/session", None)
        .await
        .ok();
    let stranger = place.server.anonymous(Method::GET, "/api/v1/sessions");
    let refused = stranger.bearer_auth("nobodys-token").send().await.unwrap();
    assert_eq!(refused.status(), 401);
}

/// Signs out on both doors, and makes a code for another device.
async fn logouts(place: &Place) {
    for path in ["/api/v1/auth/logout", "/api/auth/logout"] {
        place.send(Method::POST, path, None).await.ok();
    }
    let code = place.send(Method::GET, "/api/v1/qr", None).await;
    code.with_status(200);
}

/// Says something, exports it, clears it and deletes it.
async fn sessions(place: &Place) {
    let body = json!({ "content": "hello", "session_id": "s" });
    place
        .send(Method::POST, "/api/v1/chat", Some(&body))
        .await
        .ok();
    place
        .send(Method::GET, "/api/v1/sessions/s/export?format=json", None)
        .await
        .ok();
    let clear = json!({ "content": "/clear", "session_id": "s" });
    place
        .send(Method::POST, "/api/v1/chat", Some(&clear))
        .await
        .ok();
    place
        .send(Method::DELETE, "/api/v1/sessions/s", None)
        .await
        .ok();
}

/// Changes settings, who the agent is, preferences, budgets and the ledger.
async fn settings(place: &Place) {
    for (path, body) in [
        ("/api/v1/settings", json!({ "temperature": 0.5 })),
        ("/api/v1/identity", json!({ "soul_file": "kind" })),
        (
            "/api/settings/notification-preferences",
            json!({ "channels": { "webPush": true } }),
        ),
        (
            "/api/v1/budgets",
            json!({ "subject": "user:operator", "period": "day", "max_tokens": 1_000_000 }),
        ),
    ] {
        let answer = place.send(Method::PUT, path, Some(&body)).await;
        assert!(answer.status < 300, "{path}: {answer:?}");
    }
    place
        .send(Method::DELETE, "/api/v1/metrics/usage", None)
        .await
        .ok();
    place
        .send(Method::POST, "/api/v1/self-audit/run", None)
        .await
        .ok();
    place
        .send(Method::DELETE, "/api/v1/health/errors", None)
        .await
        .ok();
}

/// Lets an app in, renews its tokens and ends its access.
async fn apps(place: &Place) {
    const TOKENS: &str = "/api/v1/oauth/token";

    let exchange = let_app_in(&place.server).await;
    let made = place.server.post(TOKENS, &exchange).await.ok();
    let refresh = json!({ "grant_type": "refresh_token", "refresh_token": made["refresh_token"] });
    let made = place.server.post(TOKENS, &refresh).await.ok();
    let token = json!({ "token": made["access_token"] });
    place.server.post("/api/v1/oauth/revoke", &token).await.ok();
    let app = json!({ "client_name": "App", "redirect_uris": ["http://127.0.0.1/back"] });
    let made = place.server.post("/api/v1/oauth/register", &app).await;
    assert!(made.status < 300, "{made:?}");
}

/// Adds a user, changes all that can be changed of them, and shuts them out.
async fn people(place: &Place) {
    let body = json!({ "username": "bob", "password": "bobs-password", "role": "member" });
    let added = place.send(Method::POST, "/api/v1/users", Some(&body)).await;
    assert!(added.status < 300, "{added:?}");
    let path = format!("/api/v1/users/{}", text(&added.json(), "id"));
    for (what, body) in [
        ("role", json!({ "role": "viewer" })),
        ("password", json!({ "password": "another-password" })),
        ("enabled", json!({ "enabled": false })),
        ("enabled", json!({ "enabled": true })),
    ] {
        let path = format!("{path}/{what}");
        let changed = place.send(Method::PUT, &path, Some(&body)).await;
        assert!(changed.status < 300, "{body}: {changed:?}");
    }
}

/// Everything that is done over the wire and by the command line, and its entry.
async fn everything_is_recorded(mut place: Place) {
    logins(&place).await;
    keys(&place).await;
    apps(&place).await;
    people(&place).await;
    sessions(&place).await;
    settings(&place).await;
    logouts(&place).await;
    let file = place.config.path().with_extension("backup");
    let file = file.to_str().unwrap();
    place.run(&["backup", file]).await.ok();
    place
        .server
        .post("/api/v1/token/regenerate", &json!({}))
        .await
        .ok();
    place.server.stop().await;
    place.run(&["secrets", "rotate"]).await.ok();

    let acts = place.acts().await;
    for action in [
        "api_key.create",
        "api_key.disable",
        "api_key.enable",
        "api_key.revoke",
        "api_key.rotate",
        "backup.create",
        "budget.set",
        "credential.refuse",
        "errors.clear",
        "identity.update",
        "login.end",
        "login.refuse",
        "login.success",
        "oauth.consent",
        "oauth.refresh",
        "oauth.register",
        "oauth.revoke",
        "oauth.token",
        "pairing.create",
        "scope.deny",
        "secrets.rotate",
        "self_audit.run",
        "session.clear",
        "session.delete",
        "session.export",
        "settings.update",
        "token.regenerate",
        "usage.clear",
        "user.add",
        "user.disable",
        "user.enable",
        "user.password",
        "user.register",
        "user.role",
    ] {
        assert!(
            acts.contains_key(action),
            "{action} is missing in {acts:#?}"
        );
    }
    place.run(&["audit", "verify"]).await.ok();
    let exported = place.run(&["audit", "export"]).await.ok();
    for secret in [
        "canary-password",
        "wrong-password",
        "nobodys-token",
        &place.server.token,
    ] {
        assert!(!exported.contains(secret), "{secret} is in the log");
    }
    // The restored log goes on from what it was, with where the replaced one had ended.
    place.run(&["restore", file, "--replace"]).await.ok();
    fs::remove_file(file).unwrap();
    let restored = place.acts().await;
    assert_eq!(restored.get("backup.restore"), Some(&1), "{restored:#?}");
    assert!(!restored.contains_key("token.regenerate"), "{restored:#?}");
    place.run(&["audit", "verify"]).await.ok();
}

#[tokio::test]
async fn everything_that_matters_is_recorded_on_sqlite() {
    everything_is_recorded(Place::start("").await).await;
}

#[tokio::test]
async fn everything_that_matters_is_recorded_on_postgresql() {
    let Some(database) = on_postgresql().await else {
        return;
    };
    everything_is_recorded(Place::start(&database).await).await;
}

/// Whoever tries credentials without end leaves a few entries with counts, not an entry for each try.
#[tokio::test]
async fn a_flood_of_refusals_leaves_a_few_entries() {
    const TRIES: u64 = 400;

    let mut place = Place::start("").await;
    for number in 0..TRIES {
        let path = if number % 2 == 0 {
            "/api/v1/sessions"
        } else {
            "/v1/models"
        };
        let stranger = place.server.anonymous(Method::GET, path);
        let token = format!("sk-guess-{number}");
        assert_eq!(
            stranger.bearer_auth(token).send().await.unwrap().status(),
            401
        );
    }
    place.server.stop().await;
    let listed = place
        .run(&["audit", "list", "--limit", "1000", "--json"])
        .await
        .json();
    let refused: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["action"] == "credential.refuse")
        .collect();
    assert!(refused.len() <= 4, "{refused:#?}");
    let counted: u64 = refused
        .iter()
        .map(|entry| entry["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, TRIES);
}

/// The names of the archives in a data folder.
fn archives(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| is_audit_archive(name))
        .collect()
}

/// Both routes archive, and archives and database are one chain, in which any change is found.
#[tokio::test]
async fn archives_and_database_stay_one_chain() {
    let mut place = Place::start("").await;
    for path in ["/api/v1/audit", "/api/audit"] {
        settings(&place).await;
        let archived = place.send(Method::DELETE, path, None).await.ok();
        assert_eq!(archived["ok"], true);
        assert!(Path::new(&text(&archived, "archived_to")).is_file());
    }
    let left = place.send(Method::GET, "/api/v1/audit", None).await.ok();
    assert_eq!(left[0]["action"], "audit_log_rotated");
    place.server.stop().await;
    place.run(&["audit", "verify"]).await.ok();
    let names = archives(place.server.data_dir());
    assert_eq!(names.len(), 2);
    let path = place.server.data_dir().join(&names[0]);
    let whole = fs::read_to_string(&path).unwrap();
    for broken in [
        whole.replacen("\"outcome\":\"success\"", "\"outcome\":\"denied\"", 1),
        whole.split_once('\n').unwrap().1.to_owned(),
        whole
            .lines()
            .rev()
            .skip(1)
            .fold(String::new(), |text, line| format!("{line}\n{text}")),
    ] {
        assert_ne!(broken, whole);
        fs::write(&path, broken).unwrap();
        let found = place.run(&["audit", "verify", "--json"]).await;
        assert_eq!(found.code, 1, "{found:?}");
    }
    fs::write(&path, whole).unwrap();
    place.run(&["audit", "verify"]).await.ok();
}

/// Somebody writes to the database: `audit verify` says so by its exit code, and so does the server's own report.
#[tokio::test]
async fn tampering_is_told_by_the_exit_code_and_the_report() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let url = cluster.database().await;
    let place = Place::start(&format!("[database]\nurl = \"{url}\"\n")).await;
    settings(&place).await;
    place.run(&["audit", "verify"]).await.ok();
    let client = cluster.client(url.rsplit('/').next().unwrap()).await;
    let tricks = [
        (
            "UPDATE audit_entries SET actor = 'mallory' WHERE seq = 1",
            "entry 1",
        ),
        ("DELETE FROM audit_entries WHERE seq = 2", "entry 2"),
        (
            "UPDATE audit_chain SET last_seq = last_seq + 1",
            "last entry",
        ),
    ];
    for (trick, told) in tricks {
        client.batch_execute("CREATE TABLE kept AS SELECT * FROM audit_entries; CREATE TABLE kept_chain AS SELECT * FROM audit_chain").await.unwrap();
        client.batch_execute(trick).await.unwrap();
        let found = within(PATIENCE, "verify", place.run(&["audit", "verify"])).await;
        assert!(
            found.code == 1 && found.stdout.contains(told),
            "{trick}: {found:?}"
        );
        let report = place
            .send(Method::POST, "/api/v1/security-audit", None)
            .await
            .ok();
        let results = report["results"].as_array().unwrap();
        let check = results
            .iter()
            .find(|result| result["check"] == "Audit log")
            .unwrap();
        assert_eq!(check["passed"], false, "{trick}: {check}");
        client.batch_execute("DELETE FROM audit_entries; INSERT INTO audit_entries SELECT * FROM kept; DELETE FROM audit_chain; INSERT INTO audit_chain SELECT * FROM kept_chain; DROP TABLE kept, kept_chain").await.unwrap();
        place.run(&["audit", "verify"]).await.ok();
    }
}

/// What the agent does by its tools is recorded with the act: who asked it to, in which session, to which memory.
async fn calls_of_tools_are_recorded(database: &str) {
    let model = ModelServer::start().await;
    let place = Place::start(&format!("{database}{}", model.settings())).await;
    let say = async |text: &str| {
        let body = json!({ "message": text, "conversation_id": "talk" });
        place.server.post("/v1/chat", &body).await.ok()
    };
    say(r#"CALL remember {"content":"the canary sings at dawn"}"#).await;
    say(r#"CALL recall {"query":"canary"}"#).await;
    let memories = place.server.get("/v1/memories").await.ok();
    let id = text(&memories[0], "id");
    let forget = format!("CALL forget {}", json!({ "id": id }));
    say(&forget).await;
    say(&forget).await;
    let listed = place
        .run(&["audit", "list", "--action", "tool.call", "--json"])
        .await
        .json();
    let calls: Vec<(&Value, &Value, &Value)> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["target"], &entry["details"], &entry["actor"]))
        .collect();
    let details = json!({ "memory": id, "session": "talk" });
    let operator = json!("operator");
    let (remember, forget) = (json!("tool:remember"), json!("tool:forget"));
    assert_eq!(
        calls,
        [
            (&forget, &details, &operator),
            (&remember, &details, &operator)
        ]
    );
    assert!(!listed.to_string().contains("canary"), "{listed}");
    place.run(&["audit", "verify"]).await.ok();
}

#[tokio::test]
async fn calls_of_tools_are_recorded_on_sqlite() {
    calls_of_tools_are_recorded("").await;
}

#[tokio::test]
async fn calls_of_tools_are_recorded_on_postgresql() {
    let Some(database) = on_postgresql().await else {
        return;
    };
    calls_of_tools_are_recorded(&database).await;
}
