//! What must hold after the kills.

use std::collections::HashMap;

use serde_json::Value;

use super::client::{Client, Conversation, Door, Sent};
use crate::harness::{Server, counted, parse_events};

/// Checks every conversation against what the server has stored.
pub(super) async fn conversations(server: &Server, conversations: &[Conversation]) {
    let (mut acknowledged, mut answers, mut streams) = (0, 0, 0);
    for conversation in conversations {
        let history = server.history(&conversation.session).await;
        users_messages(conversation, &history);
        acknowledged += conversation
            .sent
            .iter()
            .filter(|sent| sent.acknowledged)
            .count();
        answers += answers_of(conversation, &history);
        streams += resumed_streams(server, conversation, &history).await;
    }
    assert!(
        acknowledged > 0 && answers > 0 && streams > 0,
        "{acknowledged} {answers} {streams}"
    );
}

/// Every acknowledged message is there once, in the order in which it was said; others at most once.
fn users_messages(conversation: &Conversation, history: &[(String, String)]) {
    let stored: Vec<&String> = history
        .iter()
        .filter(|(role, _)| role == "user")
        .map(|(_, text)| text)
        .collect();
    let mut rest = stored.iter();
    for sent in &conversation.sent {
        let is_stored = stored.contains(&&sent.text);
        assert!(
            is_stored || !sent.acknowledged,
            "lost in {}: {sent:?}",
            conversation.session
        );
        if is_stored {
            assert_eq!(
                rest.next(),
                Some(&&sent.text),
                "out of order or doubled in {}",
                conversation.session
            );
        }
    }
    assert_eq!(rest.next(), None, "doubled in {}", conversation.session);
}

fn tag(sent: &Sent) -> &str {
    sent.text.rsplit(' ').next().unwrap()
}

/// What the model answers when it is heard out.
fn whole_answer(sent: &Sent) -> String {
    let count = sent.text.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    counted(tag(sent), count)
}

/// Every message has at most one answer, after it; it begins as the model's does, and is the one that was told whole.
/// Gives how many answers there are.
fn answers_of(conversation: &Conversation, history: &[(String, String)]) -> usize {
    let mut answers: HashMap<&str, (usize, &str)> = HashMap::new();
    for (place, (_, text)) in history
        .iter()
        .enumerate()
        .filter(|(_, (role, _))| role == "assistant")
    {
        let tag = text.split(' ').next().unwrap().rsplit_once('-').unwrap().0;
        let earlier = answers.insert(tag, (place, text));
        assert!(
            earlier.is_none(),
            "answered twice in {}: {text}",
            conversation.session
        );
    }
    for sent in &conversation.sent {
        let answer = answers.get(tag(sent));
        if let Some((place, text)) = answer {
            assert!(whole_answer(sent).starts_with(text), "{text} for {sent:?}");
            let said = history
                .iter()
                .position(|(role, text)| role == "user" && *text == sent.text);
            assert!(
                said.unwrap() < *place,
                "answered before it was said: {sent:?}"
            );
        }
        if let Some(told) = &sent.answer {
            assert_eq!(
                answer.map(|(_, text)| *text),
                Some(told.as_str()),
                "{sent:?}"
            );
            assert_eq!(*told, whole_answer(sent));
        }
    }
    answers.len()
}

/// Every stream that was seen, with all its cuts, has the bytes of the same stream read at once from its beginning, and
/// shows what is stored. Gives how many there are.
async fn resumed_streams(
    server: &Server,
    conversation: &Conversation,
    history: &[(String, String)],
) -> usize {
    let client = Client::of(server, conversation.door);
    let mut streams = 0;
    for sent in conversation
        .sent
        .iter()
        .filter(|sent| !sent.seen.is_empty())
    {
        assert!(sent.ended, "never ended: {sent:?}");
        let run = &sent.seen[0].run;
        let mut again = Sent::default();
        client.listen(run, 0, &mut again).await.expect("a replay");
        let text = |sent: &Sent| String::from_utf8(bytes(sent)).unwrap();
        assert_eq!(
            text(sent),
            text(&again),
            "the resumed stream differs: {:?}",
            sent.text
        );
        let shown = shown_text(conversation.door, &again);
        let said = history
            .iter()
            .position(|(role, text)| role == "user" && *text == sent.text)
            .unwrap();
        let stored = history[said..]
            .iter()
            .find(|(role, text)| role == "assistant" && text.starts_with(tag(sent)));
        assert_eq!(
            shown,
            stored.map(|(_, text)| text.clone()).unwrap_or_default(),
            "{sent:?}"
        );
        streams += 1;
    }
    streams
}

fn bytes(sent: &Sent) -> Vec<u8> {
    sent.seen
        .iter()
        .flat_map(|piece| piece.bytes.clone())
        .collect()
}

/// The answer as a stream shows it.
fn shown_text(door: Door, sent: &Sent) -> String {
    let piece = |data: &str, kind: &str| {
        let value: Value = serde_json::from_str(data).unwrap_or_default();
        let text = match (door, kind) {
            (Door::PiSovereignStream, "message") => &value["delta"],
            (Door::PocketPawStream, "chunk") => &value["content"],
            (Door::OpenAiStream, _) => &value["choices"][0]["delta"]["content"],
            (Door::Socket, _) if value["type"] == "message" => &value["content"],
            _ => &Value::Null,
        };
        text.as_str().unwrap_or_default().to_owned()
    };
    if door == Door::Socket {
        let frames = sent
            .seen
            .iter()
            .map(|seen| String::from_utf8(seen.bytes.clone()).unwrap());
        return frames.map(|text| piece(&text, "")).collect();
    }
    let events = parse_events(&String::from_utf8(bytes(sent)).unwrap());
    events
        .iter()
        .map(|event| piece(&event.data, &event.name))
        .collect()
}
