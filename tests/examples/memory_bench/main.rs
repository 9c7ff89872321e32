//! Measures memory in a server of its own, through the public API: how fast turns are stored in bulk, how long one search
//! takes, and how well the conversations of a `LoCoMo` file are recalled.
//!
//! `memory_bench [--quick] SERVER [FILE [SETTINGS]]`; `cargo xtask bench memory` builds the server and runs it. `SETTINGS`
//! is a file with more settings for the conversations' server: those of an embedding model.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "a measurement that goes wrong ends with its cause"
)]

mod embedder;
mod locomo;
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use server::Server;

/// Memories that are searched, and turns that are stored in bulk.
const SEARCHED: usize = 10_000;
const STORED: usize = 100_000;
/// The same with `--quick`.
const QUICK_SEARCHED: usize = 1_000;
const QUICK_STORED: usize = 5_000;
/// Memories stored with one request.
const BATCH: usize = 5_000;
/// Questions asked, and hits of each.
const QUESTIONS: usize = 1_000;
const HITS: usize = 10;
/// Different words.
const WORDS: f64 = 20_000.0;

/// Numbers that look random and are the same every time (`SplitMix64`; Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Words whose frequencies fall as Zipf's law says.
    fn words(&mut self, many: usize) -> Vec<String> {
        let mut word = || {
            let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
            format!("w{}", WORDS.powf(share) as usize * 7919 % 1_000_003)
        };
        (0..many).map(|_| word()).collect()
    }
}

/// Turns of conversations of twenty turns each, of about twenty words.
fn turns(many: usize) -> Vec<Value> {
    let mut random = Random(20_261_121);
    let turn = |number: usize| {
        let length = 8 + random.next() as usize % 25;
        json!({
            "content": random.words(length).join(" "),
            "conversation_id": format!("talk-{}", number / 20),
        })
    };
    (0..many).map(turn).collect()
}

/// The middle and the slow end of what was measured.
fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p99 {:.2} ms", at(50), at(99))
}

/// Stores memories, lets an embedding model catch up where `settings` name one, and asks questions.
async fn searches(program: &Path, memories: usize, settings: &str) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(program, folder.path(), 1, settings).await;
    let begun = Instant::now();
    for batch in turns(memories).chunks(BATCH) {
        server.import(0, batch).await;
    }
    let with = if settings.is_empty() {
        "words only".to_owned()
    } else {
        server.embed_all(0, memories).await;
        let rate = memories as f64 / begun.elapsed().as_secs_f64();
        format!("words and vectors, {rate:.0} memories/s stored and embedded")
    };
    let mut random = Random(7);
    let mut times = Vec::new();
    // The first questions build the index.
    for number in 0..QUESTIONS + 10 {
        let question = random.words(6).join(" ");
        let (hits, took) = server.search(0, &question, HITS).await;
        assert!(!hits.is_empty(), "{question} finds nothing");
        if number >= 10 {
            times.push(took);
        }
    }
    println!(
        "one search at {memories} memories, {with}: {}",
        percentiles(times)
    );
}

/// Stores turns as quickly as one client can.
async fn bulk(program: &Path, many: usize) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(program, folder.path(), 1, "").await;
    let turns = turns(many);
    let begun = Instant::now();
    for batch in turns.chunks(BATCH) {
        server.import(0, batch).await;
    }
    let rate = many as f64 / begun.elapsed().as_secs_f64();
    println!("{many} turns stored in bulk: {rate:.0}/s");
}

#[tokio::main]
async fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = arguments.first().is_some_and(|first| first == "--quick");
    arguments.drain(..usize::from(is_quick));
    let (program, file) = match arguments.as_slice() {
        [program] => (program, None),
        [program, file] => (program, Some((file, String::new()))),
        [program, file, settings] => {
            let settings = std::fs::read_to_string(settings).unwrap();
            (program, Some((file, settings)))
        }
        _ => {
            println!("memory_bench [--quick] SERVER [FILE [SETTINGS]]");
            std::process::exit(2);
        }
    };
    let program = Path::new(program);
    let (searched, stored) = if is_quick {
        (QUICK_SEARCHED, QUICK_STORED)
    } else {
        (SEARCHED, STORED)
    };
    bulk(program, stored).await;
    searches(program, searched, "").await;
    let settings = embedder::start().await;
    searches(program, searched, &settings).await;
    if let Some((file, settings)) = file {
        locomo::measure(program, file, &settings).await;
    }
}
