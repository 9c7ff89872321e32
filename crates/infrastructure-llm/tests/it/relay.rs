//! Passing chat completions on unchanged.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use majordomo_application::ports::{ChatModel, CompletionRelay, ModelErrorKind, RelayBody};
use majordomo_infrastructure_llm::{AnthropicChatModel, OpenAiChatModel};
use tokio::time::timeout;

use crate::support::*;

fn model(upstream: &Upstream) -> OpenAiChatModel {
    OpenAiChatModel::new(&upstream.config()).expect("usable")
}

fn relay(model: &OpenAiChatModel) -> &dyn CompletionRelay {
    ChatModel::relay(model).expect("a relay")
}

#[tokio::test]
async fn a_whole_answer_is_passed_on_as_it_is() {
    // Not even valid JSON: nothing is read or written anew.
    let (question, reply) = (
        &b"{ \"model\":\"x\" ,  \"odd\": 1 }"[..],
        "{ \"id\":  \"1\" } ",
    );
    let upstream = Upstream::start(vec![Step::Write(answer("200 OK", "", reply))]).await;
    let model = model(&upstream);
    let response = relay(&model)
        .relay(Bytes::from_static(question), false)
        .await
        .expect("an answer");
    assert_eq!(response.content_type, "application/json");
    let RelayBody::Whole(body) = response.body else {
        panic!("a whole body");
    };
    assert_eq!(body, reply);
    let received = upstream.request(0);
    assert_eq!(received.body, question);
    assert!(
        received
            .head
            .to_lowercase()
            .contains(&format!("authorization: bearer {KEY}\r\n"))
    );
}

#[tokio::test]
async fn a_whole_answer_in_pieces_is_put_together() {
    let steps = vec![
        Step::Write(stream_head("application/json")),
        Step::Write(chunk(b"{\"a\":")),
        Step::Write(chunk(b"1")),
        Step::Write(chunk(b"}")),
        Step::Write(chunk(b"")),
    ];
    let upstream = Upstream::start(steps).await;
    let model = model(&upstream);
    let response = relay(&model)
        .relay(Bytes::new(), false)
        .await
        .expect("an answer");
    let RelayBody::Whole(body) = response.body else {
        panic!("a whole body");
    };
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn a_stream_is_passed_on_piece_by_piece() {
    let steps = vec![
        Step::Write(stream_head("text/event-stream; charset=utf-8")),
        Step::Write(chunk(b"data: anything\n\n")),
        Step::Hang,
    ];
    let mut upstream = Upstream::start(steps).await;
    let model = model(&upstream);
    let response = relay(&model)
        .relay(Bytes::new(), true)
        .await
        .expect("an answer");
    assert_eq!(response.content_type, "text/event-stream; charset=utf-8");
    let RelayBody::Stream(mut pieces) = response.body else {
        panic!("a stream");
    };
    let first = pieces.next().await.expect("a piece").expect("bytes");
    assert_eq!(first, "data: anything\n\n");
    drop(pieces);
    timeout(Duration::from_millis(100), upstream.closed())
        .await
        .expect("closed within 100 ms");
}

#[tokio::test]
async fn failures_are_typed() {
    let body = r#"{"error":{"message":"no such model","code":"model_not_found"}}"#;
    let upstream = Upstream::start(vec![Step::Write(answer("404 Not Found", "", body))]).await;
    let relayed = relay(&model(&upstream)).relay(Bytes::new(), true).await;
    let error = relayed.err().expect("an error");
    assert_eq!(error.kind, ModelErrorKind::UnknownModel);
    assert_eq!(error.message, "acme: no such model (HTTP 404)");

    let steps = vec![
        Step::Write(stream_head("text/event-stream")),
        Step::Write(chunk(b"data: a\n\n")),
        Step::Hang,
    ];
    let upstream = Upstream::start(steps).await;
    let mut config = upstream.config();
    config.idle_timeout = Duration::from_millis(100);
    let hanging = OpenAiChatModel::new(&config).expect("usable");
    let response = relay(&hanging)
        .relay(Bytes::new(), true)
        .await
        .expect("an answer");
    let RelayBody::Stream(pieces) = response.body else {
        panic!("a stream");
    };
    let pieces: Vec<_> = pieces.collect().await;
    assert_eq!(pieces.len(), 2);
    assert_eq!(
        pieces[1].as_ref().expect_err("an error").kind,
        ModelErrorKind::Timeout
    );
}

#[tokio::test]
async fn a_slow_whole_answer_is_not_idle() {
    // The answer takes longer than the idle timeout; only the total timeout counts when nothing streams.
    let mut steps: Vec<Step> = (0..100).map(|_| Step::Write(Vec::new())).collect();
    steps.push(Step::Write(answer("200 OK", "", "{}")));
    let upstream = Upstream::start(steps).await;
    let mut config = upstream.config();
    config.idle_timeout = Duration::from_millis(50);
    let slow = OpenAiChatModel::new(&config).expect("usable");
    assert!(relay(&slow).relay(Bytes::new(), false).await.is_ok());
}

#[tokio::test]
async fn other_protocols_have_no_relay() {
    let upstream = Upstream::start(vec![]).await;
    let model = AnthropicChatModel::new(&upstream.config()).expect("usable");
    assert!(model.relay().is_none());
}
