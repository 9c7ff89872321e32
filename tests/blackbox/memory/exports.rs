//! Exports of other systems, and what became of them.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::harness::run;

/// A conversation as ChatGPT exports it: said by turns, one and a half seconds apart.
pub(super) fn chatgpt(id: &str, title: &str, said: &[&str]) -> Value {
    let name = |place: usize| format!("node-{place}");
    let mut nodes = Map::new();
    nodes.insert(
        "root".to_owned(),
        json!({ "id": "root", "message": null, "parent": null, "children": [name(0)] }),
    );
    let mut at = 1_700_000_000.0;
    for (place, text) in said.iter().enumerate() {
        let role = if place % 2 == 0 { "user" } else { "assistant" };
        let parent = place.checked_sub(1).map_or("root".to_owned(), name);
        let children: Vec<String> = (place + 1 < said.len())
            .then(|| name(place + 1))
            .into_iter()
            .collect();
        nodes.insert(
            name(place),
            json!({ "id": name(place), "parent": parent, "children": children, "message": {
                "id": name(place), "author": { "role": role, "name": null, "metadata": {} },
                "create_time": at, "content": { "content_type": "text", "parts": [text] },
                "status": "finished_successfully", "metadata": {}, "recipient": "all"
            } }),
        );
        at += 1.5;
    }
    json!({
        "title": title, "create_time": 1_700_000_000.0, "update_time": at, "mapping": nodes,
        "current_node": name(said.len() - 1), "conversation_id": id, "id": id
    })
}

/// A conversation as Claude exports it.
pub(super) fn claude(id: &str, title: &str, said: &[&str]) -> Value {
    let message = |(place, text): (usize, &&str)| {
        let at = format!("2024-05-01T12:00:{place:02}.000001Z");
        json!({
            "uuid": format!("{id}-{place}"), "sender": if place % 2 == 0 { "human" } else { "assistant" },
            "text": text, "content": [{ "type": "text", "text": text }], "created_at": at, "updated_at": at,
            "attachments": [], "files": []
        })
    };
    let messages: Vec<Value> = said.iter().enumerate().map(message).collect();
    json!({
        "uuid": id, "name": title, "created_at": "2024-05-01T12:00:00Z", "updated_at": "2024-05-01T12:01:00Z",
        "account": { "uuid": "me" }, "chat_messages": messages
    })
}

/// Claude's export of one conversation.
pub(super) fn claude_talk() -> Value {
    json!([claude("k-9", "Stars", &["Which star?", "Vega."])])
}

/// What was said in a session: who and what.
pub(super) async fn talk(folder: &Path, session: &str) -> Vec<String> {
    let shown = run(folder, &["sessions", "show", session, "--json"])
        .await
        .json();
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    let messages = shown.as_array().unwrap().iter();
    messages
        .map(|message| format!("{} {}", text(message, "role"), text(message, "content")))
        .collect()
}
