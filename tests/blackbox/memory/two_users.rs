//! Every route of memory, walked by two users at once who share nothing, on both databases.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, EmbeddingServer, Options, Server, WITHOUT_LIMITS, on_postgresql};

const ANN: &str = "sk-ann-0123456789abcdef";
const BEN: &str = "sk-ben-0123456789abcdef";

/// Somebody who uses a server.
#[derive(Clone, Copy)]
struct Person<'a> {
    server: &'a Server,
    key: &'static str,
    /// A word that only this person's texts hold.
    word: &'static str,
}

impl Person<'_> {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.server.anonymous(method, path).bearer_auth(self.key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.ok()
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Stores a memory and gives its id.
    async fn remember(&self, text: &str, tags: &[&str]) -> String {
        let content = format!("{text} {}", self.word);
        let body =
            json!({ "content": content, "summary": text, "memory_type": "fact", "tags": tags });
        let stored = self.post("/v1/memories", body).await.with_status(201);
        assert_eq!(stored.json()["merged"], false, "{}", stored.text);
        stored.json()["id"].as_str().unwrap().to_owned()
    }

    /// The memories, as both dialects list them.
    async fn memories(&self) -> Vec<String> {
        let mut lists = Vec::new();
        for path in [
            "/v1/memories",
            "/api/memory/long_term",
            "/api/v1/memory/long_term",
        ] {
            let list = self.get(path).await;
            let contents = list.as_array().unwrap().iter();
            let mut contents: Vec<String> = contents
                .map(|one| one["content"].as_str().unwrap().to_owned())
                .collect();
            contents.sort();
            lists.push(contents);
        }
        assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
        lists.swap_remove(0)
    }

    /// Stores what is looked at and removed later: ids of three memories.
    async fn settle_in(&self) -> [String; 3] {
        let ids = [
            self.remember("The kettle is blue", &["drink", self.word])
                .await,
            self.remember("Breakfast is at seven", &["habit"]).await,
            self.remember("The office is in Oslo", &[]).await,
        ];
        let lines = json!({ "memories": [{ "content": format!("Imported {}", self.word) }] });
        let imported = self.post("/v1/memories/import", lines).await.ok();
        assert_eq!(imported["stored"], 1, "{imported}");
        let said = json!({ "message": format!("Where is the kettle, {}?", self.word), "conversation_id": "talk" });
        self.post("/v1/chat", said).await.ok();
        let input = json!({ "model": "vectors/words", "input": [self.word] });
        let embedded = self.post("/v1/embeddings", input).await.ok();
        assert_eq!(embedded["data"].as_array().unwrap().len(), 1, "{embedded}");
        ids
    }

    /// Sees what is stored, and nothing of the other's.
    async fn look_around(&self, other: &str) {
        let contents = self.memories().await;
        assert_eq!(contents.len(), 4, "{contents:?}");
        let hits = self.get("/v1/memories/search?q=kettle").await;
        let expected = format!("The kettle is blue {}", self.word);
        let found = |hit: &Value| hit["source"] == "memory" && hit["content"] == expected;
        assert!(hits.as_array().unwrap().iter().any(found), "{hits}");
        let stats = self.get("/v1/memories/stats").await;
        assert_eq!(stats["total"], 4, "{stats}");
        let export = self.get("/v1/memories/export").await;
        assert_eq!(export["memories"].as_array().unwrap().len(), 4, "{export}");
        for prefix in ["/api/memory", "/api/v1/memory"] {
            let stats = self.get(&format!("{prefix}/stats")).await;
            assert_eq!(stats["total_memories"], 4, "{stats}");
            self.get(&format!("{prefix}/settings")).await;
        }
        let graph = self.get("/api/memory/graph").await;
        assert_eq!(graph["nodes"].as_array().unwrap().len(), 3, "{graph}");
        let talk = self.get("/api/memory/session?id=talk").await;
        assert!(talk.to_string().contains(self.word), "{talk}");
        let talks = self.get("/api/memory/sessions").await;
        assert!(talks.to_string().contains("talk"), "{talks}");
        for path in [
            "/v1/memories",
            "/v1/memories/audit",
            "/v1/memories/export",
            &format!("/v1/memories/search?q=kettle%20{other}"),
            "/api/memory/long_term",
            "/api/memory/graph",
            "/api/memory/graph.svg",
            "/api/memory/session?id=talk",
            "/api/memory/session/export?id=talk",
            "/api/memory/sessions",
            "/api/v1/memory/long_term",
        ] {
            let seen = self.ask(Method::GET, path, None).await.with_status(200);
            assert!(!seen.text.contains(other), "{path}: {}", seen.text);
        }
    }

    /// Finds none of the other's memories by its id, on no door.
    async fn reach_for(&self, ids: &[String; 3]) {
        for id in ids {
            let ours = format!("/v1/memories/{id}");
            let dashboard = format!("/api/memory/long_term/{id}");
            let app = format!("/api/v1/memory/long_term/{id}");
            for (method, path, body) in [
                (Method::GET, &ours, None),
                (Method::DELETE, &ours, None),
                (
                    Method::PATCH,
                    &dashboard,
                    Some(json!({ "content": "taken" })),
                ),
                (Method::DELETE, &dashboard, None),
                (Method::DELETE, &app, None),
            ] {
                self.ask(method, path, body).await.with_status(404);
            }
        }
        let decayed = self.post("/v1/memories/decay", json!({})).await;
        decayed.with_status(200);
        let pruned = self
            .post("/api/memory/prune", json!({ "older_than_days": 1 }))
            .await
            .ok();
        assert_eq!(pruned["deleted_daily_memories"], 0, "{pruned}");
    }

    /// Changes one memory, and forgets all three, each on another door.
    async fn clear_up(&self, [first, second, third]: &[String; 3]) {
        let path = format!("/api/memory/long_term/{first}");
        let body = json!({ "content": format!("The kettle is red {}", self.word) });
        self.ask(Method::PATCH, &path, Some(body)).await.ok();
        let shown = self.get(&format!("/v1/memories/{first}")).await;
        assert_eq!(shown["content"], format!("The kettle is red {}", self.word));
        self.ask(Method::DELETE, &path, None).await.ok();
        let path = format!("/api/v1/memory/long_term/{second}");
        self.ask(Method::DELETE, &path, None).await.ok();
        let path = format!("/v1/memories/{third}");
        self.ask(Method::DELETE, &path, None).await.with_status(204);
        self.ask(Method::GET, &path, None).await.with_status(404);
        assert_eq!(self.memories().await, [format!("Imported {}", self.word)]);
    }
}

