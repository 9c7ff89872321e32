//! Settings that are changed while the server runs, and where their secrets may and may not be seen.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ModelServer, Options, Server, WITHOUT_LIMITS, run};

/// Secrets of every kind, each easily told from anything else.
const IN_CONFIG: &str = "sk-canary-in-config-7f3a91c2d4e5";
const OVER_API: &str = "sk-canary-over-api-1b2c3d4e5f60";
const OF_CHANNEL: &str = "123456:canary-of-channel-9a8b7c6d";
const PASSWORD: &str = "canary-password-5d6e7f8091a2";
const REFUSED: &str = "sk-canary-refused-0c1d2e3f4a5b";

async fn put(server: &Server, body: &Value) -> Value {
    let answer = server.request(Method::PUT, "/api/v1/settings").json(body);
    server.answer(answer).await.ok()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|window| window == secret.as_bytes())
}
