//! Vectors of texts.

use majordomo_application::Caller;
use majordomo_application::ports::{Embedder as _, ModelError, ModelErrorKind};
use majordomo_domain::{BudgetLimit, BudgetPeriod, BudgetSubject, CredentialKind};
use majordomo_testkit::{HashingEmbedder, ScriptedModel};
use serde_json::{Value, json};

use crate::support::{Answered, MASTER, Relayed, World, embedding};

async fn world() -> World {
    World::new(ScriptedModel::new()).await
}

async fn ask(world: &World, body: &Value) -> Answered {
    world.send(embedding(body.to_string(), MASTER)).await
}

#[track_caller]
fn assert_error(answer: &Answered, status: u16, code: &str, param: &Value, message: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["param"], *param, "{error}");
    assert!(
        error["message"].as_str().unwrap().contains(message),
        "{error}"
    );
}

#[actix_web::test]
async fn create_embedding_answers_in_openais_form() {
    let world = world().await;
    let mini = &world.embedder;
    for name in ["builtin/mini", "mini"] {
        let body = json!({ "model": name, "input": ["A cat", "ü"], "user": "me" });
        let answer = ask(&world, &body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "application/json");
        let mut json = answer.json();
        for (index, text) in ["A cat", "ü"].into_iter().enumerate() {
            let vector = json["data"][index]["embedding"].take();
            let vector: Vec<f32> = serde_json::from_value(vector).unwrap();
            assert_eq!(vector, mini.vector(text));
        }
        let embedding = |index| json!({ "object": "embedding", "index": index, "embedding": null });
        assert_eq!(
            json,
            json!({
                "object": "list",
                "data": [embedding(0), embedding(1)],
                "model": name,
                "usage": { "prompt_tokens": 3, "total_tokens": 3 },
            })
        );
    }
    let counts = world.services.inference.read();
    assert_eq!((counts.succeeded, counts.input_tokens), (2, 6));
}

#[actix_web::test]
async fn create_embedding_takes_one_text_and_gives_base64_and_fewer_numbers() {
    let world = world().await;
    let answer = ask(
        &world,
        &json!({ "model": "vectors/any", "input": "one", "encoding_format": "base64", "dimensions": 2 }),
    )
    .await;
    assert_eq!(answer.status, 200);
    let vector = HashingEmbedder::new("any", 2).vector("one");
    let bytes: Vec<u8> = vector.iter().flat_map(|n| n.to_le_bytes()).collect();
    let data = &answer.json()["data"];
    assert_eq!(data[0]["embedding"], base64(&bytes));
    assert_eq!(data.as_array().unwrap().len(), 1);
    let explicit = json!({ "model": "vectors/any", "input": "one", "encoding_format": "float" });
    let answer = ask(&world, &explicit).await;
    let vector = HashingEmbedder::new("any", 4).vector("one");
    assert_eq!(answer.json()["data"][0]["embedding"], json!(vector));
}

/// An independent writing of base64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let three = |group: &[u8]| {
        let bits = (0..3).fold(0_u32, |bits, i| {
            (bits << 8) | u32::from(group.get(i).copied().unwrap_or(0))
        });
        let letters = (0..4_usize).map(move |i| (bits >> (18 - 6 * i)) & 63);
        let letters = letters.map(|six| char::from(LETTERS[usize::try_from(six).unwrap()]));
        let text: String = letters.take(group.len() + 1).collect();
        format!("{text:=<4}")
    };
    bytes.chunks(3).map(three).collect()
}

#[actix_web::test]
async fn create_embedding_passes_on_with_only_the_model_renamed() {
    let reply = r#"{"object":"list",  "data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    let world = World::relaying(vec![Relayed::Whole(reply)]).await;
    // Lists of tokens, and what nobody here has heard of.
    let sent = "{ \"input\" : [[1, 2],[3]], \"model\":\"mock\\/org/deep\", \"odd\":1.50 }";
    let answer = world.send(embedding(sent, MASTER)).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, reply));
    let renamed = sent.replace("mock\\/org/deep", "org/deep");
    assert_eq!(
        world.relay.asked.lock().unwrap()[0],
        (renamed.into(), false)
    );
    assert_eq!(world.services.inference.read().input_tokens, 5);
}

#[actix_web::test]
async fn create_embedding_tells_of_models_that_do_not_exist() {
    let world = world().await;
    for name in [
        "nobody/nothing",
        "unheard-of",
        "scripted",
        "builtin/assistant",
        "majordomo",
        "majordomo/mock/gpt-x",
    ] {
        let answer = ask(&world, &json!({ "model": name, "input": "x" })).await;
        let message = format!("The model `{name}` does not exist");
        assert_error(&answer, 404, "model_not_found", &Value::Null, &message);
    }
    assert!(world.relay.asked.lock().unwrap().is_empty());
}

