//! Memories under load while the server dies again and again: what was acknowledged is there, and everything that is there
//! has in the end the vector of what it says, and nothing else has one.
//!
//! `MAJORDOMO_KILL_SEED` repeats a run, `MAJORDOMO_KILLS` changes how often the server is killed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use majordomo_application::ports::{MemoryVectors, RememberedId, RememberedKind, VectorSpace};
use majordomo_infrastructure_postgres::{PostgresConfig, PostgresStore};
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteStore};
use majordomo_testkit::builders::user;
use majordomo_testkit::postgres::PostgresCluster;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::client::Place;
use super::random::Random;
use super::{LIFE, setting};
use crate::harness::{Answer, EmbeddingServer, Options, Server, WITHOUT_LIMITS, http_client};

/// How often the server is killed.
const KILLS: u64 = 20;
/// Clients at a time.
const CLIENTS: u64 = 4;
/// Entries of one import.
const IMPORTED: u64 = 10;
/// How long what is left may take to be embedded.
const CATCHING_UP: Duration = Duration::from_mins(2);
/// Vectors read at once.
const PAGE: u32 = 500;

/// What a client knows of a memory.
#[derive(Debug)]
struct Known {
    id: String,
    /// What it may say: one text, unless the server died while it was rewritten.
    texts: Vec<String>,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// The server died while it was to be deleted.
    Doubtful,
    Deleted,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_memory_is_lost_and_no_vector_is_wrong_on_sqlite() {
    let embedder = EmbeddingServer::start().await;
    let config = format!("{WITHOUT_LIMITS}{}", embedder.settings());
    let mut server = Server::start(Options::config(config)).await;
    let (texts, space) = survive(&mut server, &embedder).await;
    let database = SqliteConfig::new(server.data_dir().join("majordomo.sqlite3"));
    let store = SqliteStore::open(&database).unwrap();
    every_vector_is_right(store.memory_vectors().as_ref(), &space, &texts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_memory_is_lost_and_no_vector_is_wrong_on_postgresql() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let url = cluster.database().await;
    let embedder = EmbeddingServer::start().await;
    let config = format!(
        "{WITHOUT_LIMITS}[database]\nurl = \"{url}\"\n{}",
        embedder.settings()
    );
    let mut server = Server::start(Options::config(config)).await;
    let (texts, space) = survive(&mut server, &embedder).await;
    let store = PostgresStore::open(&PostgresConfig::new(url)).await;
    let store = store.unwrap();
    every_vector_is_right(store.memory_vectors().as_ref(), &space, &texts).await;
}

/// Kills the server under load, checks what it has in the end, and leaves it dead. Gives what each memory says, and the
/// space of its vectors.
async fn survive(
    server: &mut Server,
    embedder: &EmbeddingServer,
) -> (BTreeMap<String, String>, VectorSpace) {
    let kills = setting("MAJORDOMO_KILLS", KILLS);
    let mut random = Random::new(setting("MAJORDOMO_KILL_SEED", 20_261_121));
    let place = Arc::new(Mutex::new(Place::of(server)));
    let stop = watch::Sender::new(false);
    embedder.is_moody.store(true, Ordering::Relaxed);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = Client {
                place: place.clone(),
                http: http_client(),
                random: Random::new(random.next()),
                known: Vec::new(),
                sessions: format!("talk-{number}"),
            };
            tokio::spawn(client.work(stop.subscribe()))
        })
        .collect();
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(random.below(LIFE))).await;
        server.kill9().await;
        server.restart().await;
        *place.lock().unwrap() = Place::of(server);
    }
    stop.send_replace(true);
    let mut known = Vec::new();
    for client in clients {
        known.extend(client.await.unwrap());
    }
    embedder.is_moody.store(false, Ordering::Relaxed);
    let texts = stored(server).await;
    check(&known, &texts);
    let space = embedded(server, texts.len()).await;
    server.kill9().await;
    (texts, space)
}

/// What each memory says, by its id.
async fn stored(server: &Server) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    loop {
        let path = format!("/v1/memories?limit=500&offset={}", texts.len());
        let page = server.get(&path).await.ok();
        let page = page.as_array().unwrap();
        if page.is_empty() {
            return texts;
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        texts.extend(
            page.iter()
                .map(|one| (text(&one["id"]), text(&one["content"]))),
        );
    }
}

fn check(known: &[Known], texts: &BTreeMap<String, String>) {
    let mut kept = 0;
    for memory in known {
        let text = texts.get(&memory.id);
        match memory.fate {
            Fate::Kept => assert!(text.is_some(), "lost: {memory:?}"),
            Fate::Deleted => assert_eq!(text, None, "back again: {memory:?}"),
            Fate::Doubtful => {}
        }
        if let Some(text) = text {
            assert!(memory.texts.contains(text), "{memory:?} says {text}");
            kept += 1;
        }
    }
    assert!(kept > 100, "{kept} memories are too few to tell");
    assert!(known.iter().any(|memory| memory.fate == Fate::Deleted));
}

