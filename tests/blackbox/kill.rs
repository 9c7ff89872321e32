//! The kill test: a server under load through every door dies without warning again and again, at random moments, and
//! afterwards nothing that was acknowledged is lost, doubled or out of order.
//!
//! `MAJORDOMO_KILL_SEED` repeats a run, `MAJORDOMO_KILLS` changes how often it is killed.

mod client;
mod memories;
mod random;
mod verify;

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use majordomo_application::ports::RunJournal;
use majordomo_infrastructure_postgres::{PostgresConfig, PostgresStore};
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteStore};
use majordomo_testkit::postgres::PostgresCluster;
use tokio::sync::watch;

use crate::harness::{ModelServer, Options, Server};
use client::{Conversation, DOORS, Place};
use random::Random;

/// Longest life of a server, in milliseconds.
const LIFE: u64 = 700;
/// Longest start after a kill, on a machine that is busy with the load.
const START: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_on_sqlite() {
    let model = ModelServer::start().await;
    let mut server = Server::with_model(&model).await;
    let conversations = load(&mut server, 50).await;
    settle(&model).await;
    verify::conversations(&server, &conversations).await;
    // Stopping it would end what runs; dying does not.
    server.kill9().await;
    let database = SqliteConfig::new(server.data_dir().join("majordomo.sqlite3"));
    let store = SqliteStore::open(&database).unwrap();
    every_run_is_final(store.journal().as_ref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_on_postgresql() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let url = cluster.database().await;
    let model = ModelServer::start().await;
    let config = format!(
        "[security]\nrate_limit_enabled = false\n[database]\nurl = \"{url}\"\n{}",
        model.settings()
    );
    let mut server = Server::start(Options::config(config)).await;
    let conversations = load(&mut server, 10).await;
    settle(&model).await;
    verify::conversations(&server, &conversations).await;
    server.kill9().await;
    let store = PostgresStore::open(&PostgresConfig::new(url))
        .await
        .unwrap();
    every_run_is_final(store.journal().as_ref()).await;
}

/// Waits until the model is asked nothing more: turns that the last start began again have ended.
async fn settle(model: &ModelServer) {
    let mut asked = usize::MAX;
    while asked != model.requests().len() {
        asked = model.requests().len();
        // Longer than the model's longest answer and the server's way to the next question.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn every_run_is_final(journal: &dyn RunJournal) {
    assert_eq!(
        journal.unfinished().await.unwrap(),
        [],
        "every run is final"
    );
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var_os(name).and_then(|value| value.into_string().ok());
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Talks through every door, two clients each, and kills the server `kills` times meanwhile. The clients finish what they
/// have begun.
async fn load(server: &mut Server, kills: u64) -> Vec<Conversation> {
    let kills = setting("MAJORDOMO_KILLS", kills);
    let seed = setting("MAJORDOMO_KILL_SEED", 20_261_121);
    let _ = writeln!(
        std::io::stderr(),
        "kill test: MAJORDOMO_KILL_SEED={seed} MAJORDOMO_KILLS={kills}"
    );
    let mut random = Random::new(seed);
    let place = Arc::new(Mutex::new(Place::of(server)));
    let stop = watch::Sender::new(false);
    let clients: Vec<_> = DOORS
        .iter()
        .flat_map(|door| [(door, 0), (door, 1)])
        .map(|(door, number)| {
            let random = Random::new(random.next());
            tokio::spawn(client::talk(
                *door,
                number,
                place.clone(),
                stop.subscribe(),
                random,
            ))
        })
        .collect();
    let (mut longest, begin) = (Duration::ZERO, Instant::now());
    for kill in 0..kills {
        // Sometimes at once, while it still recovers from the last time.
        tokio::time::sleep(Duration::from_millis(random.below(LIFE))).await;
        server.kill9().await;
        server.restart().await;
        *place.lock().unwrap() = Place::of(server);
        assert!(
            server.started_in < START,
            "start {kill} took {:?}",
            server.started_in
        );
        longest = longest.max(server.started_in);
    }
    stop.send_replace(true);
    let mut conversations = Vec::new();
    for client in clients {
        conversations.extend(client.await.unwrap());
    }
    let sent: usize = conversations
        .iter()
        .map(|conversation| conversation.sent.len())
        .sum();
    let _ = writeln!(
        std::io::stderr(),
        "kill test: {kills} kills, {sent} messages in {} sessions, {:?}, longest start {longest:?}",
        conversations.len(),
        begin.elapsed(),
    );
    conversations
}
