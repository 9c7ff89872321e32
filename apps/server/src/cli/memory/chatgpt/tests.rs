//! Trees as ChatGPT exports them, and trees that nobody should.

use serde_json::json;

use super::*;

fn node(id: &str, parent: Option<&str>, children: &[&str], message: Value) -> (String, Value) {
    let node = json!({ "id": id, "message": message, "parent": parent, "children": children });
    (id.to_owned(), node)
}

fn said_by(role: &str, id: &str, at: f64, content: Value) -> Value {
    json!({
        "id": id, "author": { "role": role, "name": null, "metadata": {} },
        "create_time": at, "update_time": null, "content": content,
        "status": "finished_successfully", "end_turn": true, "weight": 1.0,
        "metadata": {}, "recipient": "all"
    })
}

fn parts(parts: Value) -> Value {
    json!({ "content_type": "text", "parts": parts })
}

fn conversation(current: &str, nodes: impl IntoIterator<Item = (String, Value)>) -> Value {
    json!({
        "title": "Tea in Kyoto", "create_time": 1_700_000_000.123_456, "update_time": 1_700_000_900.5,
        "mapping": Value::Object(nodes.into_iter().collect()),
        "moderation_results": [], "current_node": current, "plugin_ids": null,
        "conversation_id": "6b1f-77", "conversation_template_id": null, "gizmo_id": null,
        "is_archived": false, "safe_urls": [], "default_model_slug": "gpt-4o", "id": "6b1f-77"
    })
}

fn spoken(value: &Value) -> Vec<(Role, String)> {
    let messages = read(value).unwrap().messages.into_iter();
    messages.map(|said| (said.role, said.text)).collect()
}

fn user(text: &str) -> (Role, String) {
    (Role::User, text.to_owned())
}

fn assistant(text: &str) -> (Role, String) {
    (Role::Assistant, text.to_owned())
}

#[test]
fn the_current_branch_is_read_in_order() {
    let hidden = json!({
        "id": "sys", "author": { "role": "system" }, "create_time": null,
        "content": { "content_type": "text", "parts": [""] },
        "metadata": { "is_visually_hidden_from_conversation": true }
    });
    let value = conversation(
        "d",
        [
            node("root", None, &["sys"], Value::Null),
            node("sys", Some("root"), &["a"], hidden),
            node(
                "a",
                Some("sys"),
                &["b", "c"],
                said_by("user", "a", 1_700_000_001.25, parts(json!(["Which tea?"]))),
            ),
            node(
                "b",
                Some("a"),
                &[],
                said_by("assistant", "b", 1_700_000_002.0, parts(json!(["Black."]))),
            ),
            node(
                "c",
                Some("a"),
                &["d"],
                said_by(
                    "assistant",
                    "c",
                    1_700_000_003.0,
                    parts(json!(["Green.", "Really."])),
                ),
            ),
            node(
                "d",
                Some("c"),
                &[],
                said_by("user", "d", 1_700_000_004.0, parts(json!(["Thanks"]))),
            ),
        ],
    );
    let read = read(&value).unwrap();
    assert_eq!(read.session, "chatgpt-6b1f-77");
    assert_eq!(read.title.as_deref(), Some("Tea in Kyoto"));
    assert_eq!(read.created_at.unwrap().as_micros(), 1_700_000_000_123_456);
    assert_eq!(
        read.messages[0].at.unwrap().as_micros(),
        1_700_000_001_250_000
    );
    let ids: Vec<&str> = read.messages.iter().map(|said| said.id.as_str()).collect();
    assert_eq!(ids, ["a", "c", "d"]);
    assert_eq!(
        spoken(&value),
        [
            user("Which tea?"),
            assistant("Green.\n\nReally."),
            user("Thanks")
        ]
    );
}

