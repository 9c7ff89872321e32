//! Memories as Markdown: PocketPaw's `MEMORY.md`.
//!
//! ```text
//! ## 2026-02-07T10:30:00.123456Z
//!
//! Likes green tea
//!
//! #drink #morning
//! ```
//!
//! The heading is a time, or what the memory is about in one line. What the form has no place for (type, importance,
//! sources) is left out. A line of the content that could be taken for a heading or for tags has a backslash before it.

use std::fmt::Write as _;

use majordomo_domain::memory::MAX_SUMMARY_CHARS;
use majordomo_domain::{Memory, Timestamp};
use serde_json::{Map, Value, json};

use super::entry;
use crate::cli::output::{field, items};

/// What begins a memory.
const HEADING: &str = "## ";

/// The section of an exported memory.
pub(super) fn section(memory: &Value) -> String {
    let content = field(memory, "content");
    let heading = match field(memory, "summary") {
        derived if derived == Memory::summarize(content) => field(memory, "created_at"),
        summary => summary,
    };
    let mut text = format!("{HEADING}{}\n\n", heading.replace(['\n', '\r'], " "));
    for line in content.lines() {
        let escape = if is_special(line) { "\\" } else { "" };
        let _ = writeln!(text, "{escape}{line}");
    }
    let tags: Vec<String> = items(memory, "tags")
        .iter()
        .filter_map(Value::as_str)
        .map(|tag| format!("#{}", tag.split_whitespace().collect::<Vec<_>>().join("_")))
        .collect();
    if !tags.is_empty() {
        let _ = write!(text, "\n{}\n", tags.join(" "));
    }
    text.push('\n');
    text
}

/// Whether a line, but for backslashes before it, begins a memory or holds tags.
fn is_special(line: &str) -> bool {
    let line = line.trim_start_matches('\\');
    line.starts_with(HEADING) || is_tags(line)
}

/// Whether a line holds tags and nothing else.
fn is_tags(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    words.peek().is_some()
        && words.all(|word| {
            let tag = word.strip_prefix('#');
            tag.is_some_and(|tag| !tag.is_empty() && !tag.starts_with('#'))
        })
}

/// Reads a file line by line.
#[derive(Default)]
pub(super) struct Sections {
    open: Option<Open>,
}

/// A memory whose end is not read yet.
struct Open {
    heading: String,
    lines: Vec<String>,
    /// The number of its first line in the file.
    number: u64,
}

/// A memory, or what is wrong with it, and the number of its first line.
pub(super) type Section = (u64, Result<Value, String>);

impl Sections {
    /// Takes the next line in; what it ends is given back.
    pub(super) fn take(&mut self, number: u64, line: &str) -> Option<Section> {
        if let Some(heading) = line.strip_prefix(HEADING) {
            let open = Open {
                heading: heading.trim().to_owned(),
                lines: Vec::new(),
                number,
            };
            return self.open.replace(open).map(Open::close);
        }
        // What stands before the first heading is the file's own title.
        if let Some(open) = &mut self.open {
            open.lines.push(line.to_owned());
        }
        None
    }

    /// What the end of the file ends.
    pub(super) fn end(self) -> Option<Section> {
        self.open.map(Open::close)
    }
}

impl Open {
    fn close(mut self) -> Section {
        let blank = |line: &String| line.trim().is_empty();
        let trim = |lines: &mut Vec<String>| {
            while lines.last().is_some_and(blank) {
                lines.pop();
            }
        };
        trim(&mut self.lines);
        let tags: Vec<String> = match self.lines.pop_if(|line| is_tags(line)) {
            None => Vec::new(),
            Some(line) => line
                .split_whitespace()
                .map(|tag| tag.trim_start_matches('#').to_owned())
                .collect(),
        };
        trim(&mut self.lines);
        let begin = self.lines.iter().take_while(|line| blank(line)).count();
        let content: Vec<&str> = self
            .lines
            .iter()
            .skip(begin)
            .map(|line| plain(line))
            .collect();
        let mut members = Map::new();
        members.insert("content".to_owned(), content.join("\n").into());
        members.insert("tags".to_owned(), json!(tags));
        match Timestamp::parse_rfc3339(&self.heading) {
            Some(_) => members.insert("created_at".to_owned(), self.heading.into()),
            None if self.heading.is_empty() => None,
            None => {
                let summary: String = self.heading.chars().take(MAX_SUMMARY_CHARS).collect();
                members.insert("summary".to_owned(), summary.into())
            }
        };
        (self.number, entry::checked(members))
    }
}

/// A line without the backslash that was put before it.
fn plain(line: &str) -> &str {
    match line.strip_prefix('\\') {
        Some(rest) if is_special(rest) => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<Section> {
        let mut sections = Sections::default();
        let mut read: Vec<Section> = (1..)
            .zip(text.lines())
            .filter_map(|(number, line)| sections.take(number, line))
            .collect();
        read.extend(sections.end());
        read
    }

    #[test]
    fn a_file_of_pocketpaw_is_read() {
        let text = "# Long-term memory\n\n## 2026-02-02T10:00:00+00:00\n\nLikes tea\nand coffee\n\n#drink #morning\n\n\n\
            ## Project Phoenix\n\nUses PostgreSQL\n\n##\n\n## Empty\n\n#lonely\n";
        let read = read(text);
        assert_eq!(
            read[0],
            (
                3,
                Ok(json!({
                    "content": "Likes tea\nand coffee", "tags": ["drink", "morning"],
                    "created_at": "2026-02-02T10:00:00+00:00"
                }))
            )
        );
        assert_eq!(
            read[1],
            (
                11,
                Ok(
                    json!({ "content": "Uses PostgreSQL\n\n##", "tags": [], "summary": "Project Phoenix" })
                )
            )
        );
        assert_eq!(read[2], (17, Err("content cannot be empty".to_owned())));
        assert_eq!(read.len(), 3);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            content in r"(\PC| ## |#tag|\\|\n){0,60}[a-z]",
            tags in proptest::collection::vec("[a-z]{1,9}", 0..4),
            at in 0_i64..4_000_000_000_000_000,
        ) {
            // White space around a content is not kept.
            let content = content.trim().lines().collect::<Vec<_>>().join("\n");
            let created_at = Timestamp::from_micros(at).to_rfc3339_micros();
            let memory = json!({
                "content": content, "summary": Memory::summarize(&content), "tags": tags, "created_at": created_at
            });
            let text = [section(&memory), section(&memory)].concat();
            let expected = json!({ "content": content, "tags": tags, "created_at": created_at });
            let read = read(&text);
            prop_assert_eq!(read.len(), 2);
            for (_, memory) in read {
                prop_assert_eq!(memory, Ok(expected.clone()));
            }
        }
    }
}
