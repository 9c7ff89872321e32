//! The lines of an archive: one JSON object for each entry, which reads back exactly.

use chrono::SecondsFormat;
use majordomo_domain::{AuditEntry, Timestamp};
use serde_json::{Value, json};

use crate::hex::{from_hex, hex};

/// An entry as a line, without the line's end.
pub fn line(entry: &AuditEntry) -> String {
    to_json(entry).to_string()
}

/// An entry as a JSON object.
pub fn to_json(entry: &AuditEntry) -> Value {
    json!({
        "seq": entry.seq,
        "time": entry.at.to_utc().to_rfc3339_opts(SecondsFormat::Micros, true),
        "actor": entry.actor,
        "credential": entry.credential,
        "key": entry.key,
        "action": entry.action,
        "target": entry.target,
        "outcome": entry.outcome,
        "address": entry.address,
        "request": entry.request,
        "count": entry.count,
        "details": details(&entry.details),
        "hash": hex(&entry.hash),
    })
}

/// The details as an object where that says exactly the same as the text.
fn details(text: &str) -> Value {
    let as_text = || Value::String(text.to_owned());
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return as_text();
    };
    let written = value.to_string();
    if value.is_object() && written == text {
        value
    } else {
        as_text()
    }
}

/// The entry of a line; `None` when it is no such line.
pub fn read_line(line: &str) -> Option<AuditEntry> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
    let optional = |name: &str| match value.get(name)? {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone())),
        _ => None,
    };
    Some(AuditEntry {
        seq: value.get("seq")?.as_u64()?,
        at: Timestamp::parse_rfc3339(&text("time")?)?,
        actor: optional("actor")?,
        credential: text("credential")?,
        key: optional("key")?,
        action: text("action")?,
        target: text("target")?,
        outcome: text("outcome")?,
        address: optional("address")?,
        request: optional("request")?,
        count: value.get("count")?.as_u64()?,
        details: match value.get("details")? {
            Value::String(text) => text.clone(),
            details => details.to_string(),
        },
        hash: from_hex(&text("hash")?)?,
    })
}
