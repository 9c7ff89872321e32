//! Failures at every stage of a call, the same for all protocols.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use majordomo_application::ports::{ChatModel, ModelError, ModelErrorKind};
use majordomo_infrastructure_llm::{
    AnthropicChatModel, GeminiChatModel, OllamaChatModel, OpenAiChatModel, ProviderConfig,
    ProviderKey,
};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::*;

/// The first event of a harmless answer.
const BEGINNING: &[u8] = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";

fn all(config: &ProviderConfig) -> Vec<Box<dyn ChatModel>> {
    vec![
        Box::new(OpenAiChatModel::new(config).expect("usable")),
        Box::new(AnthropicChatModel::new(config).expect("usable")),
        Box::new(GeminiChatModel::new(config).expect("usable")),
        Box::new(OllamaChatModel::new(config).expect("usable")),
    ]
}

fn openai(config: &ProviderConfig) -> OpenAiChatModel {
    OpenAiChatModel::new(config).expect("usable")
}

fn assert_clean(error: &ModelError) {
    for text in [format!("{error}"), format!("{error:?}")] {
        assert!(!text.contains(KEY), "{text}");
        assert!(!text.contains("127.0.0.1"), "{text}");
        assert!(text.len() < 600, "{text}");
    }
}

/// Every adapter fails with `kind` when the server does `steps`.
async fn check_all(steps: Vec<Step>, kind: ModelErrorKind) {
    let upstream = Upstream::start(steps).await;
    let mut config = upstream.config();
    config.idle_timeout = Duration::from_millis(150);
    for model in all(&config) {
        let (deltas, error) = ask(&*model, hello("m")).await;
        assert_eq!(deltas, []);
        let error = error.expect("an error");
        assert_clean(&error);
        assert_eq!(error.kind, kind, "{error}");
    }
}

async fn check_status(status: &str, headers: &str, body: &str, kind: ModelErrorKind) {
    check_all(vec![Step::Write(answer(status, headers, body))], kind).await;
}

