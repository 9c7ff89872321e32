//! Claude's exports: a list of conversations, each a list of messages (`chat_messages`). Where messages name their parents
//! they are a tree, of which the branch that ends in the newest message is what its user sees.

use std::collections::{HashMap, HashSet};

use majordomo_domain::{Role, Timestamp};
use serde_json::Value;

use super::conversation::{Conversation, Said, session, time};
use crate::cli::output::{field, items};

/// Reads one conversation.
pub(super) fn read(value: &Value) -> Result<Conversation, String> {
    let id = field(value, "uuid");
    if id.is_empty() {
        return Err("has no uuid".to_owned());
    }
    let title = field(value, "name").trim();
    Ok(Conversation {
        session: session("claude", id),
        title: (!title.is_empty()).then(|| title.to_owned()),
        created_at: value.get("created_at").and_then(time),
        messages: branch(value).into_iter().filter_map(said).collect(),
    })
}

fn said_at(message: &Value) -> Option<Timestamp> {
    message.get("created_at").and_then(time)
}

/// The messages of the current branch, from its beginning: all of them where none names its parent.
fn branch(value: &Value) -> Vec<&Value> {
    let messages = items(value, "chat_messages");
    let parent = |message: &Value| field(message, "parent_message_uuid").to_owned();
    if messages.iter().all(|message| parent(message).is_empty()) {
        return messages.iter().collect();
    }
    let by_id: HashMap<&str, &Value> = messages
        .iter()
        .map(|message| (field(message, "uuid"), message))
        .filter(|(id, _)| !id.is_empty())
        .collect();
    let leaf = by_id
        .get(field(value, "current_leaf_message_uuid"))
        .copied();
    let (mut branch, mut passed) = (Vec::new(), HashSet::new());
    // Of equally new ones the last in the list.
    let mut next = leaf.or_else(|| messages.iter().max_by_key(|message| said_at(message)));
    while let Some(message) = next {
        if !passed.insert(field(message, "uuid")) {
            break;
        }
        branch.push(message);
        next = by_id.get(parent(message).as_str()).copied();
    }
    branch.reverse();
    branch
}

/// What a message says; `None` where that is nothing.
fn said(message: &Value) -> Option<Said> {
    let role = match field(message, "sender") {
        "human" => Role::User,
        "assistant" => Role::Assistant,
        _ => return None,
    };
    let mut text = text(message);
    for files in ["attachments", "files"] {
        for file in items(message, files) {
            let name = field(file, "file_name");
            if !name.is_empty() {
                text.push_str("\n\n[attachment: ");
                text.push_str(name);
                text.push(']');
            }
        }
    }
    let (id, text) = (field(message, "uuid"), text.trim());
    (!text.is_empty() && !id.is_empty()).then(|| Said {
        id: id.to_owned(),
        role,
        text: text.to_owned(),
        at: said_at(message),
    })
}

/// The text of a message. `text` holds notes on what an old client cannot show; the parts do not.
fn text(message: &Value) -> String {
    let parts: Vec<&str> = items(message, "content")
        .iter()
        .filter(|part| field(part, "type") == "text")
        .map(|part| field(part, "text"))
        .filter(|text| !text.trim().is_empty())
        .collect();
    if parts.is_empty() && items(message, "content").is_empty() {
        return field(message, "text").to_owned();
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests;
