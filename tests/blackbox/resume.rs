//! A stream that was cut goes on exactly where it stopped, byte for byte, on every door.

use serde_json::{Value, json};

use crate::harness::{Event, ModelServer, Server, Socket};

/// The doors that stream over HTTP: where, and what is said how.
fn doors(text: &str, session: &str) -> [(&'static str, Value); 3] {
    let messages = json!([{ "role": "user", "content": text }]);
    let metadata = json!({ "session_id": session });
    [
        (
            "/api/v1/chat/stream",
            json!({ "content": text, "session_id": session }),
        ),
        (
            "/v1/chat/stream",
            json!({ "message": text, "conversation_id": session }),
        ),
        (
            "/v1/chat/completions",
            json!({ "model": "majordomo", "messages": messages, "stream": true, "metadata": metadata }),
        ),
    ]
}

fn bytes(events: &[Event]) -> String {
    events
        .iter()
        .map(|event| String::from_utf8(event.raw.clone()).unwrap())
        .collect()
}

fn beginning(id: &str) -> String {
    format!("{}.0", id.rsplit_once('.').unwrap().0)
}

/// Reads the whole stream, then asks for its rest from every place in it, while and after the run.
#[tokio::test]
async fn a_stream_resumed_anywhere_has_the_same_bytes() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    for (number, (path, body)) in doors("COUNT 12 5 word", "s").into_iter().enumerate() {
        let mut stream = server.stream(path, &body).await;
        let mut whole = vec![stream.next().await.unwrap().unwrap()];
        let first = whole[0].id.clone().unwrap();
        let early = server.resume(path, &first).await;
        whole.extend(stream.rest().await);
        assert_eq!(
            bytes(&early.rest().await),
            bytes(&whole[1..]),
            "{path}: while it runs"
        );
        let replay = server.resume(path, &beginning(&first)).await.rest().await;
        assert_eq!(bytes(&replay), bytes(&whole), "{path}: from the beginning");
        for place in 0..whole.len() - 1 {
            let id = whole[place].id.clone().unwrap();
            // Frames of one event share its id: who has the first of them is given the others.
            if place > 0 && whole[place - 1].id.as_ref() == Some(&id) {
                continue;
            }
            let rest = server.resume(path, &id).await.rest().await;
            assert_eq!(
                bytes(&rest),
                bytes(&whole[place + 1..]),
                "{path}: after {place}"
            );
        }
        assert_eq!(model.requests().len(), number + 1, "nothing is asked twice");
    }
}

/// The client goes away in the middle; the run goes on without it.
#[tokio::test]
async fn a_run_outlives_its_client() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    for (number, (path, body)) in doors("COUNT 20 10 word", "s").into_iter().enumerate() {
        let mut stream = server.stream(path, &body).await;
        let event = loop {
            let event = stream.next().await.unwrap().unwrap();
            if event.data.contains("word-1 ") || event.data.contains("word-2 ") {
                break event;
            }
        };
        drop(stream);
        let rest = server
            .resume(path, event.id.as_deref().unwrap())
            .await
            .rest()
            .await;
        assert!(bytes(&rest).contains("word-19 "), "{path}");
        assert_eq!(server.history("s").await.len(), 2 * (number + 1));
    }
    assert_eq!(model.dropped_so_far(), 0, "the model is asked to the end");
}

#[tokio::test]
async fn a_socket_resumed_anywhere_shows_the_same_frames() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    let mut socket = Socket::open(&server, "/ws").await;
    socket
        .send(&json!({ "action": "chat", "message": "COUNT 12 5 word" }))
        .await
        .unwrap();
    let whole = run_frames(&mut socket).await;
    let run = whole[0]["run_id"].as_str().unwrap().to_owned();
    let last = whole.last().unwrap()["seq"].as_u64().unwrap();
    for after in 0..last {
        let mut again = Socket::open(&server, &format!("/ws?resume_run={run}&after={after}")).await;
        let expected: Vec<&Value> = whole
            .iter()
            .filter(|frame| frame["seq"].as_u64().unwrap() > after)
            .collect();
        assert_eq!(
            run_frames(&mut again).await.iter().collect::<Vec<_>>(),
            expected,
            "after {after}"
        );
        socket
            .send(&json!({ "action": "resume", "run_id": run, "after": after }))
            .await
            .unwrap();
        assert_eq!(
            run_frames(&mut socket).await.iter().collect::<Vec<_>>(),
            expected,
            "after {after}"
        );
    }
}

/// The frames of a run, up to the very last.
async fn run_frames(socket: &mut Socket) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        let frame = socket.next().await;
        if frame["run_id"].is_string() {
            let is_last = frame["event_type"] == "agent_end";
            frames.push(frame);
            if is_last {
                return frames;
            }
        }
    }
}

/// A run belongs to who started it; to others it does not exist.
#[tokio::test]
async fn a_place_that_does_not_exist_is_refused() {
    let server = Server::assistant().await;
    for (path, _) in doors("", "") {
        let request = server
            .request(reqwest::Method::GET, path)
            .header("Last-Event-ID", "no-such-run.3");
        assert_eq!(
            request.send().await.unwrap().status().as_u16(),
            404,
            "{path}"
        );
    }
}