#[test]
fn what_is_no_text_is_noted_and_what_nobody_saw_is_left_out() {
    let picture = json!({ "content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1", "width": 10 });
    let mut attached = said_by(
        "user",
        "a",
        1.0,
        json!({ "content_type": "multimodal_text", "parts": [picture.clone(), "What is this?"] }),
    );
    attached["metadata"]["attachments"] =
        json!([{ "name": "leaf.png", "id": "file-1" }, { "name": "notes.pdf" }]);
    let mut call = said_by(
        "assistant",
        "b",
        2.0,
        json!({ "content_type": "code", "language": "python", "text": "1+1" }),
    );
    call["recipient"] = json!("python");
    let thoughts = said_by(
        "assistant",
        "c",
        3.0,
        json!({ "content_type": "thoughts", "thoughts": [] }),
    );
    let result = said_by(
        "tool",
        "d",
        4.0,
        json!({ "content_type": "execution_output", "text": "2" }),
    );
    let drawn = said_by(
        "tool",
        "e",
        5.0,
        json!({ "content_type": "multimodal_text", "parts": [picture] }),
    );
    let voice = json!({ "content_type": "multimodal_text", "parts": [
        { "content_type": "audio_transcription", "text": "Hello there" },
        { "content_type": "audio_asset_pointer", "asset_pointer": "x" }
    ] });
    let code = json!({ "content_type": "code", "language": "unknown", "text": "let x = 1;" });
    let chain = [
        attached,
        call,
        thoughts,
        result,
        drawn,
        said_by("user", "f", 6.0, voice),
        said_by("assistant", "g", 7.0, code),
    ];
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let nodes = chain.into_iter().enumerate().map(|(place, message)| {
        let parent = place.checked_sub(1).map(|before| names[before]);
        let children: Vec<&str> = names.get(place + 1).into_iter().copied().collect();
        node(names[place], parent, &children, message)
    });
    assert_eq!(
        spoken(&conversation("g", nodes)),
        [
            user("[image]\n\nWhat is this?\n\n[attachment: leaf.png]\n\n[attachment: notes.pdf]"),
            assistant("[image]"),
            user("Hello there\n\n[recording]"),
            assistant("```\nlet x = 1;\n```"),
        ]
    );
}

#[test]
fn a_circle_of_nodes_ends() {
    let said = |id: &str| said_by("user", id, 1.0, parts(json!([id])));
    let value = conversation(
        "a",
        [
            node("a", Some("b"), &["b"], said("a")),
            node("b", Some("a"), &["a"], said("b")),
        ],
    );
    assert_eq!(spoken(&value), [user("b"), user("a")]);
    let alone = conversation("a", [node("a", Some("a"), &["a"], said("a"))]);
    assert_eq!(spoken(&alone), [user("a")]);
}

#[test]
fn a_branch_without_its_beginning_or_end_is_read_as_far_as_it_goes() {
    let said = |id: &str, at: f64| said_by("user", id, at, parts(json!([id])));
    let nodes = [
        node("a", Some("gone"), &["b", "c"], said("a", 1.0)),
        node("b", Some("a"), &[], said("b", 9.0)),
        node("c", Some("a"), &[], said("c", 2.0)),
    ];
    let newest = [user("a"), user("b")];
    assert_eq!(spoken(&conversation("missing", nodes.clone())), newest);
    let mut value = conversation("", nodes);
    value["current_node"] = Value::Null;
    assert_eq!(spoken(&value), newest);
}

#[test]
fn ten_thousand_messages_deep() {
    let name = |number: usize| format!("n{number}");
    let nodes = (0..10_000_usize).map(|number| {
        let parent = number.checked_sub(1).map(name);
        let message = said_by("user", &name(number), 1.0, parts(json!([name(number)])));
        node(
            &name(number),
            parent.as_deref(),
            &[&name(number + 1)],
            message,
        )
    });
    let spoken = spoken(&conversation("n9999", nodes));
    assert_eq!((spoken.len(), &spoken[9_999]), (10_000, &user("n9999")));
}

#[test]
fn whatever_has_another_shape_says_nothing() {
    let odd = [
        Value::Null,
        json!(7),
        json!("text"),
        json!([]),
        json!({}),
        json!({ "author": null, "content": null }),
        json!({ "author": { "role": 5 }, "content": { "content_type": "text", "parts": ["x"] } }),
        said_by("user", "x", 1.0, parts(Value::Null)),
        said_by(
            "user",
            "x",
            1.0,
            parts(json!([null, 5, {}, [], { "content_type": null }])),
        ),
        said_by("user", "x", -1e300, parts(json!("no list"))),
        said_by("robot", "x", 1.0, parts(json!(["x"]))),
        said_by("user", "x", 1.0, json!({ "content_type": 9 })),
    ];
    for message in odd {
        let value = conversation("a", [node("a", None, &[], message.clone())]);
        assert_eq!(spoken(&value), [], "{message}");
    }
    for mapping in [
        json!(null),
        json!([]),
        json!({ "a": null }),
        json!({ "a": { "parent": {} } }),
    ] {
        let value = json!({ "id": "x", "mapping": mapping, "current_node": "a", "title": 7, "create_time": "?" });
        assert_eq!(spoken(&value), [], "{value}");
    }
    assert_eq!(read(&json!({ "mapping": {} })), Err("has no id".to_owned()));
}
