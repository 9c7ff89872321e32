//! The scripted model plays what was written and tells what happened to it.

use std::time::Duration;

use futures_util::StreamExt as _;
use majordomo_application::ports::{
    ChatModel as _, FinishReason, ModelDelta, ModelError, ModelErrorKind, ModelMessage,
    ModelRequest,
};
use majordomo_testkit::{Gate, Script, ScriptedModel, StreamCounts};

fn request(text: &str) -> ModelRequest {
    ModelRequest::new("scripted", vec![ModelMessage::System(text.to_owned())])
}

fn unavailable() -> ModelError {
    ModelError::new(ModelErrorKind::Unavailable, "The model cannot be reached.")
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    let timeout = tokio::time::timeout(Duration::from_secs(5), work);
    timeout
        .await
        .unwrap_or_else(|_| panic!("nothing happened within 5 s"))
}

#[tokio::test]
async fn scripts_are_played_in_turn_and_requests_recorded() {
    let model = ScriptedModel::playing([
        Script::pieces(["Hel", "lo"]),
        Script::tool_call("call_1", "calculator", "{}"),
    ]);
    let first: Vec<_> = model.stream(request("one")).await.unwrap().collect().await;
    let [Ok(a), Ok(b), Ok(ModelDelta::Usage(_)), Ok(end)] = first.as_slice() else {
        panic!("unexpected answer {first:?}");
    };
    assert_eq!(*a, ModelDelta::Text("Hel".to_owned()));
    assert_eq!(*b, ModelDelta::Text("lo".to_owned()));
    assert_eq!(*end, ModelDelta::Finish(FinishReason::Stop));

    let second: Vec<_> = model.stream(request("two")).await.unwrap().collect().await;
    let end = Ok(ModelDelta::Finish(FinishReason::ToolCalls));
    assert_eq!(second.last(), Some(&end));
    assert_eq!(model.requests(), [request("one"), request("two")]);
    assert_eq!(model.scripts_left(), 0);

    let third = model.stream(request("three")).await.err();
    assert_eq!(third.map(|e| e.kind), Some(ModelErrorKind::Invalid));
}

#[tokio::test]
async fn errors_come_before_or_within_the_answer() {
    let model = ScriptedModel::playing([
        Script::refusal(unavailable()),
        Script::new().text("half").fail(unavailable()).text("never"),
    ]);
    assert_eq!(
        model.stream(request("one")).await.err(),
        Some(unavailable())
    );
    let items: Vec<_> = model.stream(request("two")).await.unwrap().collect().await;
    let half = ModelDelta::Text("half".to_owned());
    assert_eq!(items, [Ok(half), Err(unavailable())]);
    let counts = StreamCounts {
        opened: 1,
        cancelled: 0,
        ended: 1,
    };
    assert_eq!(model.streams(), counts);
}

#[tokio::test]
async fn a_gate_holds_the_answer_back_until_it_opens() {
    let (before, within) = (Gate::closed(), Gate::closed());
    let script = Script::new().wait(&before).text("a").wait(&within).finish();
    let model = ScriptedModel::playing([script]);
    let asking = tokio::spawn({
        let model = model.clone();
        async move { model.stream(request("one")).await }
    });
    soon(model.asked(1)).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!asking.is_finished());
    before.open();
    let mut stream = soon(asking).await.unwrap().unwrap();
    let first = soon(stream.next()).await;
    assert_eq!(first, Some(Ok(ModelDelta::Text("a".to_owned()))));
    let held = tokio::time::timeout(Duration::from_millis(20), stream.next()).await;
    assert!(held.is_err());
    within.open();
    let rest: Vec<_> = soon(stream.collect()).await;
    assert_eq!(rest.len(), 2);
}

#[tokio::test]
async fn a_dropped_stream_is_noticed() {
    let model = ScriptedModel::repeating(Script::new().text("a").hang());
    for count in 1..=2 {
        let mut stream = model.stream(request("one")).await.unwrap();
        assert!(soon(stream.next()).await.is_some());
        let waiting = tokio::spawn({
            let model = model.clone();
            async move { model.cancelled(count).await }
        });
        drop(stream);
        soon(waiting).await.unwrap();
    }
    let counts = StreamCounts {
        opened: 2,
        cancelled: 2,
        ended: 0,
    };
    assert_eq!(model.streams(), counts);
}

#[tokio::test]
async fn a_reader_that_stops_at_the_finish_has_not_cancelled() {
    let model = ScriptedModel::playing([Script::answer("hello")]);
    let mut stream = model.stream(request("one")).await.unwrap();
    while let Some(item) = stream.next().await {
        if matches!(item, Ok(ModelDelta::Finish(_))) {
            break;
        }
    }
    drop(stream);
    assert_eq!(model.streams().cancelled, 0);
    assert_eq!(model.streams().ended, 1);
}

#[tokio::test]
async fn a_pause_takes_its_time() {
    let pause = Duration::from_millis(30);
    let model = ScriptedModel::playing([Script::new().text("a").pause(pause).finish()]);
    let start = tokio::time::Instant::now();
    let stream = model.stream(request("one")).await.unwrap();
    assert_eq!(stream.count().await, 3);
    assert!(start.elapsed() >= pause);
}

#[tokio::test]
async fn the_offer_can_be_set() {
    let model = ScriptedModel::new();
    let offered = model.models().await.unwrap();
    assert_eq!(offered.first().map(|m| m.id.as_str()), Some("scripted"));
    model.offer(Err(unavailable()));
    assert_eq!(model.models().await, Err(unavailable()));
}