#[actix_web::test]
async fn create_embedding_refuses_bad_bodies() {
    let world = world().await;
    let of = |input: Value| json!({ "model": "mini", "input": input });
    let many = vec!["x"; 2049];
    let cases = [
        (
            json!({ "input": "x" }),
            "missing_required_parameter",
            "model",
        ),
        (
            json!({ "model": "mini" }),
            "missing_required_parameter",
            "input",
        ),
        (json!({ "model": 7, "input": "x" }), "invalid_type", "model"),
        (of(json!({})), "invalid_value", "input"),
        (of(json!([])), "invalid_value", "input"),
        (of(json!("")), "invalid_value", "input"),
        (of(json!(["x", ""])), "invalid_value", "input[1]"),
        (of(json!([1, 2, 3])), "invalid_value", "input"),
        (of(json!([[1, 2], [3]])), "invalid_value", "input"),
        (of(json!(["x", 1])), "invalid_value", "input"),
        (of(json!(many)), "invalid_value", "input"),
        (
            json!({ "model": "mini", "input": "x", "encoding_format": "int8" }),
            "invalid_value",
            "encoding_format",
        ),
        (
            json!({ "model": "mini", "input": "x", "dimensions": 0 }),
            "invalid_value",
            "dimensions",
        ),
        (
            json!({ "model": "mini", "input": "x", "dimensions": "3" }),
            "invalid_type",
            "dimensions",
        ),
        // The server's own model has vectors of three numbers.
        (
            json!({ "model": "mini", "input": "x", "dimensions": 4 }),
            "invalid_value",
            "dimensions",
        ),
    ];
    for (body, code, param) in cases {
        let answer = ask(&world, &body).await;
        assert_error(&answer, 400, code, &json!(param), "");
    }
    let texts = ask(&world, &of(json!([[1, 2]]))).await;
    assert!(
        texts
            .text()
            .contains("this model reads texts, not lists of tokens")
    );
    for broken in ["", "[]", "{\"model\":", "\"mini\""] {
        let answer = world.send(embedding(broken, MASTER)).await;
        assert_eq!(answer.status, 400, "{broken}");
    }
    let plain = embedding("{}", MASTER).insert_header(("content-type", "text/plain"));
    assert_eq!(world.send(plain).await.status, 415);
    let large = embedding(vec![b' '; 10 * 1024 * 1024 + 1], MASTER);
    assert_eq!(world.send(large).await.status, 413);
}

#[actix_web::test]
async fn create_embedding_tells_what_goes_wrong_at_the_model() {
    let world = world().await;
    let body = json!({ "model": "mini", "input": "x" });
    world.embedder.fail_with(ModelErrorKind::ContextTooLong);
    let answer = ask(&world, &body).await;
    assert_error(
        &answer,
        400,
        "context_length_exceeded",
        &json!("input"),
        "told to fail",
    );
    world.embedder.fail_with(ModelErrorKind::Unavailable);
    let answer = ask(&world, &body).await;
    assert_error(&answer, 503, "unavailable", &Value::Null, "told to fail");
    let limited = ModelErrorKind::RateLimited { retry_after: None };
    let world = World::relaying(vec![
        Relayed::Error(ModelError::new(limited, "mock: slower")),
        Relayed::Error(ModelError::new(ModelErrorKind::UnknownModel, "mock: none")),
    ])
    .await;
    let body = json!({ "model": "mock/gpt-x", "input": "x" });
    let answer = ask(&world, &body).await;
    assert_error(&answer, 429, "rate_limit_exceeded", &Value::Null, "slower");
    assert_eq!(answer.header("retry-after"), "30");
    let answer = ask(&world, &body).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]["code"]),
        (404, &json!("model_not_found"))
    );
    assert_eq!(world.services.inference.read().failed, 2);
}

#[actix_web::test]
async fn create_embedding_wants_the_scope_of_chats() {
    let world = world().await;
    let body = json!({ "model": "mini", "input": "x" }).to_string();
    let chat = world.key(&["chat"]).await;
    assert_eq!(world.send(embedding(body.clone(), &chat)).await.status, 200);
    let other = world.key(&["sessions", "memory"]).await;
    let answer = world.send(embedding(body, &other)).await;
    assert_eq!(answer.status, 403);
    assert_eq!(world.embedder.calls().len(), 1);
    assert_eq!(world.embedder.model(), "mini");
}

#[actix_web::test]
async fn a_used_up_budget_embeds_nothing() {
    let reply = r#"{"data":[],"usage":{"prompt_tokens":90,"total_tokens":90}}"#;
    let world = World::relaying(vec![Relayed::Whole(reply)]).await;
    let operator = Caller::operator(CredentialKind::MasterToken);
    let subject = BudgetSubject::User(operator.user.clone());
    let limit = BudgetLimit {
        tokens: Some(100),
        cost: None,
    };
    let budgets = world.services.usage.budgets();
    let set = budgets.set_limit(&operator, subject, BudgetPeriod::Day, limit);
    set.await.unwrap();
    let body = json!({ "model": "mock/gpt-x", "input": "few words" });
    assert_eq!(ask(&world, &body).await.status, 200);
    world.services.usage.accounting().flush().await;
    let long = json!({ "model": "mini", "input": "x".repeat(100) });
    let answer = ask(&world, &long).await;
    assert_error(&answer, 429, "insufficient_quota", &Value::Null, "");
    assert_eq!(world.embedder.calls(), []);
}
