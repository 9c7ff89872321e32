//! Conversations as Claude exports them, and some that nobody should.

use serde_json::json;

use super::*;

fn message(id: &str, sender: &str, second: u32, text: &str) -> Value {
    let at = format!("2024-05-01T12:00:{second:02}.123456Z");
    json!({
        "uuid": id, "text": text, "sender": sender, "created_at": at, "updated_at": at,
        "content": [{ "start_timestamp": at, "stop_timestamp": at, "type": "text", "text": text, "citations": [] }],
        "attachments": [], "files": []
    })
}

fn conversation(messages: Value) -> Value {
    json!({
        "uuid": "a1-b2", "name": "Tea", "summary": "", "account": { "uuid": "me" },
        "created_at": "2024-05-01T11:59:59.000001Z", "updated_at": "2024-05-01T12:30:00Z",
        "chat_messages": messages
    })
}

fn spoken(value: &Value) -> Vec<(Role, String)> {
    let messages = read(value).unwrap().messages.into_iter();
    messages.map(|said| (said.role, said.text)).collect()
}

fn ids(value: &Value) -> Vec<String> {
    let messages = read(value).unwrap().messages.into_iter();
    messages.map(|said| said.id).collect()
}

#[test]
fn a_conversation_is_read() {
    let value = conversation(json!([
        message("1", "human", 0, "Which tea?"),
        message("2", "assistant", 1, "Green.")
    ]));
    let read = read(&value).unwrap();
    assert_eq!(
        (read.session.as_str(), read.title.as_deref()),
        ("claude-a1-b2", Some("Tea"))
    );
    assert_eq!(read.created_at.unwrap().as_micros(), 1_714_564_799_000_001);
    assert_eq!(
        read.messages[1].at.unwrap().as_micros(),
        1_714_564_801_123_456
    );
    assert_eq!(
        spoken(&value),
        [
            (Role::User, "Which tea?".to_owned()),
            (Role::Assistant, "Green.".to_owned())
        ]
    );
}

#[test]
fn only_text_is_read_and_files_are_noted() {
    let mut asked = message("1", "human", 0, "Read this");
    asked["attachments"] = json!([{ "file_name": "a.txt", "file_size": 5, "file_type": "txt", "extracted_content": "hello" }]);
    asked["files"] = json!([{ "file_name": "b.png" }, {}]);
    let mut answered = message(
        "2",
        "assistant",
        1,
        "This block is not supported on your current device yet.",
    );
    answered["content"] = json!([
        { "type": "thinking", "thinking": "hm" }, { "type": "text", "text": "One." },
        { "type": "tool_use", "name": "x", "input": {} }, { "type": "tool_result", "content": [] },
        { "type": "text", "text": "Two." }, { "type": "token_budget" }
    ]);
    let mut silent = message("3", "assistant", 2, "not supported");
    silent["content"] = json!([{ "type": "tool_use", "name": "x", "input": {} }]);
    let mut old = message("4", "human", 3, "From an old export");
    old["content"] = json!([]);
    let value = conversation(json!([asked, answered, silent, old]));
    assert_eq!(
        spoken(&value),
        [
            (
                Role::User,
                "Read this\n\n[attachment: a.txt]\n\n[attachment: b.png]".to_owned()
            ),
            (Role::Assistant, "One.\n\nTwo.".to_owned()),
            (Role::User, "From an old export".to_owned()),
        ]
    );
}

#[test]
fn of_several_branches_the_current_one_is_read() {
    let child = |id: &str, parent: &str, second| {
        let mut message = message(id, "human", second, id);
        message["parent_message_uuid"] = json!(parent);
        message
    };
    let root = "00000000-0000-4000-8000-000000000000";
    let messages = json!([
        child("a", root, 0),
        child("b", "a", 1),
        child("c", "a", 2),
        child("d", "c", 3)
    ]);
    let mut value = conversation(messages);
    assert_eq!(ids(&value), ["a", "c", "d"]);
    value["current_leaf_message_uuid"] = json!("b");
    assert_eq!(ids(&value), ["a", "b"]);
    let circle = conversation(json!([child("a", "b", 0), child("b", "a", 1)]));
    assert_eq!(ids(&circle), ["a", "b"]);
    let orphan = conversation(json!([child("a", "gone", 5), child("b", "x", 1)]));
    assert_eq!(ids(&orphan), ["a"]);
}

#[test]
fn whatever_has_another_shape_says_nothing() {
    for messages in [
        json!(null),
        json!({}),
        json!([null, 7, "x", [], {}]),
        json!([{ "sender": "human", "text": "no name" }]),
        json!([{ "uuid": "1", "sender": "robot", "text": "x" }]),
        json!([{ "uuid": "1", "sender": "human", "text": null, "content": null }]),
        json!([{ "uuid": "1", "sender": "human", "content": [null, { "type": "text" }], "files": {} }]),
    ] {
        assert_eq!(spoken(&conversation(messages.clone())), [], "{messages}");
    }
    assert_eq!(
        read(&json!({ "chat_messages": [] })),
        Err("has no uuid".to_owned())
    );
}
