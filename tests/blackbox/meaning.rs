//! Memories that are found by what they mean, while the embedding model is there and when it is gone.

use majordomo_testkit::postgres::PostgresCluster;
use serde_json::{Value, json};

use crate::harness::{EmbeddingServer, Options, Server, WITHOUT_LIMITS, eventually, run};

async fn remember(server: &Server, content: &str) {
    let body = json!({ "content": content, "summary": content, "memory_type": "fact" });
    let answer = server.post("/v1/memories", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn search(server: &Server, words: &str) -> Value {
    let path = format!("/v1/memories/search?q={words}");
    server.get(&path).await.ok()
}

async fn stats(server: &Server) -> Value {
    server.get("/v1/memories/stats").await.ok()
}

#[tokio::test]
async fn an_embedding_model_may_come_and_go() {
    let embedder = EmbeddingServer::start().await;
    let config = format!("{WITHOUT_LIMITS}{}", embedder.settings());
    let server = Server::start(Options::config(&config)).await;
    std::fs::write(server.data_dir().join("config.toml"), config).unwrap();
    remember(&server, "alpha beta").await;
    remember(&server, "gamma delta").await;
    eventually("both are embedded", async || {
        (stats(&server).await["embedding"]["memories"] == 2).then_some(())
    })
    .await;
    let shown = server.get("/api/v1/memory/stats").await.ok();
    let vectors = ["backend", "enabled", "entries"].map(|of| shown[format!("vector_{of}")].clone());
    assert_eq!(vectors, [json!("builtin"), json!(true), json!(2)]);
    let hits = search(&server, "gamma").await;
    let first = &hits[0];
    assert_eq!(
        (&first["content"], &first["words_rank"]),
        (&json!("gamma delta"), &json!(1))
    );
    assert_eq!(first["meaning_rank"], 1, "{hits}");
    let doctor = run(server.data_dir(), &["doctor"]).await;
    let said = format!("{}{}", doctor.stdout, doctor.stderr);
    assert!(
        said.contains("vectors/words has embedded 2 of your 2 memories"),
        "{said}"
    );

    // Without the model everything is stored and found by its words, and whoever asks is told.
    drop(embedder);
    remember(&server, "epsilon zeta").await;
    let hits = search(&server, "epsilon").await;
    assert_eq!(
        (&hits[0]["content"], &hits[0]["meaning_rank"]),
        (&json!("epsilon zeta"), &Value::Null)
    );
    let embedding = &stats(&server).await["embedding"];
    let counts = ["memories", "memories_total", "turns", "turns_total"].map(|of| &embedding[of]);
    assert_eq!(counts, [2, 3, 0, 0]);
    eventually("the failure is told", async || {
        stats(&server).await["embedding"]["error"]
            .is_string()
            .then_some(())
    })
    .await;
    let doctor = run(server.data_dir(), &["doctor"]).await;
    let said = format!("{}{}", doctor.stdout, doctor.stderr);
    assert!(said.contains("vectors/words:"), "{said}");
}

/// The database compares the vectors that the server may not hold.
#[tokio::test]
async fn pgvector_finds_what_the_server_holds_no_vectors_of() {
    let Some(cluster) = PostgresCluster::with_pgvector() else {
        return;
    };
    let embedder = EmbeddingServer::start().await;
    let url = cluster.database().await;
    let settings = embedder.settings();
    let config =
        format!("{WITHOUT_LIMITS}{settings}vector_memory_mb = 0\n\n[database]\nurl = \"{url}\"\n");
    let server = Server::start(Options::config(config)).await;
    remember(&server, "alpha").await;
    remember(&server, "gamma").await;
    eventually("both are embedded", async || {
        (stats(&server).await["embedding"]["memories"] == 2).then_some(())
    })
    .await;
    let alike = |word: &String| EmbeddingServer::vector(word) == EmbeddingServer::vector("alpha");
    let other_word = (0..1_000).map(|n| format!("other{n}")).find(alike).unwrap();
    let hits = search(&server, &other_word).await;
    let first = ["content", "words_rank", "meaning_rank", "similarity"].map(|of| &hits[0][of]);
    let expected = [json!("alpha"), Value::Null, json!(1), json!(1.0)];
    assert_eq!(first, expected.each_ref(), "{hits}");
}
