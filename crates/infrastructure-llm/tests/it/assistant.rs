//! The built-in assistant.

use std::sync::Arc;

use majordomo_application::ports::{
    ChatModel, Clock, FinishReason, ModelDelta, ModelErrorKind, ModelMessage, ModelRequest,
    ResponseFormat,
};
use majordomo_domain::Timestamp;
use majordomo_infrastructure_llm::BuiltinAssistant;

use crate::support::{ask, hello};

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::parse_rfc3339("2026-02-07T22:30:05Z").expect("a time")
    }
}

fn assistant() -> BuiltinAssistant {
    BuiltinAssistant::new(Arc::new(FixedClock))
}

fn said(deltas: &[ModelDelta]) -> String {
    deltas
        .iter()
        .filter_map(|delta| match delta {
            ModelDelta::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

async fn answer_to(text: &str) -> String {
    let mut request = hello("assistant");
    request.messages = vec![ModelMessage::User {
        text: text.to_owned(),
        images: Vec::new(),
    }];
    let (deltas, error) = ask(&assistant(), request).await;
    assert_eq!(error, None);
    assert_eq!(deltas.last(), Some(&ModelDelta::Finish(FinishReason::Stop)));
    said(&deltas)
}

#[tokio::test]
async fn it_tells_the_time() {
    let utc = "It is Saturday, 7 February 2026, 22:30:05 (UTC).";
    for question in [
        "What time is it?",
        "what's the time",
        "time",
        "Tell me today's date",
        "What day is it today?",
    ] {
        assert_eq!(answer_to(question).await, utc, "{question}");
    }
    let east = "It is Sunday, 8 February 2026, 00:30:05 (UTC+02:00).";
    for question in [
        "What time is it in UTC+2?",
        "what time is it in GMT + 2",
        "current time at +02:00",
    ] {
        assert_eq!(answer_to(question).await, east, "{question}");
    }
    assert_eq!(
        answer_to("time in utc-5:30").await,
        "It is Saturday, 7 February 2026, 17:00:05 (UTC-05:30)."
    );
    let tokyo = answer_to("What time is it in Tokyo?").await;
    assert!(tokyo.starts_with(utc) && tokyo.contains("UTC+2"), "{tokyo}");
    assert!(
        answer_to("what time is it in UTC+99")
            .await
            .contains("(UTC)")
    );
}

#[tokio::test]
async fn it_does_sums() {
    for (question, result) in [
        ("2+2", "2+2 = 4"),
        ("What is 12 * (3 + 4)?", "12 * (3 + 4) = 84"),
        ("how much is 1/4", "1/4 = 0.25"),
        ("0.1+0.2", "0.1+0.2 = 0.3"),
        ("--3 - -3", "--3 - -3 = 6"),
        (
            "1/0",
            "That has no result: it divides by zero or is too large.",
        ),
    ] {
        assert_eq!(answer_to(question).await, result, "{question}");
    }
    for no_sum in [
        "2026-02-07",
        "555-12345",
        "1 + ",
        "(1+2",
        "1..2 + 3",
        "42",
        &"(".repeat(150),
        "1+1 apples",
    ] {
        let answer = answer_to(no_sum).await;
        assert!(
            answer.contains("No model") || answer.contains("no model"),
            "{no_sum}: {answer}"
        );
    }
}

#[tokio::test]
async fn it_is_honest_and_says_how_to_add_a_model() {
    for question in [
        "Write a poem about the sea",
        "Hello, could you please summarise this article for me?",
    ] {
        let answer = answer_to(question).await;
        assert!(
            answer.starts_with("I cannot answer that: no model is configured"),
            "{answer}"
        );
        for needed in [
            "[models]\ndefault = \"openai/gpt-5-mini\"",
            "[[models.providers]]",
            "api_key_env = \"OPENAI_API_KEY\"",
            "ANTHROPIC_API_KEY",
            "GEMINI_API_KEY",
        ] {
            assert!(answer.contains(needed), "{needed}");
        }
    }
    assert!(answer_to("help").await.contains("[[models.providers]]"));
    assert!(answer_to("Hi!").await.starts_with("Hello!"));
    assert!(answer_to("Thanks a lot").await.contains("welcome"));
    assert!(
        answer_to("Who are you?")
            .await
            .contains("built-in assistant")
    );
}

#[tokio::test]
async fn it_streams_word_by_word() {
    let (deltas, _) = ask(&assistant(), hello("assistant")).await;
    let words = deltas.iter().filter(|d| matches!(d, ModelDelta::Text(_)));
    assert!(words.count() > 10);
    assert!(
        deltas
            .iter()
            .all(|d| !matches!(d, ModelDelta::Text(t) if t.is_empty()))
    );
    assert!(said(&deltas).starts_with("Hello! I am"));
    let mut request = hello("assistant");
    request.max_tokens = Some(2);
    let (deltas, _) = ask(&assistant(), request.clone()).await;
    assert_eq!(said(&deltas), "Hello! I ");
    assert_eq!(
        deltas.last(),
        Some(&ModelDelta::Finish(FinishReason::Length))
    );
    request.max_tokens = None;
    request.stop = vec![String::new(), " am".to_owned()];
    let (deltas, _) = ask(&assistant(), request).await;
    assert_eq!(said(&deltas), "Hello! I");
}

#[tokio::test]
async fn it_repeats_what_a_tool_said() {
    let request = ModelRequest::new(
        "assistant",
        vec![ModelMessage::Tool {
            call_id: "1".to_owned(),
            name: "clock".to_owned(),
            content: "half past  ten\n".to_owned(),
            is_error: false,
        }],
    );
    let (deltas, _) = ask(&assistant(), request).await;
    assert_eq!(said(&deltas), "half past  ten\n");
}

#[tokio::test]
async fn it_refuses_what_it_cannot_do() {
    let mut request = hello("assistant");
    request.response_format = ResponseFormat::JsonObject;
    let (_, error) = ask(&assistant(), request).await;
    assert_eq!(error.expect("an error").kind, ModelErrorKind::Invalid);
    let (_, error) = ask(&assistant(), hello("gpt-4o")).await;
    assert_eq!(error.expect("an error").kind, ModelErrorKind::Invalid);
    let models = assistant().models().await.expect("models");
    assert_eq!(models.len(), 1);
    assert_eq!(models[0].id, "assistant");
}
