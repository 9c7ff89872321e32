//! OpenAI's door: `/v1/models`, `/v1/chat/completions` and `/v1/embeddings`.

use serde_json::{Value, json};

use crate::harness::{Event, ModelServer, Options, Server, WITHOUT_LIMITS, vector};

const PATH: &str = "/v1/chat/completions";

fn ask(model: &str, text: &str, more: &Value) -> Value {
    let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": text }] });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

fn text_of(events: &[Event]) -> String {
    let chunks = events.iter().filter(|event| event.data != "[DONE]");
    let texts = chunks.map(|event| {
        event.json()["choices"][0]["delta"]["content"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    });
    texts.collect()
}

#[tokio::test]
async fn the_agent_answers_and_stores() {
    let server = Server::assistant().await;
    let more = json!({ "metadata": { "session_id": "demo" } });
    let answer = server
        .post(PATH, &ask("majordomo", "hello", &more))
        .await
        .ok();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    let said = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(
        server.history("demo").await[1],
        ("assistant".to_owned(), said.to_owned())
    );
}

#[tokio::test]
async fn the_agent_streams_with_usage_when_asked() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let more =
        json!({ "stream": true, "stream_options": { "include_usage": true }, "user": "ann" });
    let events = server
        .stream(PATH, &ask("majordomo/mock/m", "ECHO one two", &more))
        .await
        .rest()
        .await;
    assert_eq!(text_of(&events), "one two");
    assert_eq!(events.last().unwrap().data, "[DONE]");
    let usage = events[events.len() - 2].json();
    assert_eq!(
        (&usage["choices"], &usage["usage"]["total_tokens"]),
        (&json!([]), &json!(9))
    );
    assert_eq!(server.history("openai-ann").await.len(), 2);
}

#[tokio::test]
async fn a_models_name_passes_straight_through() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    for name in ["mock/m", "m"] {
        let answer = server
            .post(PATH, &ask(name, "ECHO through", &json!({ "seed": 5 })))
            .await
            .ok();
        assert_eq!(answer["choices"][0]["message"]["content"], "through");
        assert_eq!(answer["id"], "chatcmpl-mock");
    }
    let events = server
        .stream(PATH, &ask("m", "ECHO a b c", &json!({ "stream": true })))
        .await
        .rest()
        .await;
    assert_eq!(text_of(&events), "a b c");
    assert_eq!(model.requests()[0]["seed"], 5);
    assert_eq!(model.requests()[0]["model"], "m");
    assert_eq!(
        server.get("/api/v1/sessions").await.ok()["total"],
        0,
        "nothing is stored"
    );
}

#[tokio::test]
async fn the_callers_tools_stay_the_callers() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let tool = json!({ "type": "function", "function": { "name": "weather", "parameters": { "type": "object" } } });
    let request = ask(
        "mock/m",
        r#"CALL weather {"city":"Oslo"}"#,
        &json!({ "tools": [tool] }),
    );
    let answer = server.post(PATH, &request).await.ok();
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(
        (&call["name"], &call["arguments"]),
        (&json!("weather"), &json!(r#"{"city":"Oslo"}"#))
    );
}

#[tokio::test]
async fn models_are_listed() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let models = server.get("/v1/models").await.ok();
    let ids: Vec<&str> = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert!(
        ids.contains(&"majordomo") && ids.contains(&"mock/m"),
        "{ids:?}"
    );
    assert_eq!(server.get("/v1/models/mock/m").await.ok()["id"], "mock/m");
    let unknown = server
        .get("/v1/models/nobody/nothing")
        .await
        .with_status(404)
        .json();
    assert!(unknown["error"]["message"].is_string());
}

