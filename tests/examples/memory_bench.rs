//! Measures how well memory recalls: loads a `LoCoMo` file into a fresh server through the public API, one user for each
//! conversation and one memory for each turn, asks every question and compares with the evidence turns.
//!
//! `memory_bench SERVER FILE`; `cargo xtask bench memory --data FILE` builds the server and runs it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "a measurement that goes wrong ends with its cause"
)]

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use reqwest::Client;
use serde_json::{Value, json};

/// Hits asked for: enough that ten sessions are among them.
const HITS: usize = 100;
/// Memories stored with one request.
const BATCH: usize = 1_000;
const START: Duration = Duration::from_secs(30);

/// A server that ends with this.
struct Server {
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
    async fn start(program: &Path, data: &Path, users: usize) -> Self {
        let mut config =
            String::from("[security]\nrate_limit_enabled = false\n[security.api_key_users]\n");
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

    async fn import(&self, user: usize, memories: &[Value]) -> Vec<String> {
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

    async fn search(&self, user: usize, question: &str) -> (Vec<String>, Duration) {
        let begun = Instant::now();
        let words: String = question
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        let url = format!("{}/v1/memories/search?limit={HITS}&q={words}", self.url);
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

/// A conversation as memories, the name and session of each, and its questions.
struct Conversation {
    memories: Vec<Value>,
    turns: Vec<(String, usize)>,
    questions: Vec<(String, Vec<String>)>,
}

/// `1:56 pm on 8 May, 2023`
fn time(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%I:%M %P on %d %B, %Y").unwrap()
}

fn conversation(entry: &Value) -> Conversation {
    let (mut memories, mut turns) = (Vec::new(), Vec::new());
    for number in 1.. {
        let session = &entry["conversation"][format!("session_{number}")];
        let Some(said) = session.as_array() else {
            break;
        };
        let begun = entry["conversation"][format!("session_{number}_date_time")].as_str();
        let begun = time(begun.unwrap());
        for (place, turn) in said.iter().enumerate() {
            let text = |name: &str| turn[name].as_str().unwrap_or_default();
            let mut content = format!("{}: {}", text("speaker"), text("text"));
            if !text("blip_caption").is_empty() {
                content += &format!(" [image: {}]", text("blip_caption"));
            }
            let at = begun + Duration::from_secs(u64::try_from(place).unwrap());
            memories.push(json!({
                "content": content,
                "conversation_id": format!("session-{number}"),
                "created_at": at.and_utc().to_rfc3339(),
            }));
            turns.push((text("dia_id").to_owned(), number));
        }
    }
    let questions = entry["qa"].as_array().unwrap().iter();
    let questions = questions.map(|question| {
        let evidence = question["evidence"].as_array().into_iter().flatten();
        let named = evidence.flat_map(|text| {
            let text = text.as_str().unwrap_or_default();
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':')
                .map(str::to_owned)
        });
        let mut evidence: Vec<String> = named
            .filter(|name| turns.iter().any(|turn| turn.0 == *name))
            .collect();
        evidence.sort();
        evidence.dedup();
        (question["question"].as_str().unwrap().to_owned(), evidence)
    });
    let questions = questions
        .filter(|(_, evidence)| !evidence.is_empty())
        .collect();
    Conversation {
        memories,
        turns,
        questions,
    }
}

/// The share of `wanted` among the first `most` of `found`.
fn recall<T: PartialEq>(wanted: &[T], found: &[T], most: usize) -> f64 {
    let first = &found[..most.min(found.len())];
    let hit = wanted.iter().filter(|one| first.contains(one)).count();
    hit as f64 / wanted.len() as f64
}

fn distinct(list: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut distinct = Vec::new();
    for one in list {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, file] = arguments.as_slice() else {
        println!("memory_bench SERVER FILE");
        std::process::exit(2);
    };
    let data: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let conversations: Vec<Conversation> =
        data.as_array().unwrap().iter().map(conversation).collect();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Path::new(program), folder.path(), conversations.len()).await;
    let (mut stored, begun) = (0, Instant::now());
    let mut names: Vec<HashMap<String, usize>> = Vec::new();
    for (user, conversation) in conversations.iter().enumerate() {
        let mut places = HashMap::new();
        for batch in conversation.memories.chunks(BATCH) {
            for id in server.import(user, batch).await {
                places.insert(id, places.len());
            }
        }
        stored += conversation.memories.len();
        names.push(places);
    }
    let rate = stored as f64 / begun.elapsed().as_secs_f64();
    let (mut sums, mut times, mut questions) = ([0.0; 4], Vec::new(), 0);
    for (user, conversation) in conversations.iter().enumerate() {
        for (question, evidence) in &conversation.questions {
            let (hits, took) = server.search(user, question).await;
            let turns: Vec<&(String, usize)> = hits
                .iter()
                .map(|id| &conversation.turns[names[user][id]])
                .collect();
            let found: Vec<String> = turns.iter().map(|turn| turn.0.clone()).collect();
            let sessions = distinct(turns.iter().map(|turn| turn.1));
            let wanted = conversation
                .turns
                .iter()
                .filter(|turn| evidence.contains(&turn.0));
            let wanted = distinct(wanted.map(|turn| turn.1));
            for (sum, value) in sums.iter_mut().zip([
                recall(evidence, &found, 5),
                recall(evidence, &found, 10),
                recall(&wanted, &sessions, 5),
                recall(&wanted, &sessions, 10),
            ]) {
                *sum += value;
            }
            times.push(took.as_secs_f64() * 1e3);
            questions += 1;
        }
    }
    times.sort_by(f64::total_cmp);
    let share = |place: usize| sums[place] / f64::from(questions);
    println!("{stored} turns stored, {rate:.0}/s; {questions} questions");
    println!("turn recall@5 {:.3}, @10 {:.3}", share(0), share(1));
    println!("session recall@5 {:.3}, @10 {:.3}", share(2), share(3));
    println!(
        "one search of {HITS} hits: p50 {:.2} ms, p99 {:.2} ms",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}
