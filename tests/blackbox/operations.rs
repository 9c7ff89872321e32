//! What the operator sees: events that go on over a cut, the errors that were logged, log lines that name request and run.

use std::io::Write as _;
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Event, EventStream, ModelServer, Options, PATIENCE, Server, WITHOUT_LIMITS, skipped,
    within,
};

const EVENTS: &str = "/api/v1/events/stream";

async fn listen(server: &Server, after: Option<&str>) -> EventStream {
    let request = server.request(Method::GET, EVENTS);
    let request = match after {
        Some(id) => request.header("Last-Event-ID", id),
        None => request,
    };
    let response = request.send().await.unwrap();
    EventStream::of(response)
        .await
        .unwrap_or_else(|answer| panic!("no event stream: {answer:?}"))
}

/// Events up to the end of a run.
async fn up_to_the_end(stream: &mut EventStream) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let next = within(PATIENCE, "an event comes", stream.next()).await;
        let event = next.expect("the stream broke off").expect("it has ended");
        let last = event.name == "agent_end";
        events.push(event);
        if last {
            return events;
        }
    }
}

async fn say(server: &Server, text: &str) -> Value {
    let body = json!({ "content": text, "session_id": "s" });
    server.post("/api/v1/chat", &body).await.ok()
}

#[tokio::test]
async fn the_event_stream_goes_on_over_a_cut() {
    let model = ModelServer::start().await;
    let mut server = Server::with_model(&model).await;
    let mut stream = listen(&server, None).await;
    say(&server, "COUNT 3 1 word").await;
    let first = up_to_the_end(&mut stream).await;
    let names: Vec<&str> = first.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "connected",
            "agent_start",
            "thinking",
            "thinking_done",
            "token_usage",
            "agent_end"
        ]
    );
    drop(stream);
    say(&server, "COUNT 3 1 word").await;
    let place = first.last().unwrap().id.clone().unwrap();
    let mut again = listen(&server, Some(&place)).await;
    let missed = up_to_the_end(&mut again).await;
    assert_eq!(missed.len(), first.len());
    assert_ne!(
        missed[1].json()["data"]["trace_id"],
        first[1].json()["data"]["trace_id"]
    );
    // From every place of the first run the rest of it comes, and then the second.
    for (place, event) in first.iter().enumerate() {
        let Some(id) = &event.id else { continue };
        let mut again = listen(&server, Some(id)).await;
        let rest = if place + 1 < first.len() {
            up_to_the_end(&mut again).await
        } else {
            vec![again.next().await.unwrap().unwrap()]
        };
        let bytes = |events: &[Event]| events.iter().map(|e| e.raw.clone()).collect::<Vec<_>>();
        assert_eq!(bytes(&rest[1..]), bytes(&first[place + 1..]));
    }
    // Stopping ends the stream, and does not wait for those who listen.
    assert_eq!(server.stop().await, 0);
    assert!(
        within(PATIENCE, "the stream ends", again.next())
            .await
            .unwrap()
            .is_none()
    );
}

/// Asks without reading the body.
async fn head(server: &Server, path: &str) -> Answer {
    let request = server.request(Method::HEAD, path).send().await.unwrap();
    Answer::of(request).await
}

#[tokio::test]
async fn head_answers_on_the_wire_as_get_without_the_body() {
    let server = Server::assistant().await;
    for path in [
        "/health",
        "/ready",
        "/metrics",
        "/api/v1/version",
        "/v1/models",
        EVENTS,
    ] {
        let answer = head(&server, path).await.with_status(200);
        assert_eq!(answer.text, "", "{path}");
    }
    let whole = server.get("/api/v1/version").await;
    let length = head(&server, "/api/v1/version").await;
    assert_eq!(
        length.header("content-length"),
        whole.text.len().to_string()
    );
    // The connection is fit for the next request.
    assert_eq!(server.get("/health").await.status, 200);
}

#[tokio::test]
async fn log_lines_name_request_and_run_and_errors_are_kept_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("config.toml");
    std::fs::write(&blocked, "").unwrap();
    let mut server = Server::start(Options::config(format!(
        "{WITHOUT_LIMITS}[logging]\nformat = \"json\"\nlevel = \"debug\"\n\
         [models]\ndefault = \"gone/model\"\n\
         [[models.providers]]\nname = \"gone\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9\"\n"
    )))
    .await;
    let id = "0191d3c0-0000-7000-8000-000000000001";
    let body = json!({ "content": "hi", "session_id": "s" });
    let request = server.request(Method::POST, "/api/v1/chat").json(&body);
    let answer = request.header("X-Request-Id", id).send().await.unwrap();
    assert!(answer.status().is_server_error(), "{}", answer.status());
    // The log is written as it happens.
    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert!(!lines.is_empty(), "{log}");
    let spans = |line: &Value, name: &str| {
        let spans = line["spans"].as_array().cloned().unwrap_or_default();
        spans.into_iter().find(|span| span["name"] == name)
    };
    let named = lines.iter().any(|line| {
        spans(line, "request").is_some_and(|span| span["id"] == id)
            && spans(line, "run").is_some_and(|span| span["id"].is_string())
    });
    assert!(named, "no line of the run names both: {log}");
    let errors = server.get("/api/v1/health/errors").await.ok();
    let count = errors.as_array().unwrap().len();
    server.stop().await;
    server.restart().await;
    let kept = server.get("/api/v1/health/errors?limit=500").await.ok();
    assert!(kept.as_array().unwrap().len() >= count);
    let told = server.get("/api/v1/health/check").await;
    assert_eq!(told.status, 405);
    let health = server.post("/api/v1/health/check", &json!({})).await.ok();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["issues"][0]["check_id"], "llm_reachable");
    let cleared = server.delete("/api/v1/health/errors").await.ok();
    assert_eq!(cleared, json!({ "cleared": true }));
    let machine = server.get("/api/v1/metrics/system").await.ok();
    assert_eq!(machine["available"], cfg!(target_os = "linux"));
}

/// The page of metrics is one that Prometheus reads, by the word of its own tool where that is installed.
#[tokio::test]
async fn prometheus_reads_the_page_of_metrics() {
    /// What `promtool` ends with when it reads the page and would have named something otherwise: the names are those
    /// that dashboards know.
    const OTHER_NAMES_ADVISED: i32 = 3;

    let server = Server::assistant().await;
    say(&server, "hello").await;
    let page = server.get("/metrics/prometheus").await.with_status(200);
    let promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        skipped("promtool is not installed");
        return;
    };
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(page.text.as_bytes()).unwrap();
    drop(input);
    let said = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr);
    let code = said.status.code();
    assert!(matches!(code, Some(0 | OTHER_NAMES_ADVISED)), "{words}");
    for advice in words.lines() {
        assert!(
            advice.contains("_ms") || advice.contains("_total"),
            "{advice}"
        );
    }
}
