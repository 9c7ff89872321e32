//! Embedding models: what goes over the wire, what comes back, and every way to fail.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use majordomo_application::ports::{
    ChatModel, Embedder, EmbeddingModel, EmbeddingRole, Embeddings, ModelError, ModelErrorKind,
};
use majordomo_infrastructure_llm::{
    AnthropicChatModel, GeminiChatModel, OllamaChatModel, OpenAiChatModel, ProviderConfig,
};
use serde_json::{Value, json};

use crate::support::*;

/// `[0.5, -0.25]` and `[1.0, 0.0]` as OpenAI answers, the vectors in another order than the texts.
const OPENAI: &str = r#"{"object":"list","data":[
    {"object":"embedding","index":1,"embedding":"AACAPwAAAAA="},
    {"object":"embedding","index":0,"embedding":"AAAAPwAAgL4="}],
    "model":"text-embedding-3-small","usage":{"prompt_tokens":7,"total_tokens":7}}"#;

const OLLAMA: &str = r#"{"model":"all-minilm","embeddings":[[0.5,-0.25],[1,0.0]],
    "total_duration":14143917,"load_duration":1019500,"prompt_eval_count":7}"#;

const GEMINI: &str = r#"{"embeddings":[{"values":[0.5,-0.25]},{"values":[1,0.0]}]}"#;

type Make = fn(&ProviderConfig) -> Arc<dyn ChatModel>;

const OPENAI_MODEL: Make = |config| Arc::new(OpenAiChatModel::new(config).expect("usable"));
const OLLAMA_MODEL: Make = |config| Arc::new(OllamaChatModel::new(config).expect("usable"));
const GEMINI_MODEL: Make = |config| Arc::new(GeminiChatModel::new(config).expect("usable"));
const ALL: [Make; 3] = [OPENAI_MODEL, OLLAMA_MODEL, GEMINI_MODEL];

fn embedder(make: Make, config: &ProviderConfig, model: EmbeddingModel) -> Arc<dyn Embedder> {
    let provider = make(config);
    let embeddings = provider.embeddings().expect("embeddings");
    embeddings.embedder(model)
}

fn texts() -> Vec<String> {
    vec!["Hello".to_owned(), "Grüße \"quoted\"".to_owned()]
}

/// What the embedder makes of `answer`, and the request it made.
async fn exchange(
    make: Make,
    body: &str,
    model: EmbeddingModel,
    role: EmbeddingRole,
) -> (Result<Embeddings, ModelError>, Received) {
    let upstream = Upstream::start(vec![Step::Write(answer("200 OK", "", body))]).await;
    let embedder = embedder(make, &upstream.config(), model);
    let result = embedder.embed(&texts(), role).await;
    (result, upstream.request(0))
}

fn expected(input_tokens: Option<u64>) -> Embeddings {
    Embeddings {
        vectors: vec![vec![0.5, -0.25], vec![1.0, 0.0]],
        input_tokens,
    }
}

fn assert_posted(request: &Received, path: &str, header: &str) {
    let head = request.head.to_lowercase();
    assert!(
        head.starts_with(&format!("post /base/{path} http/1.1\r\n")),
        "{head}"
    );
    assert!(head.contains(header), "{head}");
}

#[tokio::test]
async fn openai_embeds() {
    let mut model = EmbeddingModel::new("text-embedding-3-small");
    let document = EmbeddingRole::Document;
    let (result, request) = exchange(OPENAI_MODEL, OPENAI, model.clone(), document).await;
    assert_eq!(result, Ok(expected(Some(7))));
    assert_posted(
        &request,
        "embeddings",
        &format!("authorization: bearer {KEY}\r\n"),
    );
    let mut body = json!({
        "model": "text-embedding-3-small",
        "input": ["Hello", "Grüße \"quoted\""],
        "encoding_format": "base64",
    });
    assert_eq!(request.json(), body);
    model.dimensions = Some(2);
    let (result, request) = exchange(OPENAI_MODEL, OPENAI, model, EmbeddingRole::Query).await;
    assert_eq!(result, Ok(expected(Some(7))));
    body["dimensions"] = json!(2);
    assert_eq!(request.json(), body);
}

#[tokio::test]
async fn a_compatible_server_that_answers_with_numbers_and_without_indexes_is_read() {
    let body = r#"{"data":[{"embedding":[0.5,-0.25]},{"embedding":[1,0]}]}"#;
    let model = EmbeddingModel::new("m");
    let (result, _) = exchange(OPENAI_MODEL, body, model, EmbeddingRole::Document).await;
    assert_eq!(result, Ok(expected(None)));
}

