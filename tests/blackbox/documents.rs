//! The OpenAPI documents: as committed, as served, valid, and true.
//!
//! `UPDATE_GOLDEN=1` writes the committed documents anew.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Server, binary, skipped, workspace};

pub(crate) const DIALECTS: [&str; 4] = ["openai", "pisovereign", "pixcode", "pocketpaw"];

/// The document that the program prints.
pub(crate) fn printed(dialect: &str) -> String {
    let output = Command::new(binary())
        .args(["openapi", "--dialect", dialect])
        .env_clear()
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn committed(dialect: &str) -> PathBuf {
    workspace().join(format!("docs/api/{dialect}.openapi.json"))
}

#[test]
fn the_committed_documents_are_those_of_the_program() {
    for dialect in DIALECTS {
        let document = printed(dialect);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(committed(dialect).parent().unwrap()).unwrap();
            fs::write(committed(dialect), &document).unwrap();
        }
        let known = fs::read_to_string(committed(dialect)).unwrap_or_default();
        let same = known == document;
        assert!(
            same,
            "docs/api/{dialect}.openapi.json differs: run with UPDATE_GOLDEN=1 and look at the difference"
        );
    }
}

#[test]
fn the_documents_are_valid_openapi_3_1() {
    let Some(python) = python() else {
        skipped("no Python with openapi-spec-validator (cargo xtask setup)");
        return;
    };
    for dialect in DIALECTS {
        let document: Value = serde_json::from_str(&printed(dialect)).unwrap();
        assert!(
            document["openapi"].as_str().unwrap().starts_with("3.1."),
            "{dialect}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), document.to_string()).unwrap();
        let output = Command::new(&python)
            .args(["-m", "openapi_spec_validator"])
            .arg(file.path())
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{dialect}: {said}");
    }
}

/// The interpreter that has the packages the tests use.
pub(crate) fn python() -> Option<PathBuf> {
    let named = std::env::var_os("MAJORDOMO_TEST_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| workspace().join("target/test-tools/python/bin/python"));
    python.exists().then_some(python)
}

#[tokio::test]
async fn the_served_documents_are_the_printed_ones() {
    let server = Server::assistant().await;
    for (dialect, path) in [
        ("pocketpaw", "/api/v1/openapi.json"),
        ("pisovereign", "/api-docs/openapi.json"),
    ] {
        let served = Answer::of(server.anonymous(Method::GET, path).send().await.unwrap())
            .await
            .ok();
        assert_eq!(
            served,
            serde_json::from_str::<Value>(&printed(dialect)).unwrap(),
            "{dialect}"
        );
    }
}

/// Every documented route reaches a handler of its own, and answers with a status that the document names.
#[tokio::test]
async fn every_documented_route_answers_as_documented() {
    let mut server = Server::assistant().await;
    let body = json!({ "message": "hello", "conversation_id": "known" });
    server.post("/v1/chat", &body).await.ok();
    for dialect in DIALECTS {
        let document: Value = serde_json::from_str(&printed(dialect)).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            let operations = operations.as_object().unwrap().iter();
            for (method, operation) in operations.filter(|(_, one)| one["responses"].is_object()) {
                let body = body_for(dialect, path);
                answers_as_documented(&server, method, path, &body, &operation["responses"]).await;
                if path.ends_with("/token/regenerate") {
                    let token = fs::read_to_string(server.data_dir().join("access_token")).unwrap();
                    token.trim().clone_into(&mut server.token);
                }
            }
        }
    }
}

/// An empty body, except where two dialects share a path: what it says there tells whose request it is.
fn body_for(dialect: &str, path: &str) -> Value {
    match (dialect, path) {
        ("pixcode", "/api/auth/login") => json!({ "username": "nobody", "password": "secret1" }),
        _ => json!({}),
    }
}

async fn answers_as_documented(
    server: &Server,
    method: &str,
    path: &str,
    body: &Value,
    responses: &Value,
) {
    let target = path
        .replace("{id}", "known")
        .replace("{model}", "builtin/assistant");
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
    let name = format!("{method} {path}");
    let request = server.request(method, &target).json(body);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    // A stream may have no end.
    let kind = response.headers().get("content-type");
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let text = if is_stream {
        String::new()
    } else {
        response.text().await.unwrap()
    };
    let said = format!("{name}: {status} {text}");
    assert!(responses[status.to_string()].is_object(), "{said}");
    assert!(status < 500, "{said}");
    assert!(!text.contains("ROUTE_NOT_FOUND"), "{said}");
    if !matches!(status, 200 | 400 | 422) {
        assert!(is_about_the_request(&name), "{said}");
    }
}

/// Routes that refuse the credential they are asked with, or answer 404 about what they are asked for, which is not
/// there.
fn is_about_the_request(route: &str) -> bool {
    let parts = [
        "/api-keys/{id}",
        "/memories/{id}",
        "/long_term/{id}",
        "/grants/{id}",
        "/reports/{date}",
        "/sessions/{id}",
        "/auth/login",
        "/auth/register",
        "/oauth/register",
        "DELETE /api/v1/budgets",
    ];
    parts.iter().any(|part| route.contains(part))
}
