//! OpenAI's chat-completions protocol.

use majordomo_application::ports::{
    ChatModel, FinishReason, ModelDelta, ModelErrorKind, ResponseFormat, ToolChoice,
};
use majordomo_domain::{Image, ImageSource};
use majordomo_infrastructure_llm::{OpenAiChatModel, ProviderConfig};
use serde_json::json;

use crate::support::*;

const WIRE: &str = r#": OPENROUTER PROCESSING

data: {"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A1","choices":[{"index":0,"delta":{"reasoning_content":"Überlegen…"},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A1","choices":[{"index":0,"delta":{"content":"Grüezi 👋"},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A1","choices":[{"index":0,"delta":{"content":" \"q\"\n\u00e9\ud83d\ude00"},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_abc","type":"function","function":{"name":"weather","arguments":""}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A1","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_def","type":"function","function":{"name":"clock","arguments":""}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A1","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Zürich\"}"}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-A1","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"usage":null}

data: {"id":"chatcmpl-A1","choices":[],"usage":{"prompt_tokens":82,"completion_tokens":17,"total_tokens":99,"prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4}}}

data: [DONE]

"#;

fn expected() -> Vec<ModelDelta> {
    vec![
        reasoning("Überlegen…"),
        text("Grüezi 👋"),
        text(" \"q\"\né😀"),
        call(0, "call_abc", "weather"),
        arguments(0, "{\"city\":"),
        call(1, "call_def", "clock"),
        arguments(0, "\"Zürich\"}"),
        usage(82, 17, 64),
        arguments(1, "{}"),
        ModelDelta::Finish(FinishReason::ToolCalls),
    ]
}

fn model(config: &ProviderConfig) -> OpenAiChatModel {
    OpenAiChatModel::new(config).expect("a usable configuration")
}

fn offline() -> OpenAiChatModel {
    model(&ProviderConfig::new("acme", "http://localhost:9/v1"))
}

fn parse_lines(
    lines: &[&str],
) -> Result<Vec<ModelDelta>, majordomo_application::ports::ModelError> {
    let wire = format!("data: {}\n\n", lines.join("\n\ndata: "));
    parse(offline().answer_parser(), &[wire.as_bytes()]).map(with_known_ids)
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
fn every_cut_answer_is_malformed_or_whole() {
    let model = offline();
    let finish = WIRE
        .find("\"finish_reason\":\"tool_calls\"")
        .expect("a finish reason");
    for at in 0..WIRE.len() {
        let outcome = parse(model.answer_parser(), &[&WIRE.as_bytes()[..at]]);
        if at < finish {
            let error = outcome.expect_err("the answer broke off");
            assert_eq!(error.kind, ModelErrorKind::Malformed, "cut at byte {at}");
        } else if let Err(error) = outcome {
            assert_eq!(error.kind, ModelErrorKind::Malformed, "cut at byte {at}");
        }
    }
}

#[test]
fn servers_that_count_tool_calls_otherwise_are_understood() {
    // Every call under index 0, told apart by its id.
    let deltas = parse_lines(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    ])
    .expect("a whole answer");
    let expected = [
        call(0, "a", "f"),
        arguments(0, "{\"x\":1}"),
        call(1, "b", "g"),
        arguments(1, "{}"),
        ModelDelta::Finish(FinishReason::ToolCalls),
    ];
    assert_eq!(deltas, expected);
    // Neither index nor id.
    let deltas = parse_lines(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":"{\"y\""}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":":2}"}}]},"finish_reason":"tool_calls"}]}"#,
        "[DONE]",
    ])
    .expect("a whole answer");
    let expected = [
        call(0, "made-up-0", "f"),
        arguments(0, "{}"),
        call(1, "made-up-1", "g"),
        arguments(1, "{\"y\""),
        arguments(1, ":2}"),
        ModelDelta::Finish(FinishReason::ToolCalls),
    ];
    assert_eq!(deltas, expected);
}

#[test]
fn reasoning_that_is_sent_under_two_names_is_read_once() {
    let deltas = parse_lines(&[
        r#"{"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm"}}]}"#,
        r#"{"choices":[{"delta":{"content":"a","reasoning":"ha","reasoning_content":null}}]}"#,
        r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"length"}]}"#,
    ])
    .expect("a whole answer");
    let expected = [
        reasoning("hm"),
        reasoning("ha"),
        text("a"),
        text("b"),
        ModelDelta::Finish(FinishReason::Length),
    ];
    assert_eq!(deltas, expected);
}

