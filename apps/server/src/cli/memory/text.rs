//! What people read of memories.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::output::{field, items, printable};

/// Characters of a summary or message that are shown in one line.
const SHOWN: usize = 120;

fn line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = printable(&line).chars().take(SHOWN).collect();
    if line.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}

fn number(value: &Value, name: &str) -> f64 {
    value.get(name).and_then(Value::as_f64).unwrap_or_default()
}

fn count(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// What became of a new memory.
pub(super) fn added(data: &Value) -> String {
    let merged = data.get("merged").and_then(Value::as_bool);
    let id = field(data, "id");
    if merged.unwrap_or_default() {
        format!("Merged into {id}.\n")
    } else {
        format!("Remembered as {id}.\n")
    }
}

/// A list of memories.
pub(super) fn memories(data: &Value) -> String {
    let memories = data.as_array().map(Vec::as_slice).unwrap_or_default();
    if memories.is_empty() {
        return "Nothing remembered.\n".to_owned();
    }
    memories.iter().fold(String::new(), |mut text, memory| {
        let tags: Vec<&str> = items(memory, "tags")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let tags = if tags.is_empty() {
            String::new()
        } else {
            format!("  [{}]", printable(&tags.join(", ")))
        };
        let _ = writeln!(
            text,
            "{}  {:11}  {:.2}  {}{tags}",
            field(memory, "id"),
            field(memory, "memory_type"),
            number(memory, "importance"),
            line(field(memory, "summary")),
        );
        text
    })
}

/// What was found, best first.
pub(super) fn hits(data: &Value) -> String {
    let hits = data.as_array().map(Vec::as_slice).unwrap_or_default();
    if hits.is_empty() {
        return "Nothing found.\n".to_owned();
    }
    hits.iter().fold(String::new(), |mut text, hit| {
        let _ = writeln!(
            text,
            "{:.2}  {:6}  {}  {}\n      {}",
            number(hit, "relevance"),
            field(hit, "source"),
            field(hit, "created_at"),
            field(hit, "id"),
            line(field(hit, "content")),
        );
        text
    })
}

/// How many there are.
pub(super) fn stats(data: &Value) -> String {
    let mut text = String::new();
    for kind in items(data, "by_type") {
        let (name, many) = (field(kind, "memory_type"), count(kind, "count"));
        let _ = writeln!(text, "{name:11}  {many:>9}");
    }
    let _ = writeln!(text, "{:11}  {:>9}", "Total", count(data, "total"));
    if let Some(embedding) = data.get("embedding").filter(|data| !data.is_null()) {
        let of = |name, all| format!("{} of {}", count(embedding, name), count(embedding, all));
        let _ = writeln!(
            text,
            "\nEmbedded by {}: {} memories, {} messages",
            printable(field(embedding, "model")),
            of("memories", "memories_total"),
            of("turns", "turns_total"),
        );
    }
    text
}

/// What is wrong with memories.
pub(super) fn audit(data: &Value) -> String {
    let mut text = format!("Examined {} memories", count(data, "examined"));
    let whole = data.get("whole").and_then(Value::as_bool);
    text.push_str(if whole.unwrap_or_default() {
        ".\n"
    } else {
        ": there are more, or more alike, than are examined at once.\n"
    });
    for (sort, words) in [
        ("duplicates", "say what another one says"),
        ("near_duplicates", "say nearly what another one says"),
        ("stale", "were neither changed nor found for long"),
        ("orphaned", "come from conversations that are gone"),
    ] {
        let Some(findings) = data.get(sort) else {
            continue;
        };
        let (all, named) = (count(findings, "count"), items(findings, "memories"));
        let _ = writeln!(text, "\n{all} {words}");
        for finding in named {
            let like = match field(finding, "like") {
                "" => String::new(),
                like => format!("  = {like} ({:.2})", number(finding, "likeness")),
            };
            let _ = writeln!(
                text,
                "  {}{like}  {}",
                field(finding, "id"),
                line(field(finding, "summary")),
            );
        }
        let named = u64::try_from(named.len()).unwrap_or(u64::MAX);
        if all > named {
            let _ = writeln!(text, "  and {} more", all - named);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statistics_say_how_far_embedding_has_come() {
        let by_type = json!([{ "memory_type": "Fact", "count": 3 }]);
        let plain = json!({ "total": 3, "by_type": by_type, "embedding": null });
        let counts = "Fact                 3\nTotal                3\n";
        assert_eq!(stats(&plain), counts);
        let embedding = json!({ "model": "m", "memories": 2, "memories_total": 3, "turns": 40, "turns_total": 50 });
        let some = json!({ "total": 3, "by_type": by_type, "embedding": embedding });
        let words = "\nEmbedded by m: 2 of 3 memories, 40 of 50 messages\n";
        assert_eq!(stats(&some), format!("{counts}{words}"));
    }
}
