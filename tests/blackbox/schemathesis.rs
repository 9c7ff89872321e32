//! schemathesis tries every operation of the documents: what they allow is accepted, what they forbid is refused, and
//! answers are as they say.

use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::documents::{printed, python};
use crate::harness::{Options, Server, skipped, within, workspace};

/// The operation that makes the credential of every other request useless, where it is allowed.
const REGENERATE: &str = "/token/regenerate$";

/// What two dialects answer, each those requests that look like its own.
const SHARED: &str = "/auth/log(in|out)$";

/// A server that asks everybody for a credential, so that those are noticed that are let in without.
async fn server() -> Server {
    let config = "[security]\nrate_limit_enabled = false\nlocalhost_auth_bypass = false\n";
    Server::start(Options::config(config)).await
}

/// Runs it with these further arguments; `None` where it is not installed.
async fn tries(server: &Server, dialect: &str, token: &str, arguments: &[&str]) -> Option<String> {
    let schemathesis = python().and_then(|python| {
        let program = python.parent()?.join("schemathesis");
        program.exists().then_some(program)
    });
    let Some(schemathesis) = schemathesis else {
        skipped("no Python with schemathesis (cargo xtask setup)");
        return None;
    };
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("document.json");
    std::fs::write(&document, printed(dialect)).unwrap();
    let mut run = Command::new(schemathesis);
    run.arg("--config-file")
        .arg(workspace().join("tests/schemathesis/schemathesis.toml"))
        .arg("run")
        .arg(&document)
        .args(["--url", &server.url(""), "--no-color"])
        .args(arguments)
        // It writes a folder of its own beside where it runs.
        .current_dir(folder.path())
        .env("MAJORDOMO_TOKEN", token)
        .kill_on_drop(true);
    let output = within(Duration::from_mins(5), "schemathesis", run.output())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", server.log());
    assert!(said.contains("Test cases:"), "{said}");
    Some(said.into_owned())
}

async fn holds(dialect: &str, excluded: &str) {
    let server = server().await;
    let arguments = ["--exclude-path-regex", excluded];
    if tries(&server, dialect, &server.token, &arguments)
        .await
        .is_some()
    {
        let alive = server.get("/api/v1/version").await;
        assert_eq!(
            alive.status, 200,
            "the token has survived, so every request was let in"
        );
    }
}

#[tokio::test]
async fn pocketpaw() {
    holds("pocketpaw", REGENERATE).await;
}

/// An API key may not regenerate the token, so it is still good for the next request.
#[tokio::test]
async fn pocketpaw_regenerate_token() {
    let server = server().await;
    let key = json!({ "name": "schemathesis", "scopes": ["admin"] });
    let key = server.post("/api/v1/auth/api-keys", &key).await.ok();
    let key = key["key"].as_str().unwrap();
    tries(
        &server,
        "pocketpaw",
        key,
        &["--include-path-regex", REGENERATE],
    )
    .await;
}

#[tokio::test]
async fn pisovereign() {
    holds("pisovereign", REGENERATE).await;
}

#[tokio::test]
async fn openai() {
    holds("openai", REGENERATE).await;
}

#[tokio::test]
async fn pixcode() {
    holds("pixcode", SHARED).await;
}
