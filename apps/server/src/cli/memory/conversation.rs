//! Conversations of other systems, on their way to become sessions.

use majordomo_application::chat::{MAX_MESSAGE_CHARS, MAX_MESSAGES};
use majordomo_application::hex::hex;
use majordomo_domain::{Role, SessionId, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{chatgpt, claude};

/// Longest name of a message, in bytes.
const MAX_NAME: usize = 200;
/// Most bytes of messages sent at once, as JSON; a single message may have more.
pub(super) const MAX_BYTES: usize = 6 * 1024 * 1024;
/// 10000-01-01T00:00:00Z: later times cannot be written.
const END_OF_TIME: i64 = 253_402_300_800;

/// Whose exports are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    ChatGpt,
    Claude,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// What the other system calls it.
    pub(super) id: String,
    pub(super) role: Role,
    pub(super) text: String,
    /// When, where it is known.
    pub(super) at: Option<Timestamp>,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conversation {
    /// The session it becomes.
    pub(super) session: String,
    pub(super) title: Option<String>,
    pub(super) created_at: Option<Timestamp>,
    /// In order.
    pub(super) messages: Vec<Said>,
}

/// A part of a conversation that is stored at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// As the server reads it.
    pub(super) body: Value,
    /// How much that is, as JSON.
    pub(super) bytes: usize,
    /// Whether it is the first.
    pub(super) begins: bool,
}

/// Reads an element of an export; of the given system, or of whichever it is.
pub(super) fn read(text: &str, system: Option<System>) -> Result<Conversation, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("cannot be read: {error}"))?;
    let is =
        |asked, member| system.is_none_or(|system| system == asked) && value.get(member).is_some();
    if is(System::ChatGpt, "mapping") {
        chatgpt::read(&value)
    } else if is(System::Claude, "chat_messages") {
        claude::read(&value)
    } else {
        Err(match system {
            None => "is no conversation of ChatGPT or Claude",
            Some(System::ChatGpt) => "is no conversation of ChatGPT",
            Some(System::Claude) => "is no conversation of Claude",
        }
        .to_owned())
    }
}

/// The session of a conversation: the same one whenever it is imported.
pub(super) fn session(system: &str, id: &str) -> String {
    let name = format!("{system}-{id}");
    match SessionId::parse(name.as_str()) {
        Ok(_) => name,
        Err(_) => format!("{system}-{}", digest(id)),
    }
}

fn digest(text: &str) -> String {
    let mut digits = hex(&Sha256::digest(text.as_bytes()));
    digits.truncate(32);
    digits
}

/// A time in seconds since the epoch, or in RFC 3339.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => Timestamp::parse_rfc3339(text),
        Value::Number(number) => {
            // By its digits: a floating point number of this size is not exact to the microsecond.
            let text = number.to_string();
            let (secs, fraction) = text.split_once('.').unwrap_or((&text, ""));
            // `-0` is before the epoch too.
            let secs: i64 = secs.parse().ok().filter(|_| !secs.starts_with('-'))?;
            let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
            let micros: i64 = fraction.parse().ok()?;
            let whole = secs.checked_mul(1_000_000)?.checked_add(micros)?;
            (0..END_OF_TIME)
                .contains(&secs)
                .then(|| Timestamp::from_micros(whole))
        }
        _ => None,
    }
}

impl Conversation {
    /// The conversation in parts that the server takes. None where nothing was said.
    pub(super) fn into_parts(self) -> Vec<Part> {
        let mut at = self.created_at.unwrap_or(Timestamp::EPOCH);
        let mut parts = Vec::new();
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let part = |messages: &mut Vec<Value>, bytes: &mut usize, begins| Part {
            body: json!({
                "id": self.session,
                "title": self.title,
                "created_at": self.created_at.map(Timestamp::to_rfc3339_micros),
                "messages": std::mem::take(messages),
            }),
            bytes: std::mem::take(bytes),
            begins,
        };
        for said in self.messages {
            // What has no time was said after what stands before it.
            at = said.at.unwrap_or(at);
            let message = said.into_json(at);
            let size = message.to_string().len();
            if messages.len() >= MAX_MESSAGES || bytes + size > MAX_BYTES && !messages.is_empty() {
                parts.push(part(&mut messages, &mut bytes, parts.is_empty()));
            }
            bytes += size;
            messages.push(message);
        }
        if !messages.is_empty() {
            parts.push(part(&mut messages, &mut bytes, parts.is_empty()));
        }
        parts
    }
}

impl Said {
    fn into_json(self, at: Timestamp) -> Value {
        let id = if (1..=MAX_NAME).contains(&self.id.len()) {
            self.id
        } else {
            digest(&self.id)
        };
        let text = match self.text.char_indices().nth(MAX_MESSAGE_CHARS) {
            None => self.text,
            Some((end, _)) => self.text.get(..end).unwrap_or_default().to_owned(),
        };
        json!({
            "id": id,
            "role": self.role.as_str(),
            "content": text,
            "timestamp": at.to_rfc3339_micros(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_microsecond() {
        let micros = |value: Value| time(&value).map(Timestamp::as_micros);
        assert_eq!(micros(json!(1_700_000_000)), Some(1_700_000_000_000_000));
        assert_eq!(
            micros(serde_json::from_str("1700000000.123456").unwrap()),
            Some(1_700_000_000_123_456)
        );
        assert_eq!(micros(json!(0.5)), Some(500_000));
        assert_eq!(micros(json!("1970-01-01T00:00:01Z")), Some(1_000_000));
        for nothing in [
            json!(-1),
            json!(-0.5),
            json!(1e300),
            json!(u64::MAX),
            json!(253_402_300_800_u64),
            json!("yesterday"),
            json!(null),
            json!([]),
        ] {
            assert_eq!(time(&nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_session_is_named_after_its_conversation() {
        assert_eq!(session("claude", "0a-1b"), "claude-0a-1b");
        let strange = session("claude", "../../x y");
        assert!(SessionId::parse(strange.as_str()).is_ok());
        assert_eq!(strange, session("claude", "../../x y"));
        assert_ne!(strange, session("claude", "../../x z"));
    }

    #[test]
    fn a_long_conversation_is_stored_in_parts() {
        let said = |number: usize| Said {
            id: format!("m{number}"),
            role: Role::User,
            text: "x".repeat(if number.is_multiple_of(500) {
                1_500_000
            } else {
                1
            }),
            at: number.is_multiple_of(2).then(|| Timestamp::from_secs(100)),
        };
        let talk = Conversation {
            session: "s".to_owned(),
            title: None,
            created_at: None,
            messages: (0..2_500).map(said).collect(),
        };
        let parts = talk.into_parts();
        let counts: Vec<usize> = parts
            .iter()
            .map(|part| part.body["messages"].as_array().unwrap().len())
            .collect();
        assert_eq!(counts, [1_000, 1_000, 500]);
        assert_eq!(
            parts.iter().map(|part| part.begins).collect::<Vec<_>>(),
            [true, false, false]
        );
        let first = &parts[0].body["messages"];
        assert_eq!(first[0]["content"].as_str().unwrap().len(), 1_000_000);
        assert_eq!(first[1]["timestamp"], "1970-01-01T00:01:40.000000Z");
        assert!(parts.iter().all(|part| part.bytes <= MAX_BYTES));
        let none = Conversation {
            session: "s".to_owned(),
            title: None,
            created_at: None,
            messages: Vec::new(),
        };
        assert_eq!(none.into_parts(), []);
    }
}
