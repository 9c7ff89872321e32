//! PiSovereign's door: `/v1/chat`, `/v1/system`, probes and metrics.

use serde_json::json;

use crate::harness::{Answer, ModelServer, Server};

#[tokio::test]
async fn first_conversation_without_a_model() {
    let server = Server::assistant().await;
    let answer = server
        .post("/v1/chat", &json!({ "message": "hello" }))
        .await
        .ok();
    assert_eq!(answer["role"], "assistant");
    let conversation = answer["conversation_id"].as_str().unwrap().to_owned();
    let body = json!({ "message": "/help", "conversation_id": conversation });
    let help = server.post("/v1/chat", &body).await.ok();
    assert_eq!(help["conversation_id"], *conversation);
    assert!(help["content"].as_str().unwrap().contains("/sessions"));
}

#[tokio::test]
async fn a_stream_tells_pieces_and_what_they_took() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let body = json!({ "message": "ECHO one two three", "conversation_id": "c" });
    let events = server.stream("/v1/chat/stream", &body).await.rest().await;
    let (last, pieces) = events.split_last().unwrap();
    let text: String = pieces
        .iter()
        .map(|event| event.json()["delta"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(text, "one two three");
    assert!(
        pieces
            .iter()
            .all(|event| event.name == "message" && event.id.is_some())
    );
    assert_eq!(last.name, "done");
    let done = last.json();
    assert_eq!(
        done["tokens"],
        json!({ "prompt": 7, "completion": 3, "total": 10 })
    );
    assert_eq!(done["conversation_id"], "c");
    assert_eq!(done["model"], "mock/m");
}

#[tokio::test]
async fn the_model_is_told_what_the_caller_asks_for() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let body = json!({
        "message": "ECHO hi", "system_prompt": "Speak like a pirate.", "model": "mock/m", "temperature": 0.5,
        "max_tokens": 77,
    });
    server.post("/v1/chat", &body).await.ok();
    let asked = &model.requests()[0];
    assert_eq!(
        asked["messages"][0],
        json!({ "role": "system", "content": "Speak like a pirate." })
    );
    assert_eq!(
        (&asked["temperature"], &asked["max_tokens"]),
        (&json!(0.5), &json!(77))
    );
}

#[tokio::test]
async fn probes_and_metrics_answer() {
    let server = Server::assistant().await;
    let health = server.get("/health").await.ok();
    assert_eq!(health["status"], "ok");
    assert!(
        health["version"].is_string()
            && health["timestamp"].is_string()
            && health["installMode"].is_string()
    );
    assert_eq!(server.get("/ready").await.ok()["status"], "ready");
    assert_eq!(server.get("/ready/all").await.ok()["status"], "ready");
    let status = server.get("/v1/system/status").await.ok();
    assert!(status["resources"]["memory_used_mb"].as_u64().unwrap() > 0);
    let models = server.get("/v1/system/models").await.ok();
    assert_eq!(models["models"][0]["id"], "builtin/assistant");
    assert_eq!(models["models"][0]["default"], true);
    assert!(server.get("/metrics").await.ok().is_object());
    let prometheus = server.get("/metrics/prometheus").await.with_status(200);
    assert!(prometheus.text.contains("# TYPE "), "{}", prometheus.text);
}

#[tokio::test]
async fn readiness_tells_that_the_model_does_not_answer() {
    let config = "[models]\ndefault = \"gone/m\"\n[[models.providers]]\nname = \"gone\"\nkind = \"openai\"\n\
                  base_url = \"http://127.0.0.1:1/v1\"\n";
    let server = Server::start(crate::harness::Options::config(config)).await;
    let ready = server.get("/ready").await.with_status(503).json();
    assert_eq!(ready["status"], "not_ready");
    assert_eq!(ready["inference"]["healthy"], false);
    server.get("/health").await.ok();
}

#[tokio::test]
async fn wrong_fields_are_named_in_the_envelope() {
    let server = Server::assistant().await;
    let body = json!({ "message": "", "temperature": 9 });
    let wrong = server.post("/v1/chat", &body).await.with_status(422).json();
    assert_eq!(wrong["error"]["code"], "VALIDATION_ERROR");
    let fields = wrong["error"]["details"]["fields"].as_array().unwrap();
    let named: Vec<&str> = fields
        .iter()
        .map(|field| field["field"].as_str().unwrap())
        .collect();
    assert_eq!(named, ["message", "temperature"]);
    server
        .post("/v1/chat", &json!({ "message": 7 }))
        .await
        .with_status(400);
}

#[tokio::test]
async fn a_request_id_is_given_back_everywhere() {
    let server = Server::assistant().await;
    let id = "018f5b50-0000-7000-8000-0123456789ab";
    for path in ["/health", "/v1/nowhere", "/api/v1/sessions", "/metrics"] {
        let request = server
            .request(reqwest::Method::GET, path)
            .header("X-Request-Id", id);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.header("x-request-id"), id, "{path}");
        assert_ne!(server.get(path).await.header("x-request-id"), "");
    }
    let unknown = server.get("/v1/nowhere").await.with_status(404);
    assert_eq!(
        unknown.json()["error"]["request_id"],
        unknown.header("x-request-id")
    );
}