#[tokio::test]
async fn a_refused_connection_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let config = ProviderConfig::new("acme", format!("http://{address}"));
    for model in all(&config) {
        let (_, error) = ask(&*model, hello("m")).await;
        let error = error.expect("an error");
        assert_eq!(error.kind, ModelErrorKind::Unavailable);
        assert_eq!(error.message, "acme: cannot be reached: connection refused");
        let error = model.models().await.expect_err("an error");
        assert_eq!(error.kind, ModelErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn an_unknown_host_is_unavailable() {
    let config = ProviderConfig::new("acme", "http://nowhere.invalid");
    let (_, error) = ask(&openai(&config), hello("m")).await;
    assert_eq!(error.expect("an error").kind, ModelErrorKind::Unavailable);
}

#[tokio::test]
async fn no_tls_on_the_other_side_is_unavailable() {
    let upstream = Upstream::start(vec![]).await;
    let mut config = upstream.config();
    config.base_url = config.base_url.replace("http://", "https://");
    config.connect_timeout = Duration::from_millis(300);
    let (_, error) = ask(&openai(&config), hello("m")).await;
    let error = error.expect("an error");
    assert_eq!(error.kind, ModelErrorKind::Unavailable);
    assert!(error.message.starts_with("acme: cannot be reached: "));
    assert_clean(&error);
}

#[tokio::test]
async fn closing_before_the_headers_is_unavailable() {
    check_all(vec![], ModelErrorKind::Unavailable).await;
    let half = b"HTTP/1.1 200 OK\r\nContent-".to_vec();
    check_all(vec![Step::Write(half)], ModelErrorKind::Unavailable).await;
}

#[tokio::test]
async fn hanging_before_the_headers_is_a_timeout() {
    check_all(vec![Step::Hang], ModelErrorKind::Timeout).await;
}

#[tokio::test]
async fn hanging_after_the_headers_is_a_timeout() {
    let steps = vec![Step::Write(stream_head("text/event-stream")), Step::Hang];
    check_all(steps, ModelErrorKind::Timeout).await;
}

#[tokio::test]
async fn an_empty_answer_is_malformed() {
    let steps = vec![Step::Write(streamed(b""))];
    check_all(steps, ModelErrorKind::Malformed).await;
}

#[tokio::test]
async fn garbage_is_malformed() {
    for garbage in [
        "data: {\"a\":\n\n",
        "data: <html>\n\n{]\n",
        "data: 7\n\n7\n",
    ] {
        let steps = vec![Step::Write(streamed(garbage.as_bytes()))];
        check_all(steps, ModelErrorKind::Malformed).await;
    }
    let invalid_utf8 =
        b"data: {\"type\":\"\xff\",\"candidates\":[\"\xff\"],\"choices\":[\"\xff\"]}\n\n";
    let steps = vec![Step::Write(streamed(invalid_utf8))];
    check_all(steps, ModelErrorKind::Malformed).await;
}

#[tokio::test]
async fn hanging_in_mid_stream_is_an_idle_timeout() {
    let steps = vec![
        Step::Write(stream_head("text/event-stream")),
        Step::Write(chunk(BEGINNING)),
        Step::Hang,
    ];
    let mut upstream = Upstream::start(steps).await;
    let mut config = upstream.config();
    config.idle_timeout = Duration::from_millis(150);
    let begun = Instant::now();
    let (deltas, error) = ask(&openai(&config), hello("m")).await;
    assert_eq!(deltas, [text("Hi")]);
    let error = error.expect("an error");
    assert_eq!(error.kind, ModelErrorKind::Timeout);
    assert_eq!(error.message, "acme: no answer within 0.15 s");
    assert!(begun.elapsed() < Duration::from_secs(1));
    timeout(Duration::from_secs(1), upstream.closed())
        .await
        .expect("the upstream connection is closed");
}

#[tokio::test]
async fn a_stream_that_never_ends_meets_its_deadline() {
    let mut steps = vec![Step::Write(stream_head("text/event-stream"))];
    steps.extend((0..1000).map(|_| Step::Write(chunk(BEGINNING))));
    let upstream = Upstream::start(steps).await;
    let mut config = upstream.config();
    config.total_timeout = Duration::from_millis(200);
    let begun = Instant::now();
    let (deltas, error) = ask(&openai(&config), hello("m")).await;
    assert!(!deltas.is_empty());
    assert_eq!(error.expect("an error").kind, ModelErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_cut_stream_is_malformed() {
    let head = stream_head("text/event-stream");
    // Within the chunked coding, and by a clean end without a finish.
    for end in [&b""[..], b"5\r\nda", b"0\r\n\r\n"] {
        let steps = vec![
            Step::Write(head.clone()),
            Step::Write(chunk(BEGINNING)),
            Step::Write(end.to_vec()),
        ];
        let upstream = Upstream::start(steps).await;
        let (deltas, error) = ask(&openai(&upstream.config()), hello("m")).await;
        assert_eq!(deltas, [text("Hi")]);
        let error = error.expect("an error");
        assert_eq!(error.kind, ModelErrorKind::Malformed);
        assert_eq!(error.message, "acme: the answer broke off before its end");
    }
}

#[tokio::test]
async fn what_came_before_an_error_is_kept() {
    let body = [BEGINNING, b"data: {\"error\":{\"message\":\"boom\"}}\n\n"].concat();
    let upstream = Upstream::start(vec![Step::Write(streamed(&body))]).await;
    let (deltas, error) = ask(&openai(&upstream.config()), hello("m")).await;
    assert_eq!(deltas, [text("Hi")]);
    assert_eq!(error.expect("an error").message, "acme: boom");
}

#[tokio::test]
async fn a_refused_key_is_never_quoted() {
    let body = format!(
        r#"{{"error":{{"message":"Incorrect API key provided: {KEY}.","type":"invalid_request_error","code":"invalid_api_key"}}}}"#
    );
    check_status("401 Unauthorized", "", &body, ModelErrorKind::Auth).await;
    check_status("403 Forbidden", "", &body, ModelErrorKind::Auth).await;
    let gemini = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
    check_status("400 Bad Request", "", gemini, ModelErrorKind::Auth).await;
}

#[tokio::test]
async fn a_key_in_another_error_is_masked() {
    let body = format!(
        r#"{{"error":"bad thing near {KEY} and sk-other at http://u:p@host/x\nsecond line {}"}}"#,
        "x".repeat(500)
    );
    let upstream = Upstream::start(vec![Step::Write(answer("400 Bad Request", "", &body))]).await;
    let (_, error) = ask(&openai(&upstream.config()), hello("m")).await;
    let error = error.expect("an error");
    assert_clean(&error);
    assert!(
        error
            .message
            .starts_with("acme: bad thing near *** and *** at *** second line xxx"),
        "{error}"
    );
    assert!(error.message.ends_with("… (HTTP 400)"), "{error}");
    assert_eq!(error.kind, ModelErrorKind::Invalid);
}

#[tokio::test]
async fn rate_limits_say_when_to_come_back() {
    let limited = |seconds| ModelErrorKind::RateLimited {
        retry_after: Some(Duration::from_millis(seconds)),
    };
    let status = "429 Too Many Requests";
    check_status(status, "Retry-After: 7\r\n", "{}", limited(7000)).await;
    check_status(status, "retry-after-ms: 250\r\n", "{}", limited(250)).await;
    let date =
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n";
    check_status(status, date, "{}", limited(30_000)).await;
    check_status(
        status,
        "Retry-After: 99999999\r\n",
        "{}",
        limited(86_400_000),
    )
    .await;
    let gemini = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}]"#;
    check_status(status, "", gemini, limited(34_000)).await;
    let unknown = ModelErrorKind::RateLimited { retry_after: None };
    check_status(status, "Retry-After: soon\r\n", "busy", unknown).await;
}

#[tokio::test]
async fn a_provider_that_fails_may_say_when_to_come_back() {
    let overloaded = |seconds| ModelErrorKind::Overloaded {
        retry_after: Duration::from_secs(seconds),
    };
    for status in ["500 Oh", "503 Service Unavailable", "529 Overloaded"] {
        check_status(status, "Retry-After: 60\r\n", "{}", overloaded(60)).await;
        check_status(status, "", "{}", ModelErrorKind::Unavailable).await;
    }
}

#[tokio::test]
async fn statuses_and_bodies_are_typed() {
    use ModelErrorKind::{ContextTooLong, Invalid, Refused, Timeout, Unavailable, UnknownModel};
    let cases = [
        (
            "400 Bad Request",
            r#"{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            ContextTooLong,
        ),
        (
            "400 Bad Request",
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
            ContextTooLong,
        ),
        (
            "400 Bad Request",
            r#"{"error":{"code":400,"message":"The input token count (2000000) exceeds the maximum number of tokens allowed (1048575).","status":"INVALID_ARGUMENT"}}"#,
            ContextTooLong,
        ),
        (
            "400 Bad Request",
            r#"{"error":{"message":"flagged","code":"content_policy_violation"}}"#,
            Refused,
        ),
        (
            "404 Not Found",
            r#"{"error":"model \"x\" not found, try pulling it first"}"#,
            UnknownModel,
        ),
        (
            "404 Not Found",
            r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}"#,
            UnknownModel,
        ),
        (
            "400 Bad Request",
            r#"{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}"#,
            UnknownModel,
        ),
        ("404 Not Found", "<html>no such page</html>", Invalid),
        (
            "500 Internal Server Error",
            "<html>oops</html>",
            Unavailable,
        ),
        (
            "529 Overloaded",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Unavailable,
        ),
        ("503 Service Unavailable", "", Unavailable),
        ("504 Gateway Timeout", "", Timeout),
        ("302 Found", "", Invalid),
    ];
    for (status, body, kind) in cases {
        check_status(status, "Location: http://127.0.0.1:1/\r\n", body, kind).await;
    }
}

#[tokio::test]
async fn dropping_the_answer_closes_the_connection() {
    let steps = vec![
        Step::Write(stream_head("text/event-stream")),
        Step::Write(chunk(BEGINNING)),
        Step::Hang,
    ];
    let mut upstream = Upstream::start(steps).await;
    let model = openai(&upstream.config());
    let mut stream = model.stream(hello("m")).await.expect("a stream");
    assert_eq!(stream.next().await, Some(Ok(text("Hi"))));
    drop(stream);
    timeout(Duration::from_millis(100), upstream.closed())
        .await
        .expect("closed within 100 ms");
}

#[tokio::test]
async fn dropping_the_question_closes_the_connection() {
    let mut upstream = Upstream::start(vec![Step::Hang]).await;
    let model = openai(&upstream.config());
    let asked = timeout(Duration::from_millis(200), model.stream(hello("m"))).await;
    assert!(asked.is_err(), "still waiting");
    timeout(Duration::from_millis(100), upstream.closed())
        .await
        .expect("closed within 100 ms");
}

#[tokio::test]
async fn connections_are_used_again() {
    let body = [BEGINNING, b"data: [DONE]\n\n"].concat();
    let upstream = Upstream::start_with(true, move |_| vec![Step::Write(streamed(&body))]).await;
    let model = openai(&upstream.config());
    for _ in 0..5 {
        let mut stream = model.stream(hello("m")).await.expect("a stream");
        while let Some(delta) = stream.next().await {
            delta.expect("a delta");
        }
        // The connection returns to the pool in the background.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(upstream.request_count(), 5);
    assert_eq!(upstream.connection_count(), 1);
}

#[tokio::test]
async fn models_answer_within_the_connect_timeout() {
    let upstream = Upstream::start(vec![Step::Hang]).await;
    let mut config = upstream.config();
    config.connect_timeout = Duration::from_millis(150);
    for model in all(&config) {
        let begun = Instant::now();
        let error = model.models().await.expect_err("an error");
        assert_eq!(error.kind, ModelErrorKind::Timeout);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn without_a_key_the_error_says_so() {
    let upstream = Upstream::start(vec![Step::Write(answer("401 Unauthorized", "", "{}"))]).await;
    let mut config = upstream.config();
    config.api_key = None;
    let (_, error) = ask(&openai(&config), hello("m")).await;
    let message = "acme: an API key is wanted and none is configured (HTTP 401)";
    assert_eq!(error.expect("an error").message, message);
    assert!(
        !upstream
            .request(0)
            .head
            .to_lowercase()
            .contains("authorization")
    );
    config.api_key = Some(ProviderKey::new("other"));
    let (_, error) = ask(&openai(&config), hello("m")).await;
    let message = "acme: the API key is refused (HTTP 401)";
    assert_eq!(error.expect("an error").message, message);
}
