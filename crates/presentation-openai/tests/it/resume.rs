//! Streams of the agent that go on where they were cut.

use actix_web::test::TestRequest;
use majordomo_testkit::{Script, ScriptedModel};
use serde_json::{Value, json};

use crate::support::{Answered, BOB, MASTER, World, as_caller, completion};

fn body() -> Value {
    json!({
        "model": "majordomo", "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "Hi" }]
    })
}

async fn streamed() -> (World, Answered) {
    let script = Script::new().reasoning("Hm.").text("He").text("llo");
    let world = World::new(ScriptedModel::playing([script.finish()])).await;
    let answer = world.complete(&body()).await;
    (world, answer)
}

fn frames(answer: &Answered) -> Vec<String> {
    answer
        .text()
        .split_inclusive("\n\n")
        .map(str::to_owned)
        .collect()
}

#[actix_web::test]
async fn a_stream_cut_after_any_event_goes_on_with_the_same_bytes() {
    let (world, whole) = streamed().await;
    let frames = frames(&whole);
    assert_eq!(frames.len(), 7);
    let seq = |frame: &str| {
        frame
            .lines()
            .next()
            .unwrap()
            .rsplit_once('.')
            .unwrap()
            .1
            .to_owned()
    };
    // Up to the first frame of the last event; the two after it bear the same number.
    for cut in 0..=frames.len() - 2 {
        let after = cut
            .checked_sub(1)
            .map_or("0".to_owned(), |last| seq(&frames[last]));
        let rest = frames[cut..].concat();
        let path = format!("/v1/chat/completions?run=run-1&after={after}&include_usage=true");
        let answer = world.get(&path).await;
        assert_eq!(answer.text(), rest, "GET after {after}");
        assert_eq!(answer.header("x-session-id"), "session-1");

        let request =
            completion(&body(), MASTER).insert_header(("last-event-id", format!("run-1.{after}")));
        assert_eq!(world.send(request).await.text(), rest, "POST after {after}");
    }
    assert_eq!(world.model.requests().len(), 1);
}

#[actix_web::test]
async fn a_run_is_found_by_its_owner_only() {
    let (world, _) = streamed().await;
    let not_found = json!({ "error": {
        "message": "Run not found", "type": "invalid_request_error", "param": null, "code": "run_not_found"
    } });
    let path = "/v1/chat/completions?run=run-1&after=0";
    let answer = world
        .send(as_caller(TestRequest::get().uri(path), BOB))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (404, not_found.clone())
    );
    let answer = world.get("/v1/chat/completions?run=run-9").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (404, not_found));
    let answer = world.get("/v1/chat/completions").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["param"], "run");
}