#[tokio::test]
async fn failures_are_told_as_openai_tells_them() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let missing = server
        .post(PATH, &json!({ "messages": [] }))
        .await
        .with_status(400)
        .json();
    assert_eq!(missing["error"]["type"], "invalid_request_error");
    assert_eq!(missing["error"]["param"], "model");
    // A name that no provider has is the default provider's to refuse.
    let unknown = server
        .post(PATH, &ask("nobody/nothing", "hi", &json!({})))
        .await;
    assert!(matches!(unknown.status, 400 | 404), "{unknown:?}");
    assert_eq!(unknown.json()["error"]["type"], "invalid_request_error");
    let failed = server
        .post(PATH, &ask("mock/m", "FAIL 500", &json!({})))
        .await;
    assert!(failed.status >= 500, "{failed:?}");
    assert_eq!(failed.json()["error"]["type"], "server_error");
}

const EMBEDDINGS: &str = "/v1/embeddings";

async fn with_embedder(model: &ModelServer) -> Server {
    let config = format!("{WITHOUT_LIMITS}{}", model.settings_with_embedder());
    Server::start(Options::config(config)).await
}

#[tokio::test]
async fn texts_become_vectors_of_any_provider_and_are_paid_for() {
    let model = ModelServer::start().await;
    let server = with_embedder(&model).await;
    for name in ["mock/m", "translated/m"] {
        let body = json!({ "model": name, "input": ["a cat", "sleeps"], "dimensions": 2 });
        let answer = server.post(EMBEDDINGS, &body).await.ok();
        let vectors = answer["data"].as_array().unwrap();
        assert_eq!(vectors[0]["embedding"], json!(vector("a cat", 2)));
        assert_eq!(vectors[1]["embedding"], json!(vector("sleeps", 2)));
        assert_eq!(answer["usage"]["prompt_tokens"], 7);
    }
    let usage = server.get("/api/v1/metrics/usage").await.ok();
    assert_eq!(usage["request_count"], 2, "{usage}");
    assert_eq!(usage["total_input_tokens"], 14, "{usage}");
}

#[tokio::test]
async fn a_provider_of_the_protocol_gets_lists_of_tokens_and_others_refuse_them() {
    let model = ModelServer::start().await;
    let server = with_embedder(&model).await;
    let body = json!({ "model": "mock/m", "input": [[1, 2], [3]], "odd": 1.5 });
    server.post(EMBEDDINGS, &body).await.ok();
    let mut passed = body.clone();
    passed["model"] = json!("m");
    assert!(model.requests().contains(&passed));
    let refused = json!({ "model": "translated/m", "input": [[1, 2], [3]] });
    let refused = server.post(EMBEDDINGS, &refused).await;
    let error = refused.with_status(400).json();
    assert_eq!(error["error"]["param"], "input");
}

#[tokio::test]
async fn the_memorys_embedding_model_answers_under_its_name() {
    let model = ModelServer::start().await;
    let server = with_embedder(&model).await;
    let listed = server.get("/v1/models").await.ok();
    let ids = listed["data"].as_array().unwrap();
    assert!(
        ids.iter().any(|one| one["id"] == "translated/m"),
        "{listed}"
    );
    // A bare name is that model's, although the default provider calls one so, too.
    let bare = json!({ "model": "m", "input": "x" });
    let answer = server.post(EMBEDDINGS, &bare).await.ok();
    assert_eq!(answer["model"], "m");
    assert!(
        model
            .requests()
            .iter()
            .any(|request| request["truncate"] == true)
    );
    let failed = json!({ "model": "translated/m", "input": "FAIL 500" });
    let failed = server.post(EMBEDDINGS, &failed).await.with_status(503);
    assert_eq!(failed.json()["error"]["type"], "server_error");
    let server = Server::assistant().await;
    for name in [
        "text-embedding-3-small",
        "openai/text-embedding-3-small",
        "majordomo",
    ] {
        let body = json!({ "model": name, "input": "x" });
        let unknown = server.post(EMBEDDINGS, &body).await.with_status(404);
        assert_eq!(unknown.json()["error"]["code"], "model_not_found", "{name}");
    }
}
