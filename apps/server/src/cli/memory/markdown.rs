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
//! The heading is a time, or what the memory is about in one line; `Memory` and a time of day, which PocketPaw writes where it
//! knows nothing better, say nothing. A deeper heading begins a memory, too. What the form has no place for (type, importance,
//! sources) is left out. A line of the content that could be taken for a heading or for tags has a backslash before it.

use std::fmt::Write as _;

use majordomo_domain::memory::MAX_SUMMARY_CHARS;
use majordomo_domain::{Memory, Timestamp};
use serde_json::{Map, Value, json};

use super::entry;
use crate::cli::output::{field, items};

/// What a memory that is written begins with.
const HEADING: &str = "## ";
/// The heading that PocketPaw writes where it has none.
const NAMELESS: &str = "Memory";

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
    heading(line).is_some() || is_tags(line)
}

/// How deep a heading of two or more `#` is, and what it says.
fn heading(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches('#');
    let depth = line.len() - rest.len();
    let text = rest.strip_prefix(' ').filter(|_| depth >= 2)?;
    Some((depth, text.trim()))
}

/// The time that a heading is, as RFC 3339. One without a zone is in UTC; a day is its beginning.
fn time(heading: &str) -> Option<String> {
    ["", "Z", ":00Z", "T00:00:00Z"]
        .map(|rest| format!("{heading}{rest}"))
        .into_iter()
        .find(|time| Timestamp::parse_rfc3339(time).is_some())
}

/// Whether a heading is a time of day: `14:05`, `14:05:09`.
fn is_time_of_day(heading: &str) -> bool {
    let is_number = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    (2..=3).contains(&heading.split(':').count()) && heading.split(':').all(is_number)
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
    depth: usize,
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
        if let Some((depth, heading)) = heading(line) {
            let open = Open {
                depth,
                heading: heading.to_owned(),
                lines: Vec::new(),
                number,
            };
            // A heading with nothing but deeper ones under it is their title.
            let closed = self.open.replace(open);
            return closed
                .filter(|closed| closed.depth >= depth || !closed.is_blank())
                .map(Open::close);
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
    fn is_blank(&self) -> bool {
        self.lines.iter().all(|line| line.trim().is_empty())
    }

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
        if let Some(time) = time(&self.heading) {
            members.insert("created_at".to_owned(), time.into());
        } else if !self.heading.is_empty()
            && self.heading != NAMELESS
            && !is_time_of_day(&self.heading)
        {
            let summary: String = self.heading.chars().take(MAX_SUMMARY_CHARS).collect();
            members.insert("summary".to_owned(), summary.into());
        }
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

    #[test]
    fn headings_that_say_nothing_are_no_summary() {
        for heading in ["14:05", "14:05:09", "Memory", ""] {
            let read = read(&format!("## {heading}\n\nOwns a parrot\n\n#bird\n"));
            let expected = json!({ "content": "Owns a parrot", "tags": ["bird"] });
            assert_eq!(read, [(1, Ok(expected))], "{heading}");
        }
        for heading in ["14:5", "Memory lane", "12:00:00:00"] {
            let read = read(&format!("## {heading}\n\nOwns a parrot\n"));
            let expected = json!({ "content": "Owns a parrot", "tags": [], "summary": heading });
            assert_eq!(read, [(1, Ok(expected))]);
        }
    }

    #[test]
    fn times_without_a_zone_are_in_utc() {
        for (heading, created_at) in [
            ("2026-02-07T10:30:00.123456", "2026-02-07T10:30:00.123456Z"),
            ("2026-02-07 10:30:00", "2026-02-07 10:30:00Z"),
            ("2026-02-07T10:30", "2026-02-07T10:30:00Z"),
            ("2026-02-07", "2026-02-07T00:00:00Z"),
        ] {
            let read = read(&format!("## {heading}\n\nx\n"));
            let expected = json!({ "content": "x", "tags": [], "created_at": created_at });
            assert_eq!(read, [(1, Ok(expected))]);
        }
    }

    #[test]
    fn deeper_headings_begin_memories_too() {
        let text = "## Memory\n\nLikes rain\n### Sub\n\nsub entry\n\n## Title\n\n#### Deep\nx\n### Empty\n## Last\n\ny\n#### \n";
        let entry =
            |content, summary| json!({ "content": content, "tags": [], "summary": summary });
        let empty = || Err("content cannot be empty".to_owned());
        assert_eq!(
            read(text),
            [
                (1, Ok(json!({ "content": "Likes rain", "tags": [] }))),
                (4, Ok(entry("sub entry", "Sub"))),
                (10, Ok(entry("x", "Deep"))),
                (12, empty()),
                (13, Ok(entry("y", "Last"))),
                (16, empty()),
            ]
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            content in r"(\PC| ## |### |#tag|\\|\n){0,60}[a-z]",
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