#[tokio::test]
async fn ollama_embeds() {
    let mut model = EmbeddingModel::new("all-minilm");
    model.dimensions = Some(2);
    let (result, request) = exchange(OLLAMA_MODEL, OLLAMA, model, EmbeddingRole::Query).await;
    assert_eq!(result, Ok(expected(Some(7))));
    assert_posted(&request, "api/embed", "content-type: application/json\r\n");
    let body = json!({
        "model": "all-minilm",
        "input": ["Hello", "Grüße \"quoted\""],
        "truncate": true,
        "dimensions": 2,
    });
    assert_eq!(request.json(), body);
}

#[tokio::test]
async fn gemini_embeds() {
    let mut model = EmbeddingModel::new("gemini-embedding-001");
    let document = EmbeddingRole::Document;
    let (result, request) = exchange(GEMINI_MODEL, GEMINI, model.clone(), document).await;
    assert_eq!(result, Ok(expected(None)));
    assert_posted(
        &request,
        "models/gemini-embedding-001:batchembedcontents",
        &format!("x-goog-api-key: {KEY}\r\n"),
    );
    let part = |text: &str| {
        json!({
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": text}]},
            "taskType": "RETRIEVAL_DOCUMENT",
        })
    };
    let parts = json!({"requests": [part("Hello"), part("Grüße \"quoted\"")]});
    assert_eq!(request.json(), parts);
    model.dimensions = Some(2);
    let (_, request) = exchange(GEMINI_MODEL, GEMINI, model, EmbeddingRole::Query).await;
    let part = &request.json()["requests"][1];
    assert_eq!(part["taskType"], "RETRIEVAL_QUERY");
    assert_eq!(part["outputDimensionality"], 2);
}

