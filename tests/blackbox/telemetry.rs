//! Spans of the agent's work, as a collector is sent them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Collector, ModelServer, Options, Server, WITHOUT_LIMITS};

async fn server(model: &ModelServer, endpoint: &str) -> Server {
    let config = format!(
        "{WITHOUT_LIMITS}[logging]\notlp_endpoint = \"http://{endpoint}\"\n{}",
        model.settings()
    );
    Server::start(Options::config(config)).await
}

async fn chat(server: &Server, text: &str) -> u16 {
    let body = json!({ "message": text, "conversation_id": "s" });
    server.post("/v1/chat", &body).await.status
}

/// A span's attributes by name, each as the one value it has.
fn attributes(span: &Value) -> BTreeMap<String, Value> {
    let attributes = span["attributes"].as_array().unwrap().iter();
    attributes
        .map(|attribute| {
            let value = attribute["value"].as_object().unwrap();
            assert_eq!(value.len(), 1, "{attribute}");
            let name = attribute["key"].as_str().unwrap().to_owned();
            (name, value.values().next().unwrap().clone())
        })
        .collect()
}

fn named<'a>(spans: &'a [Value], name: &str) -> Vec<&'a Value> {
    spans.iter().filter(|span| span["name"] == name).collect()
}

fn hex(value: &Value, digits: usize) -> &str {
    let text = value.as_str().unwrap();
    assert_eq!(text.len(), digits);
    assert!(text.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
    text
}

#[tokio::test]
async fn a_turn_its_model_calls_and_its_tools_are_one_trace() {
    let (model, collector) = (ModelServer::start().await, Collector::start().await);
    let server = server(&model, &collector.address.to_string()).await;
    let order = r#"CALL calculator {"expression":"6*7"}"#;
    assert_eq!(chat(&server, order).await, 200);
    let spans = collector.turns(1).await;

    let message = &collector.messages()[0]["resourceSpans"][0];
    let resource = attributes(&message["resource"]);
    assert_eq!(resource["service.name"], "majordomo");
    assert!(resource["service.version"].is_string());
    assert_eq!(message["scopeSpans"][0]["scope"]["name"], "majordomo");

    let turn = named(&spans, "invoke_agent majordomo")[0];
    let calls = named(&spans, "chat m");
    let tools = named(&spans, "execute_tool calculator");
    assert_eq!((spans.len(), calls.len(), tools.len()), (4, 2, 1));
    for span in &spans {
        assert_eq!(hex(&span["traceId"], 32), hex(&turn["traceId"], 32));
        hex(&span["spanId"], 16);
        let at = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(at("startTimeUnixNano") <= at("endTimeUnixNano"));
        assert_eq!(span["status"], json!({}), "{span}");
    }
    for part in calls.iter().chain(&tools) {
        assert_eq!(part["parentSpanId"], turn["spanId"]);
    }
    let of_turn = attributes(turn);
    assert_eq!(of_turn["gen_ai.operation.name"], "invoke_agent");
    assert_eq!(of_turn["gen_ai.conversation.id"], "s");
    assert!(of_turn["majordomo.run.id"].is_string());
    assert_eq!(turn["kind"], 1);
    let of_call = attributes(calls[0]);
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("mock")),
        ("gen_ai.request.model", json!("m")),
        ("gen_ai.response.model", json!("m")),
        (
            "gen_ai.response.finish_reasons",
            json!({ "values": [{ "stringValue": "tool_calls" }] }),
        ),
    ] {
        assert_eq!(of_call[name], value, "{name}");
    }
    assert!(
        of_call["gen_ai.usage.input_tokens"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .is_ok()
    );
    assert_eq!(calls[0]["kind"], 3);
    let of_tool = attributes(tools[0]);
    assert_eq!(of_tool["gen_ai.operation.name"], "execute_tool");
    assert_eq!(of_tool["gen_ai.tool.name"], "calculator");
    assert!(of_tool["gen_ai.tool.call.id"].is_string());
    // What is said is nowhere in them.
    assert!(!json!(spans).to_string().contains("6*7"));
}

#[tokio::test]
async fn what_fails_is_marked_and_the_rest_is_sent_at_the_end() {
    let (model, collector) = (ModelServer::start().await, Collector::start().await);
    let mut server = server(&model, &collector.address.to_string()).await;
    assert_eq!(chat(&server, "FAIL 401").await, 502);
    // Nothing waits for the next batch when the server stops.
    assert_eq!(server.stop().await, 0);
    let spans = collector.spans();
    for name in ["invoke_agent majordomo", "chat m"] {
        let span = named(&spans, name)[0];
        assert_eq!(span["status"], json!({ "code": 2 }), "{span}");
        assert_eq!(attributes(span)["error.type"], "auth");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_or_hangs_holds_no_turn_up() {
    let model = ModelServer::start().await;
    // One that takes connections and never answers, and one that is not there.
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for endpoint in [
        hanging.local_addr().unwrap().to_string(),
        "127.0.0.1:9".to_owned(),
    ] {
        let mut server = server(&model, &endpoint).await;
        let begun = Instant::now();
        for _ in 0..20 {
            assert_eq!(chat(&server, "ECHO hello").await, 200);
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{endpoint}");
        // Stopping waits for one answer of the collector at most.
        let begun = Instant::now();
        assert_eq!(server.stop().await, 0);
        assert!(begun.elapsed() < Duration::from_secs(15), "{endpoint}");
    }
}
