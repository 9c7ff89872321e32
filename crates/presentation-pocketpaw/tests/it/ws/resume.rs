//! Connections that break, and go on where they were.

use majordomo_testkit::{Gate, Script};
use serde_json::json;
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::site::{AGENT_END, STREAM_END, Site, kinds, said};

fn resume(after: u64) -> serde_json::Value {
    json!({ "action": "resume", "run_id": "run-1", "after": after })
}

fn after(frames: &[String], after: u64) -> Vec<String> {
    let seq = |frame: &String| {
        let frame: serde_json::Value = serde_json::from_str(frame).unwrap();
        frame["seq"].as_u64().unwrap()
    };
    frames
        .iter()
        .filter(|frame| seq(frame) > after)
        .cloned()
        .collect()
}

#[actix_web::test]
async fn a_run_goes_on_after_any_frame_with_the_same_bytes() {
    let site = Site::playing([Script::pieces(["One ", "two ", "three"])]).await;
    let mut socket = site.greeted("/ws").await;
    let whole = socket.chat("Count").await;
    for place in 0..4 {
        let mut again = site.greeted("/ws").await;
        again.say(&resume(place)).await;
        assert_eq!(again.until(AGENT_END).await, after(&whole, place));
        let path = format!("/ws?resume_run=run-1&after={place}");
        let mut by_query = site.greeted(&path).await;
        assert_eq!(by_query.until(AGENT_END).await, after(&whole, place));
        by_query.silent().await;
    }
    // Who has the last event already is told that there is no more.
    let mut late = site.greeted("/ws").await;
    late.say(&resume(5)).await;
    assert_eq!(kinds(&[late.text().await]), ["stream_end"]);
}

#[actix_web::test]
async fn the_documented_protocol_resumes_too() {
    let site = Site::playing([Script::pieces(["One ", "two"])]).await;
    let mut socket = site.greeted("/ws").await;
    socket
        .say(&json!({ "type": "chat", "content": "Count" }))
        .await;
    let whole = socket.until(STREAM_END).await;
    let mut again = site.greeted("/ws").await;
    again
        .say(&json!({ "type": "resume", "run_id": "run-1", "after": 2 }))
        .await;
    assert_eq!(again.until(STREAM_END).await, after(&whole, 2));
    let path = "/ws?resume_run=run-1&after=2&protocol=documented";
    let mut by_query = site.greeted(path).await;
    assert_eq!(by_query.until(STREAM_END).await, after(&whole, 2));
    by_query.silent().await;
    let (status, body) = site.refusal("/ws?protocol=other", &[]).await;
    let words = "protocol is neither dashboard nor documented";
    assert_eq!((status, &body["detail"]), (400, &json!(words)));
}

#[actix_web::test]
async fn a_session_can_be_opened_in_the_documented_protocol() {
    let gate = Gate::closed();
    let running = Script::new().text("Par").wait(&gate).text("tial").finish();
    let site = Site::playing([running]).await;
    let path = "/ws?resume_session=websocket_s&protocol=documented";
    let mut socket = site.greeted(path).await;
    socket.json().await;
    socket.say(&json!({ "type": "chat", "content": "1" })).await;
    let before = socket.until("\"Par\"").await;
    drop(socket);
    let mut again = site.greeted(path).await;
    assert_eq!(again.json().await["type"], "session_history");
    gate.open();
    let shown = again.until(STREAM_END).await;
    assert_eq!(shown.first(), before.last());
    assert_eq!(kinds(&shown), ["chunk", "chunk", "stream_end"]);
}

#[actix_web::test]
async fn a_run_outlives_its_connection_and_is_picked_up_alive() {
    let gate = Gate::closed();
    let script = Script::new().text("One ").wait(&gate).text("two").finish();
    let site = Site::playing([script]).await;
    let mut socket = site.greeted("/ws").await;
    socket
        .say(&json!({ "action": "chat", "message": "Count" }))
        .await;
    let before = socket.until("\"One \"").await;
    drop(socket);
    let mut again = site.greeted("/ws").await;
    again.say(&resume(2)).await;
    again.silent().await;
    gate.open();
    let rest = again.until(AGENT_END).await;
    assert_eq!(said(&before) + &said(&rest), "One two");
    assert_eq!(site.world.model.streams().cancelled, 0);
}

