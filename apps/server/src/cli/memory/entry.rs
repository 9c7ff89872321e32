//! A memory as a line of a file.

use std::fmt::Display;

use majordomo_application::memory::{MAX_ACCESS_COUNT, NewMemory};
use majordomo_application::{ErrorKind, ServiceError as _};
use majordomo_domain::{
    MemoryAuthor, MemoryId, MemoryKind, MemorySource, MessageId, RunId, SessionId, Timestamp,
};
use serde_json::{Map, Value};

/// Members that the server reads; what else a line holds is left out.
const MEMBERS: [&str; 12] = [
    "id",
    "content",
    "summary",
    "memory_type",
    "importance",
    "tags",
    "conversation_id",
    "sources",
    "created_at",
    "updated_at",
    "accessed_at",
    "access_count",
];
/// One more of them.
const FADED: &str = "decayed_at";

/// Reads a line of JSON, and says what is wrong with it where the server would not take it.
pub(super) fn read_line(line: &str) -> Result<Value, String> {
    let value = serde_json::from_str(line).map_err(|error| format!("is no JSON: {error}"))?;
    let Value::Object(members) = value else {
        return Err("is no JSON object".to_owned());
    };
    checked(members)
}

/// A memory of these members, once nothing is wrong with it.
pub(super) fn checked(mut members: Map<String, Value>) -> Result<Value, String> {
    members.retain(|name, value| {
        (MEMBERS.contains(&name.as_str()) || name == FADED) && !value.is_null()
    });
    let new = NewMemory {
        content: text(&members, "content")?.ok_or("has no content")?,
        summary: text(&members, "summary")?,
        kind: kind(&members)?,
        importance: number(&members)?,
        tags: tags(&members)?,
        source: MemorySource::of(MemoryAuthor::Import),
        created_at: None,
    };
    new.validate().map_err(|error| match error.kind() {
        ErrorKind::Invalid(fields) => fields
            .iter()
            .map(|field| format!("{} {}", field.field, field.error))
            .collect::<Vec<_>>()
            .join("; "),
        _ => error.to_string(),
    })?;
    for name in ["created_at", "updated_at", "accessed_at", FADED] {
        let time = text(&members, name)?;
        if time.is_some_and(|time| Timestamp::parse_rfc3339(&time).is_none()) {
            return Err(format!("{name} must be an RFC 3339 time"));
        }
    }
    identifier(&members, "id", MemoryId::parse)?;
    identifier(&members, "conversation_id", SessionId::parse)?;
    sources(&members)?;
    access_count(&members)?;
    Ok(Value::Object(members))
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{name} must be text")),
    }
}

fn kind(members: &Map<String, Value>) -> Result<MemoryKind, String> {
    let Some(name) = text(members, "memory_type")? else {
        return Ok(MemoryKind::Context);
    };
    let names = MemoryKind::ALL.map(MemoryKind::as_str).join(", ");
    MemoryKind::parse(&name).ok_or_else(|| format!("memory_type must be one of {names}"))
}

fn number(members: &Map<String, Value>) -> Result<Option<f64>, String> {
    let wrong = || "importance must be a number".to_owned();
    members
        .get("importance")
        .map(|value| value.as_f64().ok_or_else(wrong))
        .transpose()
}

fn tags(members: &Map<String, Value>) -> Result<Vec<String>, String> {
    let wrong = || "tags must be a list of texts".to_owned();
    let Some(tags) = members.get("tags") else {
        return Ok(Vec::new());
    };
    let tags = tags.as_array().ok_or_else(wrong)?.iter();
    tags.map(|tag| tag.as_str().map(str::to_owned).ok_or_else(wrong))
        .collect()
}

