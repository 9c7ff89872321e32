//! Anthropic's Messages protocol.

use majordomo_application::ports::{
    ChatModel, FinishReason, ModelDelta, ModelErrorKind, ResponseFormat, ToolChoice,
};
use majordomo_infrastructure_llm::{AnthropicChatModel, ProviderConfig};
use serde_json::json;

use crate::support::*;

const WIRE: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":2000,"output_tokens":1,"service_tier":"standard"}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Der Nutzer grüßt…"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqoBCkgIARABGAIi"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grüß dich 👋"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_01","name":"weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"city\": \"Zü"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"rich\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_02","name":"clock","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}

event: message_stop
data: {"type":"message_stop"}

"#;

fn expected() -> Vec<ModelDelta> {
    vec![
        usage(2125, 1, 2000),
        reasoning("Der Nutzer grüßt…"),
        text("Grüß dich 👋"),
        call(0, "toolu_01", "weather"),
        arguments(0, "{\"city\": \"Zü"),
        arguments(0, "rich\"}"),
        call(1, "toolu_02", "clock"),
        arguments(1, "{}"),
        usage(2125, 89, 2000),
        ModelDelta::Finish(FinishReason::ToolCalls),
    ]
}

fn model(config: &ProviderConfig) -> AnthropicChatModel {
    AnthropicChatModel::new(config).expect("a usable configuration")
}

fn offline() -> AnthropicChatModel {
    model(&ProviderConfig::new("acme", "http://localhost:9/v1"))
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
fn stop_reasons_are_understood() {
    for (reason, finish) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("refusal", FinishReason::ContentFilter),
    ] {
        let wire = format!(
            "data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\"}}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
        );
        let deltas = parse(offline().answer_parser(), &[wire.as_bytes()]).expect("an answer");
        assert_eq!(deltas, [ModelDelta::Finish(finish)], "{reason}");
    }
}

#[test]
fn errors_within_the_stream_are_typed() {
    let check = |error: &str, kind: ModelErrorKind| {
        let wire = format!("event: error\ndata: {{\"type\":\"error\",\"error\":{error}}}\n\n");
        let found = parse(offline().answer_parser(), &[wire.as_bytes()]).expect_err("an error");
        assert_eq!(found.kind, kind, "{error}");
    };
    check(
        r#"{"type":"overloaded_error","message":"Overloaded"}"#,
        ModelErrorKind::Unavailable,
    );
    check(
        r#"{"type":"rate_limit_error","message":"Number of tokens exceeded"}"#,
        ModelErrorKind::RateLimited { retry_after: None },
    );
    check(
        r#"{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}"#,
        ModelErrorKind::ContextTooLong,
    );
    check(
        r#"{"type":"authentication_error","message":"invalid x-api-key"}"#,
        ModelErrorKind::Auth,
    );
    check(
        r#"{"type":"timeout_error","message":"took too long"}"#,
        ModelErrorKind::Timeout,
    );
}

#[tokio::test]
async fn the_request_says_everything() {
    let upstream = Upstream::start(vec![Step::Write(streamed(WIRE.as_bytes()))]).await;
    let mut request = rich_request("claude-sonnet-4-5");
    request.tool_choice = ToolChoice::Required;
    request.temperature = Some(1.5);
    request.response_format = ResponseFormat::JsonSchema {
        name: "answer".to_owned(),
        schema: json!({"type": "object"}),
        strict: true,
    };
    let (deltas, error) = ask(&model(&upstream.config()), request).await;
    assert_eq!((deltas, error), (expected(), None));
    let received = upstream.request(0);
    let head = received.head.to_lowercase();
    assert!(head.starts_with("post /base/messages http/1.1\r\n"));
    assert!(head.contains(&format!("x-api-key: {KEY}\r\n")));
    assert!(head.contains("anthropic-version: 2023-06-01\r\n"));
    assert_eq!(
        received.json(),
        json!({
            "model": "claude-sonnet-4-5",
            "max_tokens": 100,
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Zürich"}},
                    {"type": "tool_use", "id": "c2", "name": "clock", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "12 °C", "is_error": false},
                    {"type": "tool_result", "tool_use_id": "c2", "content": "broken", "is_error": true},
                ]},
            ],
            "stream": true,
            "tools": [{"name": "weather", "description": "Tells the weather",
                "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}],
            "tool_choice": {"type": "any"},
            "temperature": 1.0,
            "top_p": 0.9,
            "stop_sequences": ["END"],
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        })
    );
}

#[tokio::test]
async fn models_are_listed() {
    let body = r#"{"data":[{"type":"model","id":"claude-sonnet-4-5","display_name":"Claude Sonnet 4.5","created_at":"2025-09-29T00:00:00Z","max_input_tokens":200000}],"has_more":false,"first_id":"x","last_id":"x"}"#;
    let upstream = Upstream::start(vec![Step::Write(answer("200 OK", "", body))]).await;
    let models = model(&upstream.config()).models().await.expect("models");
    assert_eq!(models.len(), 1);
    assert_eq!(models[0].id, "claude-sonnet-4-5");
    assert_eq!(models[0].context_length, Some(200_000));
}