#[tokio::test]
async fn a_name_that_is_no_gemini_model_is_invalid_and_asks_nobody() {
    let upstream = Upstream::start(vec![]).await;
    for name in ["", "files/x", "models/"] {
        let model = EmbeddingModel::new(name);
        let embedder = embedder(GEMINI_MODEL, &upstream.config(), model);
        let error = embedder.embed(&texts(), EmbeddingRole::Query).await;
        assert_eq!(error.expect_err(name).kind, ModelErrorKind::Invalid);
    }
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn anthropic_has_no_embeddings() {
    let config = ProviderConfig::new("acme", "http://127.0.0.1:1");
    let model = AnthropicChatModel::new(&config).expect("usable");
    assert!(model.embeddings().is_none());
}

#[tokio::test]
async fn an_embedder_is_called_by_its_provider_and_model() {
    let config = ProviderConfig::new("acme", "http://127.0.0.1:1");
    for make in ALL {
        let mut model = EmbeddingModel::new("m/n");
        model.max_batch = 5000;
        let embedder = embedder(make, &config, model);
        assert_eq!(embedder.model(), "acme/m/n");
        assert!(
            embedder.max_batch() < 5000,
            "no more than the provider allows"
        );
    }
}

#[tokio::test]
async fn batches_are_bounded_and_no_text_asks_nobody() {
    let upstream = Upstream::start(vec![]).await;
    for make in ALL {
        let mut model = EmbeddingModel::new("m");
        model.max_batch = 1;
        let embedder = embedder(make, &upstream.config(), model);
        let error = embedder.embed(&texts(), EmbeddingRole::Query).await;
        assert_eq!(error.expect_err("too many").kind, ModelErrorKind::Invalid);
        let nothing = embedder.embed(&[], EmbeddingRole::Query).await;
        assert_eq!(nothing, Ok(Embeddings::default()));
    }
    assert_eq!(upstream.request_count(), 0);
}

/// Two vectors in every protocol.
fn answers(first: Value, second: Value) -> [(Make, String); 3] {
    let openai =
        json!({"data": [{"index": 0, "embedding": first}, {"index": 1, "embedding": second}]});
    let ollama = json!({"embeddings": [first, second]});
    let gemini = json!({"embeddings": [{"values": first}, {"values": second}]});
    [
        (OPENAI_MODEL, openai.to_string()),
        (OLLAMA_MODEL, ollama.to_string()),
        (GEMINI_MODEL, gemini.to_string()),
    ]
}

async fn assert_malformed(make: Make, body: &str, model: EmbeddingModel) {
    let (result, _) = exchange(make, body, model, EmbeddingRole::Document).await;
    let error = result.expect_err(body);
    assert_eq!(error.kind, ModelErrorKind::Malformed, "{body}: {error}");
    assert!(error.message.starts_with("acme: "), "{error}");
}

#[tokio::test]
async fn vectors_that_cannot_be_used_are_malformed() {
    let cases = [
        (json!([1.0, 2.0]), json!([1.0])),
        (json!([]), json!([])),
        (json!([1.0, null]), json!([1.0, 2.0])),
        (json!([1.0, "x"]), json!([1.0, 2.0])),
        // Too large for 32 bits.
        (json!([1.0, 1e300]), json!([1.0, 2.0])),
        (json!(7), json!([1.0, 2.0])),
    ];
    for (first, second) in cases {
        for (make, body) in answers(first.clone(), second) {
            assert_malformed(make, &body, EmbeddingModel::new("m")).await;
        }
    }
}

#[tokio::test]
async fn a_wrong_count_or_another_length_than_asked_for_is_malformed() {
    let single = [
        (OPENAI_MODEL, r#"{"data":[{"index":0,"embedding":[1.0]}]}"#),
        (OLLAMA_MODEL, r#"{"embeddings":[[1.0]]}"#),
        (GEMINI_MODEL, r#"{"embeddings":[{"values":[1.0]}]}"#),
    ];
    for (make, body) in single {
        assert_malformed(make, body, EmbeddingModel::new("m")).await;
    }
    for make in ALL {
        for body in [
            "{}",
            "{\"data\":[],\"embeddings\":[]}",
            "[]",
            "<html>",
            "{\"embed",
        ] {
            assert_malformed(make, body, EmbeddingModel::new("m")).await;
        }
    }
    for (make, body) in answers(json!([1.0, 2.0]), json!([1.0, 2.0])) {
        let mut model = EmbeddingModel::new("m");
        model.dimensions = Some(3);
        assert_malformed(make, &body, model).await;
    }
}

#[tokio::test]
async fn openai_vectors_that_are_misnumbered_or_no_base64_are_malformed() {
    let pair = |a: &str, b: &str| {
        format!(r#"{{"data":[{{{a}"embedding":[1.0]}},{{{b}"embedding":[1.0]}}]}}"#)
    };
    let bodies = [
        pair(r#""index":0,"#, r#""index":0,"#),
        pair(r#""index":1,"#, r#""index":2,"#),
        pair(r#""index":-1,"#, r#""index":0,"#),
        r#"{"data":[{"embedding":"AAAAPwAAgL4="},{"embedding":"AAAAPwAAgL"}]}"#.to_owned(),
        r#"{"data":[{"embedding":"AAAAPw=="},{"embedding":"AAAAPwA="}]}"#.to_owned(),
        // A quiet NaN.
        r#"{"data":[{"embedding":"AADAfw=="},{"embedding":"AAAAPw=="}]}"#.to_owned(),
    ];
    for body in bodies {
        assert_malformed(OPENAI_MODEL, &body, EmbeddingModel::new("m")).await;
    }
}

fn assert_clean(error: &ModelError) {
    for text in [format!("{error}"), format!("{error:?}")] {
        assert!(!text.contains(KEY), "{text}");
        assert!(!text.contains("127.0.0.1"), "{text}");
    }
}

/// Every protocol fails with `kind` when the server does `steps`.
async fn check_all(steps: Vec<Step>, kind: ModelErrorKind) {
    let upstream = Upstream::start(steps).await;
    for make in ALL {
        let mut model = EmbeddingModel::new("m");
        model.timeout = Duration::from_millis(150);
        let embedder = embedder(make, &upstream.config(), model);
        let error = embedder.embed(&texts(), EmbeddingRole::Document).await;
        let error = error.expect_err("an error");
        assert_clean(&error);
        assert_eq!(error.kind, kind, "{error}");
    }
}

#[tokio::test]
async fn statuses_are_typed_errors() {
    let of =
        |status: &str, headers: &str, body: &str| vec![Step::Write(answer(status, headers, body))];
    let wait = Some(Duration::from_secs(7));
    let limited = ModelErrorKind::RateLimited { retry_after: wait };
    check_all(
        of("429 Too Many Requests", "Retry-After: 7\r\n", "{}"),
        limited,
    )
    .await;
    for status in ["500 Oh", "502 Bad Gateway", "503 Service Unavailable"] {
        check_all(of(status, "", "<html>"), ModelErrorKind::Unavailable).await;
    }
    let quoting = format!(r#"{{"error":{{"message":"Incorrect API key: {KEY}"}}}}"#);
    check_all(of("401 Unauthorized", "", &quoting), ModelErrorKind::Auth).await;
    let unknown = r#"{"error":"model \"m\" not found, try pulling it first"}"#;
    check_all(
        of("404 Not Found", "", unknown),
        ModelErrorKind::UnknownModel,
    )
    .await;
    let too_long = [
        r#"{"error":{"message":"Invalid 'input[1]': maximum input length is 8192 tokens.","type":"invalid_request_error"}}"#,
        r#"{"error":"the input length exceeds the context length"}"#,
        r#"{"error":{"code":400,"message":"The input token count (9000) exceeds the maximum number of tokens allowed (2048).","status":"INVALID_ARGUMENT"}}"#,
    ];
    for body in too_long {
        check_all(
            of("400 Bad Request", "", body),
            ModelErrorKind::ContextTooLong,
        )
        .await;
    }
    let invalid = r#"{"error":{"message":"this model does not support embeddings"}}"#;
    check_all(of("400 Bad Request", "", invalid), ModelErrorKind::Invalid).await;
    let in_band = r#"{"error":{"message":"Upstream is down","code":502}}"#;
    check_all(of("200 OK", "", in_band), ModelErrorKind::Unavailable).await;
    let moved = of("307 Moved", "Location: http://127.0.0.1:1/\r\n", "");
    check_all(moved, ModelErrorKind::Invalid).await;
}

#[tokio::test]
async fn silence_is_a_timeout_and_breaking_off_is_an_error() {
    check_all(vec![Step::Hang], ModelErrorKind::Timeout).await;
    let head = stream_head("application/json");
    let half = vec![
        Step::Write(head.clone()),
        Step::Write(chunk(b"{\"embeddings\":[")),
    ];
    let hanging = [half.clone(), vec![Step::Hang]].concat();
    check_all(hanging, ModelErrorKind::Timeout).await;
    check_all(half, ModelErrorKind::Malformed).await;
    check_all(vec![], ModelErrorKind::Unavailable).await;
}

#[tokio::test]
async fn a_refused_connection_is_unavailable() {
    let config = ProviderConfig::new("acme", "http://127.0.0.1:1");
    for make in ALL {
        let embedder = embedder(make, &config, EmbeddingModel::new("m"));
        let error = embedder.embed(&texts(), EmbeddingRole::Document).await;
        let error = error.expect_err("an error");
        assert_eq!(error.kind, ModelErrorKind::Unavailable, "{error}");
        assert_clean(&error);
    }
}

#[tokio::test]
async fn an_embeddings_request_is_passed_on_as_it_is() {
    let question = &b"{ \"model\":\"x\" ,\"input\":[[1,2]] }"[..];
    let reply = "{ \"data\":  [] } ";
    let upstream = Upstream::start(vec![Step::Write(answer("200 OK", "", reply))]).await;
    let provider = OPENAI_MODEL(&upstream.config());
    let relay = provider.embeddings().expect("embeddings");
    let relay = relay.embedding_relay().expect("a relay");
    let body = relay.relay_embeddings(Bytes::from_static(question)).await;
    assert_eq!(body.expect("an answer"), reply);
    let request = upstream.request(0);
    assert_eq!(request.body, question);
    assert_posted(
        &request,
        "embeddings",
        &format!("authorization: bearer {KEY}\r\n"),
    );
}

#[tokio::test]
async fn a_passed_on_request_that_is_refused_is_a_typed_error_and_only_openai_passes_on() {
    let body = r#"{"error":{"message":"no such model","code":"model_not_found"}}"#;
    let steps = vec![Step::Write(answer("404 Not Found", "", body))];
    let upstream = Upstream::start(steps).await;
    let provider = OPENAI_MODEL(&upstream.config());
    let relay = provider.embeddings().and_then(|e| e.embedding_relay());
    let error = relay.expect("a relay").relay_embeddings(Bytes::new()).await;
    assert_eq!(
        error.expect_err("an error").kind,
        ModelErrorKind::UnknownModel
    );
    for make in [OLLAMA_MODEL, GEMINI_MODEL] {
        let provider = make(&upstream.config());
        let embeddings = provider.embeddings().expect("embeddings");
        assert!(embeddings.embedding_relay().is_none());
    }
}
