//! Rows of `memories`.

use std::borrow::Cow;

use diesel::prelude::{AsChangeset, Insertable, Queryable, Selectable};
use majordomo_application::ports::RepositoryError;
use majordomo_domain::{
    Importance, Memory, MemoryAuthor, MemoryId, MemoryKind, MemorySource, MessageId, RunId,
    SessionId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use super::super::error::{Outcome, corrupt, to_stored};
use super::super::schema::memories;
use crate::backend;

/// Where a memory comes from, as JSON.
#[derive(Serialize, Deserialize)]
struct StoredSource {
    author: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
}

impl From<&MemorySource> for StoredSource {
    fn from(source: &MemorySource) -> Self {
        Self {
            author: source.author.as_str().to_owned(),
            session: source.session.clone().map(SessionId::into_string),
            message: source.message.clone().map(MessageId::into_string),
            run: source.run.clone().map(RunId::into_string),
        }
    }
}

impl StoredSource {
    fn into_domain(self) -> Option<MemorySource> {
        Some(MemorySource {
            author: MemoryAuthor::parse(&self.author)?,
            session: self.session.map(SessionId::parse).transpose().ok()?,
            message: self.message.map(MessageId::parse).transpose().ok()?,
            run: self.run.map(RunId::parse).transpose().ok()?,
        })
    }
}

/// A memory as it is written.
#[derive(Insertable)]
#[diesel(table_name = memories)]
pub(super) struct NewMemoryRow<'a> {
    id: &'a str,
    owner: &'a str,
    kind: &'a str,
    content: Cow<'a, str>,
    summary: Cow<'a, str>,
    importance: f64,
    tags: String,
    sources: String,
    created_at: i64,
    updated_at: i64,
    accessed_at: i64,
    access_count: i64,
    decayed_at: i64,
    revision: i64,
}

/// What of a memory may change. When it was found and how often is changed elsewhere.
#[derive(AsChangeset)]
#[diesel(table_name = memories)]
pub(super) struct MemoryChangeset<'a> {
    kind: &'a str,
    content: &'a str,
    summary: &'a str,
    importance: f64,
    tags: &'a str,
    sources: &'a str,
    updated_at: i64,
    decayed_at: i64,
    revision: i64,
}

fn json(value: &impl Serialize) -> Outcome<String> {
    let text =
        serde_json::to_string(value).map_err(|error| RepositoryError::Other(Box::new(error)))?;
    Ok(backend::encode_text(&text).into_owned())
}

impl<'a> NewMemoryRow<'a> {
    pub(super) fn new(owner: &'a UserId, memory: &'a Memory, revision: i64) -> Outcome<Self> {
        let sources: Vec<StoredSource> = memory.sources.iter().map(StoredSource::from).collect();
        Ok(Self {
            id: memory.id.as_str(),
            owner: owner.as_str(),
            kind: memory.kind.as_str(),
            content: backend::encode_text(&memory.content),
            summary: backend::encode_text(&memory.summary),
            importance: memory.importance.get(),
            tags: json(&memory.tags)?,
            sources: json(&sources)?,
            created_at: memory.created_at.as_micros(),
            updated_at: memory.updated_at.as_micros(),
            accessed_at: memory.accessed_at.as_micros(),
            access_count: to_stored(memory.access_count),
            decayed_at: memory.decayed_at.as_micros(),
            revision,
        })
    }

    pub(super) fn changes(&self) -> MemoryChangeset<'_> {
        MemoryChangeset {
            kind: self.kind,
            content: &self.content,
            summary: &self.summary,
            importance: self.importance,
            tags: &self.tags,
            sources: &self.sources,
            updated_at: self.updated_at,
            decayed_at: self.decayed_at,
            revision: self.revision,
        }
    }
}

/// A memory as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = memories)]
pub(super) struct MemoryRow {
    id: String,
    pub(super) owner: String,
    kind: String,
    content: String,
    summary: String,
    importance: f64,
    tags: String,
    sources: String,
    created_at: i64,
    updated_at: i64,
    accessed_at: i64,
    access_count: i64,
    decayed_at: i64,
    revision: i64,
}

impl TryFrom<MemoryRow> for Memory {
    type Error = RepositoryError;

    fn try_from(row: MemoryRow) -> Result<Self, RepositoryError> {
        let bad = |column| corrupt("memories", column, &row.id);
        let tags = backend::decode_text(row.tags);
        let sources = backend::decode_text(row.sources);
        let sources: Vec<StoredSource> =
            serde_json::from_str(&sources).map_err(|_| bad("sources"))?;
        Ok(Self {
            id: MemoryId::parse(row.id.as_str()).map_err(|_| bad("id"))?,
            owner: UserId::parse(row.owner).map_err(|_| bad("owner"))?,
            kind: MemoryKind::parse(&row.kind).ok_or_else(|| bad("kind"))?,
            importance: Importance::new(row.importance).map_err(|_| bad("importance"))?,
            tags: serde_json::from_str(&tags).map_err(|_| bad("tags"))?,
            sources: sources
                .into_iter()
                .map(StoredSource::into_domain)
                .collect::<Option<_>>()
                .ok_or_else(|| bad("sources"))?,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            accessed_at: Timestamp::from_micros(row.accessed_at),
            access_count: u64::try_from(row.access_count).map_err(|_| bad("access_count"))?,
            decayed_at: Timestamp::from_micros(row.decayed_at),
            revision: u64::try_from(row.revision).map_err(|_| bad("revision"))?,
            content: backend::decode_text(row.content),
            summary: backend::decode_text(row.summary),
        })
    }
}

pub(super) fn from_rows(rows: Vec<MemoryRow>) -> Outcome<Vec<Memory>> {
    let memories: Result<_, RepositoryError> = rows.into_iter().map(Memory::try_from).collect();
    Ok(memories?)
}