#[actix_web::test]
async fn opening_a_session_shows_its_running_turns_without_doubles() {
    let gate = Gate::closed();
    let running = Script::new().text("Par").wait(&gate).text("tial").finish();
    let site = Site::playing([Script::answer("Done."), running, Script::answer("Last.")]).await;
    let mut socket = site.greeted("/ws?resume_session=websocket_s").await;
    socket.json().await;
    socket.chat("1").await;
    for message in ["2", "3"] {
        socket
            .say(&json!({ "action": "chat", "message": message }))
            .await;
    }
    socket.until("\"Par\"").await;
    drop(socket);
    let mut again = site.greeted("/ws?resume_session=websocket_s").await;
    let history = again.json().await;
    let messages = json!([
        { "role": "user", "content": "1" },
        { "role": "assistant", "content": "Done." },
        { "role": "user", "content": "2" },
        { "role": "user", "content": "3" },
    ]);
    assert_eq!(history["messages"], messages);
    gate.open();
    assert_eq!(said(&again.until(AGENT_END).await), "Partial");
    assert_eq!(said(&again.until(AGENT_END).await), "Last.");
    again.silent().await;
}

#[actix_web::test]
async fn switching_away_hides_a_turn_and_switching_back_shows_it_whole() {
    let gate = Gate::closed();
    let running = Script::new().text("Par").wait(&gate).text("tial").finish();
    let site = Site::playing([running]).await;
    let mut socket = site.greeted("/ws?resume_session=a").await;
    socket.json().await;
    socket
        .say(&json!({ "action": "chat", "message": "1" }))
        .await;
    socket.until("\"Par\"").await;
    let switch = |id: &str| json!({ "action": "switch_session", "session_id": id });
    socket.say(&switch("b")).await;
    assert_eq!(socket.json().await["messages"], json!([]));
    socket.say(&switch("a")).await;
    assert_eq!(socket.json().await["messages"][0]["content"], "1");
    gate.open();
    assert_eq!(said(&socket.until(AGENT_END).await), "Partial");
}

#[actix_web::test]
async fn a_run_to_go_on_with_and_its_session_can_both_be_named() {
    let gate = Gate::closed();
    let running = Script::new().text("Par").wait(&gate).text("tial").finish();
    let site = Site::playing([running]).await;
    let mut socket = site.greeted("/ws?resume_session=a").await;
    socket.json().await;
    socket
        .say(&json!({ "action": "chat", "message": "1" }))
        .await;
    socket.until("\"Par\"").await;
    let path = "/ws?resume_session=websocket_a&resume_run=run-1&after=2";
    let mut again = site.greeted(path).await;
    let messages = json!([{ "role": "user", "content": "1" }]);
    assert_eq!(again.json().await["messages"], messages);
    gate.open();
    assert_eq!(said(&again.until(AGENT_END).await), "tial");
}

#[actix_web::test]
async fn a_key_for_chat_alone_resumes_without_history() {
    let site = Site::playing([]).await;
    let key = site.world.key(&["chat"]).await;
    let mut socket = site
        .greeted(&format!("/ws?token={key}&resume_session=s"))
        .await;
    let error = json!({ "type": "error", "content": "API key missing required scope: sessions" });
    assert_eq!(socket.json().await, error);
    socket.say(&json!({ "action": "ping" })).await;
    assert_eq!(socket.json().await["type"], "pong");
}

#[actix_web::test]
async fn a_shutdown_tells_the_end_of_runs_and_says_goodbye() {
    let site = Site::playing([Script::new().text("Half").hang()]).await;
    let mut idle = site.greeted("/ws").await;
    let mut socket = site.greeted("/ws").await;
    socket
        .say(&json!({ "action": "chat", "message": "1" }))
        .await;
    socket.until("\"Half\"").await;
    let chat = site.world.services.chat.clone();
    let (rest, ()) = tokio::join!(
        socket.until(AGENT_END),
        chat.shut_down(Duration::from_secs(5))
    );
    assert_eq!(
        kinds(&rest),
        ["token_usage", "error", "stream_end", "agent_end"]
    );
    assert_eq!(socket.closed().await.unwrap().code, CloseCode::Away);
    assert_eq!(idle.closed().await.unwrap().code, CloseCode::Away);
}