#[test]
fn errors_within_the_stream_are_typed() {
    let check = |line: &str, kind: ModelErrorKind, message: &str| {
        let error = parse_lines(&[line]).expect_err("an error");
        assert_eq!(error.kind, kind, "{line}");
        assert_eq!(error.message, message);
    };
    check(
        r#"{"error":{"message":"The server is overloaded","type":"server_error","code":null}}"#,
        ModelErrorKind::Unavailable,
        "acme: The server is overloaded",
    );
    check(
        r#"{"error":{"message":"slow down","code":429}}"#,
        ModelErrorKind::RateLimited { retry_after: None },
        "acme: slow down",
    );
    check(
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#,
        ModelErrorKind::ContextTooLong,
        "acme: This model's maximum context length is 8192 tokens.",
    );
    check(
        r#"{"choices":[{"delta":{"content":7}}]}"#,
        ModelErrorKind::Malformed,
        "acme: a part of the answer does not fit the protocol",
    );
    check(
        "garbage",
        ModelErrorKind::Malformed,
        "acme: a part of the answer is not JSON",
    );
}

#[test]
fn a_frame_without_end_is_refused() {
    let mut parser = offline().answer_parser();
    let piece = vec![b'x'; 64 * 1024];
    let error = (0..100)
        .find_map(|_| parser.push(&piece).err())
        .expect("a limit");
    assert_eq!(error.kind, ModelErrorKind::Malformed);
}

#[tokio::test]
async fn the_request_says_everything() {
    let upstream = Upstream::start(vec![Step::Write(streamed(WIRE.as_bytes()))]).await;
    let mut request = rich_request("gpt-4o");
    request.tool_choice = ToolChoice::Named("weather".to_owned());
    request.response_format = ResponseFormat::JsonSchema {
        name: "answer".to_owned(),
        schema: json!({"type": "object"}),
        strict: true,
    };
    let (deltas, error) = ask(&model(&upstream.config()), request).await;
    assert_eq!((deltas, error), (expected(), None));
    let received = upstream.request(0);
    let head = received.head.to_lowercase();
    assert!(head.starts_with("post /base/chat/completions http/1.1\r\n"));
    assert!(head.contains(&format!("authorization: bearer {KEY}\r\n")));
    assert!(head.contains("content-type: application/json\r\n"));
    let function = json!({"name": "weather", "description": "Tells the weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}});
    assert_eq!(
        received.json(),
        json!({
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
                ]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Zürich\"}"}},
                    {"id": "c2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "12 °C"},
                {"role": "tool", "tool_call_id": "c2", "content": "Error: broken"},
            ],
            "stream": true,
            "stream_options": {"include_usage": true},
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 100,
            "stop": ["END"],
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}},
        })
    );
}

#[tokio::test]
async fn the_limit_has_the_name_that_the_model_knows() {
    for (name, field) in [
        ("o3-mini", "max_completion_tokens"),
        ("openai/gpt-5.1", "max_completion_tokens"),
        ("gpt-4.1", "max_tokens"),
        ("olmo-2", "max_tokens"),
        ("llama-3.3", "max_tokens"),
    ] {
        let upstream = Upstream::start(vec![Step::Write(streamed(WIRE.as_bytes()))]).await;
        let mut request = hello(name);
        request.max_tokens = Some(5);
        request.messages = vec![majordomo_application::ports::ModelMessage::User {
            text: String::new(),
            images: vec![Image {
                source: ImageSource::Url("https://example.org/a.png".to_owned()),
            }],
        }];
        ask(&model(&upstream.config()), request).await;
        let body = upstream.request(0).json();
        assert_eq!(body[field], 5, "{name}");
        assert_eq!(
            body["messages"][0]["content"],
            json!([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}])
        );
    }
}

#[tokio::test]
async fn models_are_listed() {
    let body = r#"{"object":"list","data":[{"id":"gpt-4o","object":"model","created":1,"owned_by":"openai"},{"id":"llama","max_model_len":8192}]}"#;
    let upstream = Upstream::start(vec![Step::Write(answer("200 OK", "", body))]).await;
    let models = model(&upstream.config()).models().await.expect("models");
    let listed: Vec<_> = models
        .iter()
        .map(|m| (m.id.as_str(), m.context_length))
        .collect();
    assert_eq!(listed, [("gpt-4o", None), ("llama", Some(8192))]);
    assert!(
        upstream
            .request(0)
            .head
            .starts_with("GET /base/models HTTP/1.1\r\n")
    );
}
