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
                answers_as_documented(&server, method, path, &operation["responses"]).await;
                if path.ends_with("/token/regenerate") {
                    let token = fs::read_to_string(server.data_dir().join("access_token")).unwrap();
                    token.trim().clone_into(&mut server.token);
                }
            }
        }
    }
}

async fn answers_as_documented(server: &Server, method: &str, path: &str, responses: &Value) {
    let target = path
        .replace("{id}", "known")
        .replace("{model}", "builtin/assistant");
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
    let name = format!("{method} {path}");
    let request = server.request(method, &target).json(&json!({}));
    let answer = Answer::of(request.send().await.unwrap()).await;
    let said = format!("{name}: {} {}", answer.status, answer.text);
    assert!(responses[answer.status.to_string()].is_object(), "{said}");
    assert!(answer.status < 500, "{said}");
    assert!(!answer.text.contains("ROUTE_NOT_FOUND"), "{said}");
    if !matches!(answer.status, 200 | 400 | 422) {
        assert!(is_about_the_object(&name), "{said}");
    }
}

/// Routes that answer 404 about what they are asked for, which is not there.
fn is_about_the_object(route: &str) -> bool {
    route.contains("/auth/api-keys/")
        || route.contains("/sessions/{id}")
        || route.contains("/auth/login")
}
