//! The official OpenAI packages for Python and Node, against this server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::documents::python;
use crate::harness::{ModelServer, Options, Server, WITHOUT_LIMITS, skipped, within, workspace};

async fn passes(mut script: Command) {
    let model = ModelServer::start().await;
    let config = format!("{WITHOUT_LIMITS}{}", model.settings_with_embedder());
    let server = Server::start(Options::config(config)).await;
    script
        .env("OPENAI_BASE_URL", server.url("/v1"))
        .env("OPENAI_API_KEY", &server.token)
        .env("MAJORDOMO_TEST_MODELS", "mock/m")
        .env("MAJORDOMO_TEST_EMBEDDERS", "mock/m,translated/m")
        .kill_on_drop(true);
    let output = within(Duration::from_mins(2), "the script", script.output())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.lines().filter(|line| line.starts_with("ok ")).count() >= 8,
        "{said}"
    );
}

#[tokio::test]
async fn the_python_package() {
    let Some(python) = python() else {
        skipped("no Python with the openai package (cargo xtask setup)");
        return;
    };
    let mut script = Command::new(python);
    script.arg(workspace().join("tests/sdk/python_openai.py"));
    passes(script).await;
}

#[tokio::test]
async fn the_node_package() {
    let named = std::env::var_os("MAJORDOMO_TEST_NODE_MODULES").map(PathBuf::from);
    let modules = named.unwrap_or_else(|| workspace().join("target/test-tools/node/node_modules"));
    if !modules.join("openai").exists() || !Path::new("/usr/bin/node").exists() {
        skipped("no Node with the openai package (cargo xtask setup)");
        return;
    }
    let mut script = Command::new("node");
    script
        .arg(workspace().join("tests/sdk/node_openai.mjs"))
        .env("MAJORDOMO_TEST_NODE_MODULES", modules);
    passes(script).await;
}