/// Waits until every memory has a vector; their space.
async fn embedded(server: &Server, memories: usize) -> VectorSpace {
    let begin = Instant::now();
    loop {
        let stats = server.get("/v1/memories/stats").await.ok();
        assert_eq!(stats["total"], memories);
        let embedding = &stats["embedding"];
        if embedding["memories"] == memories {
            let dimension = embedding["dimension"].as_u64().unwrap();
            return VectorSpace {
                model: embedding["model"].as_str().unwrap().to_owned(),
                dimension: u32::try_from(dimension).unwrap(),
            };
        }
        assert!(begin.elapsed() < CATCHING_UP, "{embedding}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every memory has the vector of what it says, nothing else has one, and no turn is without.
async fn every_vector_is_right(
    vectors: &dyn MemoryVectors,
    space: &VectorSpace,
    texts: &BTreeMap<String, String>,
) {
    let (owner, mut after, mut seen) = (user("operator"), 0, 0);
    loop {
        let kind = RememberedKind::Memory;
        let page = vectors.changes(&owner, space, kind, after, PAGE).await;
        let page = page.unwrap();
        for vector in &page {
            let RememberedId::Memory(id) = &vector.of else {
                panic!("no memory: {vector:?}");
            };
            let text = texts.get(id.as_str());
            let expected = text.map(|text| EmbeddingServer::vector(text));
            assert_eq!(Some(&vector.vector), expected.as_ref(), "{id}: {text:?}");
            seen += 1;
        }
        let Some(last) = page.last() else {
            break;
        };
        after = last.stored;
    }
    assert_eq!(seen, texts.len());
    let turns = vectors.count(&owner, space).await.unwrap().turns;
    assert!(turns > 0);
}

struct Client {
    place: Arc<Mutex<Place>>,
    http: reqwest::Client,
    random: Random,
    known: Vec<Known>,
    sessions: String,
}

impl Client {
    async fn work(mut self, stop: watch::Receiver<bool>) -> Vec<Known> {
        while !*stop.borrow() {
            let answered = match self.random.below(10) {
                0..3 => self.create().await,
                3..5 => self.import().await,
                5..7 => self.rewrite().await,
                7..9 => self.delete().await,
                _ => self.talk().await,
            };
            if !answered {
                // The server is away for a moment.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        self.known
    }

    /// The body of an answer of this status; `None` when the server died before it was whole, or was ending.
    async fn ask(&self, method: Method, path: &str, body: Value, status: u16) -> Option<Value> {
        let (address, token) = self.place.lock().unwrap().parts();
        let url = format!("http://{address}{path}");
        let request = self
            .http
            .request(method, url)
            .bearer_auth(token)
            .json(&body);
        let answer = Answer::of(request.send().await.ok()?).await;
        if answer.status == 503 {
            return None;
        }
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        if status == 204 {
            return Some(Value::Null);
        }
        serde_json::from_str(&answer.text).ok()
    }

    /// A text that no other is much like.
    fn text(&mut self) -> String {
        let words: Vec<String> = (0..8)
            .map(|_| format!("w{:x}", self.random.next()))
            .collect();
        words.join(" ")
    }

    /// A memory that nobody tried to delete.
    fn any(&mut self) -> Option<usize> {
        let known = self.known.iter().enumerate();
        let kept: Vec<usize> = known
            .filter(|(_, memory)| memory.fate == Fate::Kept)
            .map(|(at, _)| at)
            .collect();
        let place = self.random.below(kept.len().max(1) as u64);
        kept.get(usize::try_from(place).unwrap()).copied()
    }

    async fn create(&mut self) -> bool {
        let text = self.text();
        let body = json!({ "content": text, "summary": "words", "memory_type": "fact" });
        let Some(stored) = self.ask(Method::POST, "/v1/memories", body, 201).await else {
            return false;
        };
        assert_eq!(stored["merged"], false, "{stored}");
        self.known.push(Known {
            id: stored["id"].as_str().unwrap().to_owned(),
            texts: vec![text],
            fate: Fate::Kept,
        });
        true
    }

    async fn import(&mut self) -> bool {
        let texts: Vec<String> = (0..IMPORTED).map(|_| self.text()).collect();
        let entries: Vec<Value> = texts
            .iter()
            .map(|text| json!({ "content": text }))
            .collect();
        let body = json!({ "memories": entries });
        let Some(stored) = self
            .ask(Method::POST, "/v1/memories/import", body, 200)
            .await
        else {
            return false;
        };
        let ids = stored["ids"].as_array().unwrap().iter();
        self.known.extend(ids.zip(texts).map(|(id, text)| Known {
            id: id.as_str().unwrap().to_owned(),
            texts: vec![text],
            fate: Fate::Kept,
        }));
        true
    }

    async fn rewrite(&mut self) -> bool {
        let (Some(at), text) = (self.any(), self.text()) else {
            return true;
        };
        let path = format!("/api/memory/long_term/{}", self.known[at].id);
        let body = json!({ "content": text });
        let answered = self.ask(Method::PATCH, &path, body, 200).await.is_some();
        let texts = &mut self.known[at].texts;
        if answered {
            texts.clear();
        }
        texts.push(text);
        answered
    }

    async fn delete(&mut self) -> bool {
        let Some(at) = self.any() else {
            return true;
        };
        let path = format!("/v1/memories/{}", self.known[at].id);
        let answered = self
            .ask(Method::DELETE, &path, json!({}), 204)
            .await
            .is_some();
        self.known[at].fate = if answered {
            Fate::Deleted
        } else {
            Fate::Doubtful
        };
        answered
    }

    /// Says something in one of two sessions, and sometimes deletes one with all that was said.
    async fn talk(&mut self) -> bool {
        let session = format!("{}-{}", self.sessions, self.random.below(2));
        if self.random.below(4) == 0 {
            let path = format!("/api/v1/sessions/{session}");
            let (address, token) = self.place.lock().unwrap().parts();
            let request = self.http.delete(format!("http://{address}{path}"));
            return request.bearer_auth(token).send().await.is_ok();
        }
        let body = json!({ "message": self.text(), "conversation_id": session });
        self.ask(Method::POST, "/v1/chat", body, 200)
            .await
            .is_some()
    }
}