/// Fails where there is something that is no identifier.
fn identifier<T, E: Display>(
    members: &Map<String, Value>,
    name: &str,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Result<(), String> {
    match text(members, name)?.map(parse) {
        Some(Err(error)) => Err(format!("{name} {error}")),
        Some(Ok(_)) | None => Ok(()),
    }
}

fn sources(members: &Map<String, Value>) -> Result<(), String> {
    let wrong = "sources must be a list of objects";
    let Some(sources) = members.get("sources") else {
        return Ok(());
    };
    for source in sources.as_array().ok_or(wrong)? {
        let mut members = source.as_object().ok_or(wrong)?.clone();
        members.retain(|_, value| !value.is_null());
        let author = text(&members, "author")?.and_then(|name| MemoryAuthor::parse(&name));
        author.ok_or("author must be one of user, agent, tool, import")?;
        identifier(&members, "conversation_id", SessionId::parse)?;
        identifier(&members, "message_id", MessageId::parse)?;
        identifier(&members, "run_id", RunId::parse)?;
    }
    Ok(())
}

fn access_count(members: &Map<String, Value>) -> Result<(), String> {
    let count = members.get("access_count").map(Value::as_u64);
    if count.is_none_or(|count| count.is_some_and(|count| count <= MAX_ACCESS_COUNT)) {
        Ok(())
    } else {
        Err(format!(
            "access_count must be a whole number from 0 to {MAX_ACCESS_COUNT}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_good_line_is_sent_as_it_is() {
        let line = json!({ "content": "x", "tags": ["a"], "importance": 1, "created_at": "2024-05-08T10:00:00.000001Z" });
        assert_eq!(read_line(&line.to_string()), Ok(line));
        let past = json!({ "content": "x", "id": "a", "conversation_id": "c", "access_count": 9_007_199_254_740_991_u64,
            "sources": [{ "author": "tool", "conversation_id": "c", "message_id": null }] });
        assert_eq!(read_line(&past.to_string()), Ok(past));
        let more = json!({ "content": "x", "memory_type": null, "embedding": [1, 2] });
        assert_eq!(read_line(&more.to_string()), Ok(json!({ "content": "x" })));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, words) in [
            ("{", "is no JSON"),
            ("[]", "is no JSON object"),
            ("{}", "has no content"),
            (r#"{"content":7}"#, "content must be text"),
            (r#"{"content":" "}"#, "content cannot be empty"),
            (r#"{"content":"x","importance":2}"#, "importance must be"),
            (
                r#"{"content":"x","importance":"much"}"#,
                "importance must be",
            ),
            (r#"{"content":"x","tags":[1]}"#, "tags must be a list"),
            (r#"{"content":"x","tags":"a"}"#, "tags must be a list"),
            (
                r#"{"content":"x","memory_type":"dream"}"#,
                "memory_type must",
            ),
            (r#"{"content":"x","updated_at":"soon"}"#, "updated_at must"),
            (r#"{"content":"x","id":"a b"}"#, "id may only hold"),
            (r#"{"content":"x","id":7}"#, "id must be text"),
            (
                r#"{"content":"x","conversation_id":""}"#,
                "conversation_id must not",
            ),
            (
                r#"{"content":"x","sources":{}}"#,
                "sources must be a list of objects",
            ),
            (
                r#"{"content":"x","sources":["user"]}"#,
                "sources must be a list of objects",
            ),
            (r#"{"content":"x","sources":[{}]}"#, "author must be one of"),
            (
                r#"{"content":"x","sources":[{"author":"assistant"}]}"#,
                "author must be one of",
            ),
            (
                r#"{"content":"x","sources":[{"author":"user","run_id":"a/b"}]}"#,
                "run_id may only hold",
            ),
            (
                r#"{"content":"x","access_count":-1}"#,
                "access_count must be",
            ),
            (
                r#"{"content":"x","access_count":1.5}"#,
                "access_count must be",
            ),
            (
                r#"{"content":"x","access_count":9007199254740992}"#,
                "access_count must be",
            ),
        ] {
            let refused = read_line(line).unwrap_err();
            assert!(refused.starts_with(words), "{line}: {refused}");
        }
        let long = json!({ "content": "x".repeat(10_001) }).to_string();
        assert!(read_line(&long).unwrap_err().contains("10000"));
    }
}
