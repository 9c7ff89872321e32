//! ChatGPT's exports: a list of conversations, each a tree of nodes (`mapping`), of which the branch that ends in
//! `current_node` is what its user sees.

use std::collections::HashSet;

use majordomo_domain::Role;
use serde_json::Value;

use super::conversation::{Conversation, Said, session, time};
use crate::cli::output::{field, items};

/// Kinds of content that say nothing to the user: settings, and what the model thinks.
const SILENT: [&str; 4] = [
    "user_editable_context",
    "model_editable_context",
    "thoughts",
    "reasoning_recap",
];

/// Reads one conversation.
pub(super) fn read(value: &Value) -> Result<Conversation, String> {
    let id = match field(value, "conversation_id") {
        "" => field(value, "id"),
        id => id,
    };
    if id.is_empty() {
        return Err("has no id".to_owned());
    }
    let title = field(value, "title").trim();
    Ok(Conversation {
        session: session("chatgpt", id),
        title: (!title.is_empty()).then(|| title.to_owned()),
        created_at: value.get("create_time").and_then(time),
        messages: branch(value)
            .into_iter()
            .filter_map(|(id, node)| said(id, node.get("message")?))
            .collect(),
    })
}

/// The nodes of the current branch, from its beginning. A node that is missing, or that was passed already, ends it.
fn branch(value: &Value) -> Vec<(&str, &Value)> {
    let Some(nodes) = value.get("mapping").and_then(Value::as_object) else {
        return Vec::new();
    };
    let node = |id: &str| {
        nodes
            .get_key_value(id)
            .map(|(id, node)| (id.as_str(), node))
    };
    let said_at = |node: &Value| node.pointer("/message/create_time").and_then(time);
    let newest_leaf = || {
        let leaves = nodes
            .iter()
            .filter(|(_, node)| items(node, "children").is_empty());
        let newest = leaves.max_by_key(|(_, node)| said_at(node));
        newest.map(|(id, node)| (id.as_str(), node))
    };
    let (mut branch, mut passed) = (Vec::new(), HashSet::new());
    let mut next = node(field(value, "current_node")).or_else(newest_leaf);
    while let Some((id, found)) = next {
        if !passed.insert(id) {
            break;
        }
        branch.push((id, found));
        next = node(field(found, "parent"));
    }
    branch.reverse();
    branch
}

/// What a node says to the user; `None` where that is nothing.
fn said(node: &str, message: &Value) -> Option<Said> {
    let content = message.get("content")?;
    let hidden = message
        .pointer("/metadata/is_visually_hidden_from_conversation")
        .and_then(Value::as_bool);
    if hidden.unwrap_or_default() || SILENT.contains(&field(content, "content_type")) {
        return None;
    }
    let text = text(content);
    let (role, text) = match message.pointer("/author/role").and_then(Value::as_str)? {
        "user" => (Role::User, with_attachments(text, message)),
        // What it says to a tool is no answer.
        "assistant" if matches!(field(message, "recipient"), "" | "all") => (Role::Assistant, text),
        "system" => (Role::System, text),
        // Pictures that were drawn come from a tool.
        "tool" => (Role::Assistant, images(content)),
        _ => return None,
    };
    let id = match field(message, "id") {
        "" => node,
        id => id,
    };
    let text = text.trim();
    (!text.is_empty()).then(|| Said {
        id: id.to_owned(),
        role,
        text: text.to_owned(),
        at: message.get("create_time").and_then(time),
    })
}

/// The text of a message, with what is no text noted.
fn text(content: &Value) -> String {
    match field(content, "content_type") {
        "text" | "multimodal_text" => {
            let parts: Vec<String> = items(content, "parts")
                .iter()
                .map(part)
                .filter(|part| !part.is_empty())
                .collect();
            parts.join("\n\n")
        }
        "code" => format!(
            "```{}\n{}\n```",
            match field(content, "language") {
                "unknown" => "",
                language => language,
            },
            field(content, "text")
        ),
        _ => field(content, "text").to_owned(),
    }
}

fn part(part: &Value) -> String {
    if let Some(text) = part.as_str() {
        return text.to_owned();
    }
    let kind = field(part, "content_type");
    if kind.contains("image") {
        "[image]".to_owned()
    } else if kind == "audio_transcription" {
        field(part, "text").to_owned()
    } else if kind.contains("audio") || kind.contains("video") {
        "[recording]".to_owned()
    } else {
        field(part, "text").to_owned()
    }
}

/// The pictures of a message, noted.
fn images(content: &Value) -> String {
    let parts = items(content, "parts").iter();
    let images = parts.filter(|part| field(part, "content_type").contains("image"));
    images.map(|_| "[image]").collect::<Vec<_>>().join("\n\n")
}

/// The text and the names of the files that were sent with it.
fn with_attachments(mut text: String, message: &Value) -> String {
    let files = message.pointer("/metadata/attachments");
    for file in files.and_then(Value::as_array).into_iter().flatten() {
        let name = field(file, "name");
        if !name.is_empty() {
            text.push_str("\n\n[attachment: ");
            text.push_str(name);
            text.push(']');
        }
    }
    text
}

#[cfg(test)]
mod tests;
