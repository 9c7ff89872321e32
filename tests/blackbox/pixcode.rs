//! Pixcode's door: the search over conversations.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, EventStream, Server};

const PATH: &str = "/api/search/conversations";

async fn with_conversations() -> Server {
    let server = Server::assistant().await;
    for (session, text) in [("zoo", "the quick zebra"), ("farm", "a slow cow")] {
        server
            .post(
                "/v1/chat",
                &json!({ "message": text, "conversation_id": session }),
            )
            .await
            .ok();
    }
    server
}

#[tokio::test]
async fn search_streams_what_it_finds() {
    let server = with_conversations().await;
    let response = server
        .request(Method::GET, &format!("{PATH}?q=zebra"))
        .send()
        .await
        .unwrap();
    let events = EventStream::of(response)
        .await
        .unwrap_or_else(|answer| panic!("{answer:?}"))
        .rest()
        .await;
    assert_eq!(events.last().unwrap().name, "done");
    let result = events
        .iter()
        .find(|event| event.name == "result")
        .unwrap()
        .json();
    let session = &result["projectResult"]["sessions"][0];
    assert_eq!(session["sessionId"], "zoo");
    let found = &session["matches"][0];
    let (snippet, mark) = (found["snippet"].as_str().unwrap(), &found["highlights"][0]);
    let place = |name: &str| usize::try_from(mark[name].as_u64().unwrap()).unwrap();
    let marked: String = snippet
        .chars()
        .skip(place("start"))
        .take(place("end") - place("start"))
        .collect();
    assert_eq!(marked, "zebra");
}

#[tokio::test]
async fn search_answers_json_when_asked() {
    let server = with_conversations().await;
    let ask = async |query: &str| {
        let request = server
            .request(Method::GET, &format!("{PATH}?{query}"))
            .header("Accept", "application/json");
        Answer::of(request.send().await.unwrap()).await
    };
    let found = ask("q=cow").await.ok();
    assert_eq!(found["total"], 1, "{found}");
    assert!(found["results"].to_string().contains("farm"));
    assert_eq!(ask("q=elephant").await.ok()["total"], 0);
    assert!(
        ask("q=x").await.with_status(400).json()["error"].is_object()
            || ask("q=x").await.json()["error"].is_string()
    );
}
