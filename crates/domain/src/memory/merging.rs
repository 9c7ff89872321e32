//! How what is said twice becomes one memory.

use super::{MAX_CONTENT_CHARS, MAX_TAGS, Memory};
use crate::Timestamp;

/// Two memories at least this similar are one; 1 is equal.
pub const MERGED_FROM: f64 = 0.85;
/// What stands between a content and what was added to it.
pub const ADDITION: &str = "\n\nAdditional context: ";
/// Sources kept of one memory.
pub const MAX_SOURCES: usize = 16;

impl Memory {
    /// This memory and `other` as one: what the other says besides is added, the larger importance counts, tags are
    /// joined, sources kept. What it says already is not said again. `None` when both together would be too long.
    #[must_use]
    pub fn merged_with(&self, other: &Self, now: Timestamp) -> Option<Self> {
        let content = if says(&self.content, &other.content) {
            self.content.clone()
        } else {
            format!("{}{ADDITION}{}", self.content, other.content.trim())
        };
        if content.chars().count() > MAX_CONTENT_CHARS {
            return None;
        }
        let mut tags = self.tags.clone();
        for tag in &other.tags {
            if tags.len() < MAX_TAGS && !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let mut sources = self.sources.clone();
        for source in &other.sources {
            if sources.len() < MAX_SOURCES && !sources.contains(source) {
                sources.push(source.clone());
            }
        }
        Some(Self {
            content,
            tags,
            sources,
            importance: self.importance.max(other.importance),
            updated_at: now,
            ..self.clone()
        })
    }
}

/// Whether `content` holds `text` as one of its parts.
fn says(content: &str, text: &str) -> bool {
    content
        .split(ADDITION)
        .any(|part| words(part).eq(words(text)))
}

/// A text's words, without capitals and the marks of a sentence around them. A question mark counts, and so do the marks of
/// names (`C++`, `C#`) and numbers (`-5`).
fn words(text: &str) -> impl Iterator<Item = String> {
    const MARKS: &[char] = &[
        '.', ',', ';', ':', '!', '…', '"', '\'', '“', '”', '‘', '’', '(', ')',
    ];
    text.split_whitespace()
        .map(|word| word.trim_matches(MARKS).to_lowercase())
        .filter(|word| !word.is_empty())
}
