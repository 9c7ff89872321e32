//! The same server on PostgreSQL, and a PostgreSQL that goes away and comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use majordomo_testkit::postgres::PostgresCluster;
use serde_json::json;

use crate::harness::{ModelServer, Options, Refused, Server, Socket, eventually, run};

async fn server(url: &str, model: &ModelServer) -> Server {
    Server::start(options(url, model)).await
}

fn options(url: &str, model: &ModelServer) -> Options {
    Options::config(format!(
        "[security]\nrate_limit_enabled = false\n[database]\nurl = \"{url}\"\n{}",
        model.settings()
    ))
}

#[tokio::test]
async fn every_door_works_and_shares_what_is_said() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let (url, model) = (cluster.database().await, ModelServer::start().await);
    let mut server = server(&url, &model).await;
    server
        .post(
            "/api/v1/chat",
            &json!({ "content": "ECHO zebra one", "session_id": "s" }),
        )
        .await
        .ok();
    server
        .post(
            "/v1/chat",
            &json!({ "message": "ECHO zebra two", "conversation_id": "s" }),
        )
        .await
        .ok();
    let mut socket = Socket::open(&server, "/ws").await;
    socket
        .send(&json!({ "type": "chat", "content": "ECHO zebra three", "session_id": "s" }))
        .await
        .unwrap();
    socket.until("stream_end").await;
    let messages = json!([{ "role": "user", "content": "ECHO zebra four" }]);
    let body =
        json!({ "model": "majordomo", "messages": messages, "metadata": { "session_id": "s" } });
    server.post("/v1/chat/completions", &body).await.ok();
    let answers: Vec<String> = server
        .history("s")
        .await
        .into_iter()
        .skip(1)
        .step_by(2)
        .map(|(_, text)| text)
        .collect();
    assert_eq!(
        answers,
        ["zebra one", "zebra two", "zebra three", "zebra four"]
    );
    let found = server.get("/api/v1/sessions/search?q=zebra").await.ok();
    assert_eq!(found["sessions"][0]["id"], "websocket_s");
    let key = server
        .post("/api/v1/auth/api-keys", &json!({ "name": "k" }))
        .await
        .ok();
    let with_key = server
        .anonymous(reqwest::Method::GET, "/v1/models")
        .bearer_auth(key["key"].as_str().unwrap());
    assert_eq!(with_key.send().await.unwrap().status().as_u16(), 200);

    server.kill9().await;
    server.restart().await;
    assert_eq!(server.history("s").await.len(), 8);
    server.delete("/api/v1/sessions/s").await.ok();
    assert_eq!(server.get("/api/v1/sessions").await.ok()["total"], 0);
}

#[tokio::test]
async fn the_command_line_works() {
    let Some(cluster) = PostgresCluster::shared() else {
        return;
    };
    let url = cluster.database().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("config.toml"),
        format!("[database]\nurl = \"{url}\"\n"),
    )
    .unwrap();
    assert_eq!(run(folder.path(), &["migrate", "--check"]).await.code, 1);
    run(folder.path(), &["migrate"]).await.ok();
    run(folder.path(), &["migrate", "--check"]).await.ok();
    run(folder.path(), &["chat", "hello", "--session", "s"])
        .await
        .ok();
    assert!(
        run(folder.path(), &["sessions", "show", "s"])
            .await
            .ok()
            .contains("hello")
    );
}

#[tokio::test]
async fn a_database_that_is_not_there_stops_the_start_without_telling_its_password() {
    let model = ModelServer::start().await;
    let options = options("postgres://someone:top-secret@127.0.0.1:1/nothing", &model);
    let Err(Refused { code, stderr }) = Server::try_start(options).await else {
        panic!("it starts")
    };
    assert_eq!((code, stderr.lines().count()), (1, 1), "{stderr}");
    assert!(!stderr.contains("top-secret"), "{stderr}");
}

/// PostgreSQL is restarted several times while clients talk. They may be told that storage is away; then all goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_postgresql_under_load_is_survived() {
    let Some(cluster) = PostgresCluster::own() else {
        return;
    };
    let (url, model) = (cluster.database().await, ModelServer::start().await);
    let server = server(&url, &model).await;
    let over = AtomicBool::new(false);
    let clients = (0..4).map(|client| talk(&server, client, &over));
    let restarts = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(400)).await;
            cluster.restart();
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        over.store(true, Ordering::Relaxed);
    };
    let (acknowledged, ()) = tokio::join!(futures_util::future::join_all(clients), restarts);
    let again = async || {
        let answer = server
            .post(
                "/v1/chat",
                &json!({ "message": "ECHO back", "conversation_id": "after" }),
            )
            .await;
        (answer.status == 200).then_some(())
    };
    eventually("it stores again", again).await;
    for (client, texts) in acknowledged.iter().enumerate() {
        assert!(!texts.is_empty(), "client {client} was never served");
        let stored = server.history(&format!("client-{client}")).await;
        let mut rest = stored
            .iter()
            .filter(|(role, _)| role == "user")
            .map(|(_, text)| text);
        for text in texts {
            assert!(
                rest.any(|one| one == text),
                "lost, doubled or out of order: {text}"
            );
            assert_eq!(
                stored.iter().filter(|(_, one)| one == text).count(),
                1,
                "{text}"
            );
        }
    }
}

/// What was acknowledged, in order.
async fn talk(server: &Server, client: usize, over: &AtomicBool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("ECHO {client}-{number}");
        let body = json!({ "message": text, "conversation_id": format!("client-{client}") });
        let answer = server.post("/v1/chat", &body).await;
        match answer.status {
            200 => acknowledged.push(text),
            503 => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => panic!("{answer:?}"),
        }
    }
    acknowledged
}