async fn two_users_share_nothing(database: &str) {
    let embedder = EmbeddingServer::start().await;
    let config = format!(
        "{WITHOUT_LIMITS}[security.api_key_users]\n\
         \"{ANN}\" = \"3f0e8a6e-43a5-4a5e-9d6f-1f2d3c4b5a69\"\n\
         \"{BEN}\" = \"4f0e8a6e-43a5-4a5e-9d6f-1f2d3c4b5a69\"\n{database}{}",
        embedder.settings()
    );
    let server = Server::start(Options::config(config)).await;
    let [ann, ben] = [(ANN, "annsword"), (BEN, "benssecret")].map(|(key, word)| Person {
        server: &server,
        key,
        word,
    });
    let (of_ann, of_ben) = tokio::join!(ann.settle_in(), ben.settle_in());
    tokio::join!(ann.look_around(ben.word), ben.look_around(ann.word));
    tokio::join!(ann.reach_for(&of_ben), ben.reach_for(&of_ann));
    tokio::join!(ann.look_around(ben.word), ben.look_around(ann.word));
    ann.clear_up(&of_ann).await;
    ben.look_around(ann.word).await;
    ben.clear_up(&of_ben).await;
}

#[tokio::test]
async fn two_users_share_nothing_on_sqlite() {
    two_users_share_nothing("").await;
}

#[tokio::test]
async fn two_users_share_nothing_on_postgresql() {
    if let Some(database) = on_postgresql().await {
        two_users_share_nothing(&database).await;
    }
}
