//! Measures the store on this machine: stored chat turns, and search in many messages.
//!
//! `cargo run --release -p majordomo-infrastructure-sqlite --example store_bench -- [turns] [messages] [words] [sql]`
//!
//! `words` is the length of a message; `sql` runs on the new database first, to compare settings.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measuring program: it prints, and stops at the first failure"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use futures_util::future::join_all;
use majordomo_application::ports::{RunJournal, SearchQuery};
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteStore};
use majordomo_testkit::builders::{answer, turn, user};

const COMMON: [&str; 12] = [
    "the", "harbour", "message", "and", "lantern", "of", "computer", "is", "we", "ship", "with",
    "storage",
];

static WORDS: AtomicU64 = AtomicU64::new(40);

/// A text of [`WORDS`] words: common ones, and rarer ones of a vocabulary of 50,000.
fn text(number: u32) -> String {
    let mut state = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let words: Vec<String> = (0..WORDS.load(Ordering::Relaxed))
        .map(|_| {
            if next(2) == 0 {
                COMMON[usize::try_from(next(12)).unwrap()].to_owned()
            } else {
                format!(
                    "{}word{}",
                    ["alpha", "beta", "gamma"][usize::try_from(next(3)).unwrap()],
                    next(50_000)
                )
            }
        })
        .collect();
    words.join(" ")
}

/// Processor time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

async fn chat(journal: &Arc<dyn RunJournal>, owner: &str, session: &str, number: u32) {
    let turn = turn(owner, session, 1, &text(number));
    let answer = answer(&turn, &text(number ^ 0x5555_5555));
    journal.accept(turn).await.unwrap();
    journal.finish(answer).await.unwrap();
}

async fn turns(journal: &Arc<dyn RunJournal>, label: &str, total: u32, at_once: u32) {
    let (before, began) = (cpu(), Instant::now());
    let tasks = (0..at_once).map(|task| {
        let (journal, label) = (Arc::clone(journal), label.to_owned());
        tokio::spawn(async move {
            let mut times = Vec::new();
            for number in (task..total).step_by(at_once as usize) {
                let began = Instant::now();
                chat(&journal, "alice", &format!("{label}-{number}"), number).await;
                times.push(began.elapsed());
            }
            times
        })
    });
    let mut times: Vec<Duration> = join_all(tasks)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    let (elapsed, cpu) = (began.elapsed(), cpu().saturating_sub(before));
    times.sort();
    println!(
        "{label}: {:.0} turns/s, {:?} CPU each, p50 {:?}, p99 {:?}",
        f64::from(total) / elapsed.as_secs_f64(),
        cpu / total,
        times[times.len() / 2],
        times[times.len() * 99 / 100],
    );
}

async fn search(store: &SqliteStore, query: &str) {
    let sessions = store.sessions();
    let query = SearchQuery {
        text: query.to_owned(),
        limit: 20,
    };
    let mut times = Vec::new();
    let mut hits = 0;
    for _ in 0..50 {
        let began = Instant::now();
        hits = sessions.search(&user("alice"), &query).await.unwrap().len();
        times.push(began.elapsed());
    }
    times.sort();
    println!(
        "search {:30} {hits:3} hits, p50 {:?}, p99 {:?}",
        query.text, times[25], times[49]
    );
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| {
        arguments
            .next()
            .map_or(default, |text| text.parse().unwrap())
    };
    let (total, messages, words) = (number(5_000), number(0), number(40));
    WORDS.store(u64::from(words), Ordering::Relaxed);
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(folder.path().join("bench.sqlite3"));
    if let Some(sql) = arguments.next() {
        SqliteStore::migrate(&config).unwrap();
        let mut connection = SqliteConnection::establish(config.path.to_str().unwrap()).unwrap();
        connection.batch_execute(&sql).unwrap();
    }
    let store = SqliteStore::open(&config).unwrap();
    let journal = store.journal();
    turns(&journal, "1-at-once", total, 1).await;
    turns(&journal, "8-at-once", total, 8).await;
    turns(&journal, "64-at-once", total, 64).await;
    if messages > 0 {
        let began = Instant::now();
        turns(&journal, "filling", messages / 2, 256).await;
        println!("{messages} messages stored in {:?}", began.elapsed());
        for query in [
            "harbour",
            "the harbour",
            "alphaword123",
            "harbour alphaword777",
            "harb",
            "th",
            "mess",
            "alpha",
            "alphaw",
            "comp",
            "absentword",
            "harbour lantern computer ship",
            "a b c",
        ] {
            search(&store, query).await;
        }
        turns(&journal, "8-at-once-when-full", total, 8).await;
    }
    let size = store.health().check().await.unwrap().size_bytes;
    println!("{} MB", size / 1_000_000);
    drop(journal);
    store.close();
    drop(store);
    let began = Instant::now();
    SqliteStore::open(&config).unwrap();
    println!("opened and closed again in {:?}", began.elapsed());
}
