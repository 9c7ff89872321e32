//! Budgets of a running server: set by its operator, held to over restarts, told and refused.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{ModelServer, Options, Server, WITHOUT_LIMITS, on_postgresql, run};

const USER: &str = "user:operator";

/// What `majordomo budgets` says, as JSON.
async fn budgets(folder: &Path, arguments: &[&str]) -> Value {
    let arguments = [&["budgets"], arguments, &["--json"]].concat();
    run(folder, &arguments).await.json()
}

async fn limit(server: &Server, tokens: u64) {
    let tokens = tokens.to_string();
    let set = ["set", USER, "--period", "day", "--tokens", &tokens];
    budgets(server.data_dir(), &set).await;
}

fn completion(text: &str) -> Value {
    json!({ "model": "mock/m", "messages": [{ "role": "user", "content": text }] })
}

async fn start(database: &str, model: &ModelServer) -> Server {
    let config = format!("{WITHOUT_LIMITS}{database}{}", model.settings());
    Server::start(Options::config(config)).await
}

/// The settings of a database of its own on PostgreSQL, where there is one.
async fn the_command_line_sets_shows_and_removes_budgets(database: &str) {
    let model = ModelServer::start().await;
    let server = start(database, &model).await;
    let folder = server.data_dir();
    limit(&server, 9_000).await;
    let chat = json!({ "message": "ECHO hello" });
    server.post("/v1/chat", &chat).await.ok();
    let shown = budgets(folder, &["list"]).await;
    assert_eq!(
        (&shown[0]["subject"], &shown[0]["max_tokens"]),
        (&json!(USER), &json!(9_000))
    );
    assert!(shown[0]["spent_tokens"].as_u64().unwrap() > 0, "{shown}");
    let text = run(folder, &["budgets", "list"]).await.ok();
    assert!(text.starts_with("user:operator  day  "), "{text}");

    limit(&server, 1).await;
    let refused = server.post("/v1/chat", &chat).await.with_status(429);
    assert_eq!(refused.json()["error"]["code"], "RATE_LIMITED");
    let refused = server
        .post("/v1/chat/completions", &completion("ECHO x"))
        .await;
    let refused = refused.with_status(429);
    assert_eq!(refused.json()["error"]["code"], "insufficient_quota");
    assert!(!refused.header("retry-after").is_empty());
    let page = server.get("/metrics/prometheus").await.text;
    assert!(page.contains("\nbudget_refusals_total 2\n"), "{page}");

    let remove = ["budgets", "remove", USER, "--period", "day"];
    run(folder, &remove).await.ok();
    server.post("/v1/chat", &chat).await.ok();
    let again = run(folder, &remove).await;
    assert_ne!(again.code, 0, "{again:?}");
    let wrong = [
        "budgets", "set", "group:x", "--period", "day", "--tokens", "1",
    ];
    assert_ne!(run(folder, &wrong).await.code, 0);
}

#[tokio::test]
async fn the_command_line_sets_shows_and_removes_budgets_on_sqlite() {
    the_command_line_sets_shows_and_removes_budgets("").await;
}

#[tokio::test]
async fn the_command_line_sets_shows_and_removes_budgets_on_postgresql() {
    if let Some(database) = on_postgresql().await {
        the_command_line_sets_shows_and_removes_budgets(&database).await;
    }
}

async fn what_a_killed_server_had_set_aside_is_free_again(database: &str) {
    let model = ModelServer::start().await;
    let mut server = start(database, &model).await;
    limit(&server, 9_000).await;
    let hanging = json!({ "message": "HANG", "conversation_id": "s", "max_tokens": 7_000 });
    let mut stream = server.stream("/v1/chat/stream", &hanging).await;
    while !stream
        .next()
        .await
        .unwrap()
        .unwrap()
        .data
        .contains("hanging")
    {}
    // As long as it hangs another answer of that length may not begin.
    let whole = json!({ "message": "ECHO x", "max_tokens": 7_000 });
    server.post("/v1/chat", &whole).await.with_status(429);
    server.kill9().await;
    server.restart().await;
    let spent = budgets(server.data_dir(), &["list"]).await;
    assert!(
        spent[0]["spent_tokens"].as_u64().unwrap() < 1_000,
        "{spent}"
    );
    server.post("/v1/chat", &whole).await.ok();
    let asked = model.requests();
    assert_eq!(asked.last().unwrap()["max_tokens"], 7_000);
}

#[tokio::test]
async fn what_a_killed_server_had_set_aside_is_free_again_on_sqlite() {
    what_a_killed_server_had_set_aside_is_free_again("").await;
}

#[tokio::test]
async fn what_a_killed_server_had_set_aside_is_free_again_on_postgresql() {
    if let Some(database) = on_postgresql().await {
        what_a_killed_server_had_set_aside_is_free_again(&database).await;
    }
}

#[tokio::test]
async fn a_model_without_a_price_is_not_asked_for_dollars_and_every_answer_is_bounded() {
    let model = ModelServer::start().await;
    let config = |prices: &str| {
        format!(
            "{WITHOUT_LIMITS}[budgets]\nuser_daily_usd = 5.0\n{prices}{}",
            model.settings()
        )
    };
    let server = Server::start(Options::config(config(""))).await;
    let chat = json!({ "message": "ECHO hello" });
    server.post("/v1/chat", &chat).await.with_status(403);
    let refused = server
        .post("/v1/chat/completions", &completion("ECHO x"))
        .await;
    assert_eq!(
        refused.with_status(403).json()["error"]["code"],
        "model_unpriced"
    );
    assert!(model.requests().is_empty());

    let prices = "[[prices.models]]\nmodel = \"*\"\ninput = 1.0\noutput = 2.0\n";
    let server = Server::start(Options::config(config(prices))).await;
    server.post("/v1/chat", &chat).await.ok();
    server
        .post("/v1/chat/completions", &completion("ECHO x"))
        .await
        .ok();
    let asked = model.requests();
    let limits: Vec<&Value> = asked.iter().map(|request| &request["max_tokens"]).collect();
    assert_eq!(limits, [&json!(4096), &json!(4096)]);
    let usage = server.get("/api/v1/metrics/usage").await.ok();
    assert_eq!(usage["request_count"], 2);
    assert!(usage["total_cost_usd"].as_f64().unwrap() > 0.0);
}
