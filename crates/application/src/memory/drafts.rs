//! What callers want to have remembered, and whether it may be.

use majordomo_domain::memory::{MAX_CONTENT_CHARS, MAX_SUMMARY_CHARS, MAX_TAG_CHARS, MAX_TAGS};
use majordomo_domain::{Importance, Memory, MemoryId, MemoryKind, MemorySource, Timestamp, UserId};

use super::error::MemoryError;
use crate::error::FieldError;

/// Something to remember.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMemory {
    /// All of it.
    pub content: String,
    /// It in one line; derived from the content where there is none.
    pub summary: Option<String>,
    /// What kind of thing it is.
    pub kind: MemoryKind,
    /// How much it matters, 0 to 1; 0.5 where nothing is said.
    pub importance: Option<f64>,
    /// Words to sort it by.
    pub tags: Vec<String>,
    /// Where it comes from.
    pub source: MemorySource,
    /// When it happened; now, where nothing is said.
    pub created_at: Option<Timestamp>,
}

/// What to change of a memory. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryChange {
    /// What it says from now on. Its summary is derived anew.
    pub content: Option<String>,
    /// Its tags from now on.
    pub tags: Option<Vec<String>>,
}

/// Collects what is wrong with a request.
#[derive(Default)]
pub(super) struct Problems(Vec<FieldError>);

impl Problems {
    pub(super) fn add(&mut self, field: &str, error: impl Into<String>) {
        self.0.push(FieldError::new(field, error));
    }

    pub(super) fn check(self) -> Result<(), MemoryError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(MemoryError::Invalid(self.0))
        }
    }

    fn text(&mut self, field: &str, text: &str, most: usize) {
        if text.trim().is_empty() {
            self.add(field, "cannot be empty");
        } else if text.chars().count() > most {
            self.add(field, format!("must not be longer than {most} characters"));
        }
    }

    pub(super) fn content(&mut self, content: &str) {
        self.text("content", content, MAX_CONTENT_CHARS);
    }

    pub(super) fn tags(&mut self, tags: &[String]) {
        if tags.len() > MAX_TAGS {
            self.add("tags", format!("must not be more than {MAX_TAGS}"));
        } else if tags.iter().any(|tag| tag.trim().is_empty()) {
            self.add("tags", "must not be blank");
        } else if tags.iter().any(|tag| tag.chars().count() > MAX_TAG_CHARS) {
            self.add(
                "tags",
                format!("must not be longer than {MAX_TAG_CHARS} characters"),
            );
        }
    }
}

/// Each tag once.
pub(super) fn distinct(tags: Vec<String>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::with_capacity(tags.len());
    for tag in tags {
        let tag = tag.trim().to_owned();
        if !distinct.contains(&tag) {
            distinct.push(tag);
        }
    }
    distinct
}

impl NewMemory {
    /// Fails with every field that is wrong.
    pub fn validate(&self) -> Result<(), MemoryError> {
        let mut problems = Problems::default();
        problems.content(&self.content);
        if let Some(summary) = &self.summary {
            problems.text("summary", summary, MAX_SUMMARY_CHARS);
        }
        if self
            .importance
            .is_some_and(|value| Importance::new(value).is_err())
        {
            problems.add("importance", "must be between 0.0 and 1.0");
        }
        problems.tags(&self.tags);
        problems.check()
    }

    /// The memory, once validated.
    pub(super) fn into_memory(self, id: MemoryId, owner: UserId, now: Timestamp) -> Memory {
        let importance = self
            .importance
            .and_then(|value| Importance::new(value).ok());
        let summary = self
            .summary
            .unwrap_or_else(|| Memory::summarize(&self.content));
        Memory {
            id,
            owner,
            summary,
            content: self.content,
            kind: self.kind,
            importance: importance.unwrap_or(Importance::DEFAULT),
            tags: distinct(self.tags),
            sources: vec![self.source],
            created_at: self.created_at.unwrap_or(now),
            updated_at: now,
            accessed_at: now,
            access_count: 0,
            decayed_at: now,
            revision: 0,
        }
    }
}
