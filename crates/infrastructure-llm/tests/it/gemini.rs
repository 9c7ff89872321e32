//! Google's Gemini protocol.

use majordomo_application::ports::{
    ChatModel, FinishReason, ModelDelta, ModelErrorKind, ResponseFormat, ToolChoice,
};
use majordomo_infrastructure_llm::{GeminiChatModel, ProviderConfig};
use serde_json::json;

use crate::support::*;

const WIRE: &str = r#"data: {"candidates": [{"content": {"parts": [{"text": "**Grüße**\n","thought": true}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 30,"totalTokenCount": 41,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 30}],"thoughtsTokenCount": 11},"modelVersion": "gemini-2.5-flash","responseId": "r1"}

data: {"candidates": [{"content": {"parts": [{"text": "Grüezi 👋"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 30,"candidatesTokenCount": 4,"totalTokenCount": 45,"thoughtsTokenCount": 11},"modelVersion": "gemini-2.5-flash","responseId": "r1"}

data: {"candidates": [{"content": {"parts": [{"functionCall": {"name": "weather","args": {"city": "Zürich"}},"thoughtSignature": "CuoBAVSoXO"},{"functionCall": {"name": "clock","args": {}}}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 30,"candidatesTokenCount": 24,"cachedContentTokenCount": 20,"totalTokenCount": 65,"thoughtsTokenCount": 11},"modelVersion": "gemini-2.5-flash","responseId": "r1"}

"#;

fn expected() -> Vec<ModelDelta> {
    vec![
        reasoning("**Grüße**\n"),
        usage(30, 11, 0),
        text("Grüezi 👋"),
        usage(30, 15, 0),
        call(0, "made-up-0", "weather"),
        arguments(0, "{\"city\": \"Zürich\"}"),
        call(1, "made-up-1", "clock"),
        arguments(1, "{}"),
        usage(30, 35, 20),
        ModelDelta::Finish(FinishReason::ToolCalls),
    ]
}

fn model(config: &ProviderConfig) -> GeminiChatModel {
    GeminiChatModel::new(config).expect("a usable configuration")
}

fn offline() -> GeminiChatModel {
    model(&ProviderConfig::new("acme", "http://localhost:9/v1beta"))
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
fn ends_and_errors_are_typed() {
    let check = |frame: &str, outcome: Result<FinishReason, ModelErrorKind>| {
        let wire = format!("data: {frame}\n\n");
        let found = parse(offline().answer_parser(), &[wire.as_bytes()]);
        match outcome {
            Ok(reason) => assert_eq!(found, Ok(vec![ModelDelta::Finish(reason)]), "{frame}"),
            Err(kind) => assert_eq!(found.expect_err("an error").kind, kind, "{frame}"),
        }
    };
    check(
        r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#,
        Ok(FinishReason::Length),
    );
    check(
        r#"{"candidates":[{"finishReason":"SAFETY"}]}"#,
        Ok(FinishReason::ContentFilter),
    );
    check(
        r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#,
        Err(ModelErrorKind::Malformed),
    );
    check(
        r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}"#,
        Err(ModelErrorKind::Refused),
    );
    check(
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
        Err(ModelErrorKind::Unavailable),
    );
    check(r#"{"candidates":[]}"#, Err(ModelErrorKind::Malformed));
}

#[tokio::test]
async fn the_request_says_everything() {
    let upstream =
        Upstream::start_with(true, |_| vec![Step::Write(streamed(WIRE.as_bytes()))]).await;
    let gemini = model(&upstream.config());
    let mut request = rich_request("gemini-3-pro");
    request.tool_choice = ToolChoice::Named("weather".to_owned());
    request.response_format = ResponseFormat::JsonSchema {
        name: "answer".to_owned(),
        schema: json!({"type": "object"}),
        strict: true,
    };
    let (deltas, error) = ask(&gemini, request).await;
    assert_eq!((with_known_ids(deltas), error), (expected(), None));
    let received = upstream.request(0);
    let head = received.head.to_lowercase();
    assert!(
        head.starts_with(
            "post /base/models/gemini-3-pro:streamgeneratecontent?alt=sse http/1.1\r\n"
        ),
        "{head}"
    );
    assert!(head.contains(&format!("x-goog-api-key: {KEY}\r\n")));
    assert_eq!(
        received.json(),
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [
                    {"text": "What is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}},
                ]},
                {"role": "model", "parts": [
                    {"functionCall": {"name": "weather", "args": {"city": "Zürich"}},
                        "thoughtSignature": "skip_thought_signature_validator"},
                    {"functionCall": {"name": "clock", "args": {}}},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "weather", "response": {"output": "12 °C"}}},
                    {"functionResponse": {"name": "clock", "response": {"error": "broken"}}},
                ]},
            ],
            "tools": [{"functionDeclarations": [{"name": "weather", "description": "Tells the weather",
                "parametersJsonSchema": {"type": "object", "properties": {"city": {"type": "string"}}}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
            "generationConfig": {"temperature": 0.5, "topP": 0.9, "maxOutputTokens": 100,
                "stopSequences": ["END"], "responseMimeType": "application/json",
                "responseJsonSchema": {"type": "object"}},
        })
    );
    ask(&gemini, rich_request("models/gemini-2.5-flash")).await;
    let received = upstream.request(1);
    assert!(
        received
            .head
            .contains("/base/models/gemini-2.5-flash:stream")
    );
    let call = &received.json()["contents"][1]["parts"][0];
    assert_eq!(call.get("thoughtSignature"), None);
}

#[tokio::test]
async fn a_name_cannot_leave_its_place_in_the_path() {
    let upstream = Upstream::start(vec![Step::Write(streamed(WIRE.as_bytes()))]).await;
    let gemini = model(&upstream.config());
    for name in ["../files", "files/x", "models/", ""] {
        let (_, error) = ask(&gemini, hello(name)).await;
        assert_eq!(
            error.expect("an error").kind,
            ModelErrorKind::Invalid,
            "{name}"
        );
    }
    ask(&gemini, hello("a?b#c/../d")).await;
    assert_eq!(upstream.request_count(), 0, "not a collection of models");
    ask(&gemini, hello("a?b#c")).await;
    let head = upstream.request(0).head;
    assert!(
        head.starts_with("POST /base/models/a%3Fb%23c:streamGenerateContent?alt=sse "),
        "{head}"
    );
}

#[tokio::test]
async fn models_are_listed() {
    let body = r#"{"models":[{"name":"models/gemini-2.5-flash","inputTokenLimit":1048576,"supportedGenerationMethods":["generateContent","countTokens"]},{"name":"models/embedding-001","inputTokenLimit":2048,"supportedGenerationMethods":["embedContent"]}]}"#;
    let upstream = Upstream::start(vec![Step::Write(answer("200 OK", "", body))]).await;
    let models = model(&upstream.config()).models().await.expect("models");
    let listed: Vec<_> = models
        .iter()
        .map(|m| (m.id.as_str(), m.context_length))
        .collect();
    assert_eq!(listed, [("gemini-2.5-flash", Some(1_048_576))]);
}
