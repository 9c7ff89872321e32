//! A server of its own for a measurement.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

const START: Duration = Duration::from_secs(30);
/// How long all memories may take to be embedded.
const EMBEDDING: Duration = Duration::from_mins(30);

/// A server that ends with this.
pub(crate) struct Server {
    process: Child,
    url: String,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn key(user: usize) -> String {
    format!("sk-memory-bench-{user:04}")
}

impl Server {
    /// Starts one on a folder, with keys for so many users and these settings besides.
    pub(crate) async fn start(program: &Path, data: &Path, users: usize, settings: &str) -> Self {
        let mut config = format!(
            "{settings}\n[security]\nrate_limit_enabled = false\n[security.api_key_users]\n"
        );
        for user in 0..users {
            config += &format!(
                "\"{}\" = \"00000000-0000-4000-8000-{user:012}\"\n",
                key(user)
            );
        }
        std::fs::write(data.join("config.toml"), config).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(program)
            .arg("--data-dir")
            .arg(data)
            .args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The client needs a provider of cryptography even where it speaks plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            client: Client::builder()
                .timeout(Duration::from_mins(1))
                .build()
                .unwrap(),
        };
        let begun = Instant::now();
        while server
            .client
            .get(format!("{}/health", server.url))
            .send()
            .await
            .is_err()
        {
            assert!(begun.elapsed() < START, "the server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    /// Stores memories; their ids.
    pub(crate) async fn import(&self, user: usize, memories: &[Value]) -> Vec<String> {
        let request = self.client.post(format!("{}/v1/memories/import", self.url));
        let request = request
            .bearer_auth(key(user))
            .json(&json!({ "memories": memories }));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        let answer: Value = answer.json().await.unwrap();
        let ids = answer["ids"].as_array().unwrap();
        ids.iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until so many memories of a user have a vector.
    pub(crate) async fn embed_all(&self, user: usize, memories: usize) {
        let begun = Instant::now();
        loop {
            let request = self.client.get(format!("{}/v1/memories/stats", self.url));
            let answer = request.bearer_auth(key(user)).send().await.unwrap();
            let stats: Value = answer.json().await.unwrap();
            if stats["embedding"]["memories"] == memories {
                return;
            }
            assert!(begun.elapsed() < EMBEDDING, "not embedded in time: {stats}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The ids of what a question finds, and how long that took.
    pub(crate) async fn search(
        &self,
        user: usize,
        question: &str,
        hits: usize,
    ) -> (Vec<String>, Duration) {
        let begun = Instant::now();
        let words: String = question
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        let url = format!("{}/v1/memories/search?limit={hits}&q={words}", self.url);
        let request = self.client.get(url);
        let answer = request.bearer_auth(key(user)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let hits: Value = answer.json().await.unwrap();
        let took = begun.elapsed();
        let hits = hits.as_array().unwrap().iter();
        (
            hits.map(|hit| hit["id"].as_str().unwrap().to_owned())
                .collect(),
            took,
        )
    }
}
