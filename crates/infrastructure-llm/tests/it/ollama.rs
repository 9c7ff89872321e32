//! Ollama's protocol.

use std::time::{Duration, Instant};

use majordomo_application::ports::{
    ChatModel, FinishReason, ModelDelta, ModelErrorKind, ResponseFormat, ToolChoice,
};
use majordomo_domain::{Image, ImageSource};
use majordomo_infrastructure_llm::{OllamaChatModel, ProviderConfig};
use serde_json::json;

use crate::support::*;

const WIRE: &str = r#"{"model":"qwen3:8b","created_at":"2026-01-02T03:04:05.678Z","message":{"role":"assistant","content":"","thinking":"Müßig…"},"done":false}
{"model":"qwen3:8b","created_at":"2026-01-02T03:04:05.778Z","message":{"role":"assistant","content":"Grüezi 👋"},"done":false}
{"model":"qwen3:8b","created_at":"2026-01-02T03:04:05.878Z","message":{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"weather","arguments":{"city":"Zürich"}}},{"function":{"index":1,"name":"clock","arguments":{}}}]},"done":false}
{"model":"qwen3:8b","created_at":"2026-01-02T03:04:05.978Z","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"total_duration":4883583458,"load_duration":1334875,"prompt_eval_count":26,"prompt_eval_duration":342546000,"eval_count":282,"eval_duration":4535599000}
"#;

fn expected() -> Vec<ModelDelta> {
    vec![
        reasoning("Müßig…"),
        text("Grüezi 👋"),
        call(0, "made-up-0", "weather"),
        arguments(0, "{\"city\":\"Zürich\"}"),
        call(1, "made-up-1", "clock"),
        arguments(1, "{}"),
        usage(26, 282, 0),
        ModelDelta::Finish(FinishReason::ToolCalls),
    ]
}

fn model(config: &ProviderConfig) -> OllamaChatModel {
    OllamaChatModel::new(config).expect("a usable configuration")
}

fn offline() -> OllamaChatModel {
    model(&ProviderConfig::new("acme", "http://localhost:9"))
}

#[test]
fn answers_are_the_same_at_every_split() {
    let model = offline();
    assert_every_split(&|| model.answer_parser(), WIRE.as_bytes(), &expected());
}

#[tokio::test]
async fn answers_are_the_same_at_splits_over_tcp() {
    assert_splits_over_tcp(model, WIRE.as_bytes(), &expected()).await;
}

#[test]
fn every_cut_answer_is_malformed() {
    // The line end and the bracket before it are the last two bytes.
    for at in 0..WIRE.len() - 1 {
        let error = parse(offline().answer_parser(), &[&WIRE.as_bytes()[..at]])
            .expect_err("the answer broke off");
        assert_eq!(error.kind, ModelErrorKind::Malformed, "cut at byte {at}");
    }
}

#[test]
fn errors_within_the_stream_are_typed() {
    let wire = "{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"error\":\"an error was encountered while running the model: CUDA error\"}\n";
    let error = parse(offline().answer_parser(), &[wire.as_bytes()]).expect_err("an error");
    assert_eq!(error.kind, ModelErrorKind::Unavailable);
    assert!(error.message.ends_with("CUDA error"));
}

#[tokio::test]
async fn the_request_says_everything() {
    let upstream =
        Upstream::start_with(true, |_| vec![Step::Write(streamed(WIRE.as_bytes()))]).await;
    let ollama = model(&upstream.config());
    let mut request = rich_request("qwen3:8b");
    request.response_format = ResponseFormat::JsonSchema {
        name: "answer".to_owned(),
        schema: json!({"type": "object"}),
        strict: true,
    };
    let (deltas, error) = ask(&ollama, request).await;
    assert_eq!((with_known_ids(deltas), error), (expected(), None));
    let received = upstream.request(0);
    assert!(
        received
            .head
            .starts_with("POST /base/api/chat HTTP/1.1\r\n")
    );
    assert_eq!(
        received.json(),
        json!({
            "model": "qwen3:8b",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What is this?", "images": ["iVBORw0K"]},
                {"role": "assistant", "content": "", "tool_calls": [
                    {"function": {"name": "weather", "arguments": {"city": "Zürich"}}},
                    {"function": {"name": "clock", "arguments": {}}},
                ]},
                {"role": "tool", "tool_name": "weather", "content": "12 °C"},
                {"role": "tool", "tool_name": "clock", "content": "Error: broken"},
            ],
            "stream": true,
            "tools": [{"type": "function", "function": {"name": "weather", "description": "Tells the weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}],
            "format": {"type": "object"},
            "options": {"temperature": 0.5, "top_p": 0.9, "num_predict": 100, "stop": ["END"]},
        })
    );
    let mut request = rich_request("qwen3:8b");
    request.tool_choice = ToolChoice::None;
    ask(&ollama, request).await;
    assert_eq!(upstream.request(1).json().get("tools"), None);
}

#[tokio::test]
async fn an_address_of_a_picture_is_refused() {
    let mut request = hello("m");
    request.messages = vec![majordomo_application::ports::ModelMessage::User {
        text: "Look".to_owned(),
        images: vec![Image {
            source: ImageSource::Url("https://example.org/a.png".to_owned()),
        }],
    }];
    let (_, error) = ask(&offline(), request).await;
    assert_eq!(error.expect("an error").kind, ModelErrorKind::Invalid);
}

#[tokio::test]
async fn models_are_listed_with_what_the_server_tells() {
    let upstream = Upstream::start_with(true, |request| {
        let body = if request.head.contains("/api/tags") {
            r#"{"models":[{"name":"llama3.2:latest","model":"llama3.2:latest","details":{"family":"llama","parameter_size":"3.2B"}},{"name":"slow","details":{"parameter_size":""}}]}"#
        } else if request.json()["model"] == "slow" {
            return vec![Step::Hang];
        } else {
            r#"{"model_info":{"general.architecture":"llama","llama.context_length":131072,"llama.embedding_length":3072}}"#
        };
        vec![Step::Write(answer("200 OK", "", body))]
    })
    .await;
    let mut config = upstream.config();
    config.connect_timeout = Duration::from_millis(300);
    let begun = Instant::now();
    let models = model(&config).models().await.expect("models");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(models.len(), 2);
    assert_eq!(models[0].id, "llama3.2:latest");
    assert_eq!(models[0].parameters.as_deref(), Some("3.2B"));
    assert_eq!(models[0].context_length, Some(131_072));
    assert_eq!((&*models[1].id, models[1].context_length), ("slow", None));
    assert_eq!(models[1].parameters, None);
}
