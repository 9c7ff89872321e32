//! Memories as files hold them: what an export gives an import takes.

use majordomo_application::memory::{
    Imported, MAX_ACCESS_COUNT, MAX_EXPORT, MemoryImport, MemoryPast, NewMemory,
};
use majordomo_domain::{
    Memory, MemoryAuthor, MemoryId, MemoryKind, MemorySource, MessageId, RunId, SessionId,
    Timestamp,
};
use majordomo_presentation_http::session_id::{ID_PATTERN, session_id};
use majordomo_presentation_http::{ApiError, Location};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dto::{MemoryType, kind, limit, wrong};

/// Where an export goes on.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ExportParams {
    /// `next` of the page before; the first page where left out.
    #[schemars(range(min = 0))]
    after: Option<i64>,
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
}

impl ExportParams {
    pub(crate) fn place(&self) -> Result<(u64, u32), ApiError> {
        let after = u64::try_from(self.after.unwrap_or_default())
            .map_err(|_| wrong(Location::Query, "after", "must not be negative"))?;
        let limit = limit(self.limit, MAX_EXPORT, i64::from(MAX_EXPORT))?;
        Ok((after, limit))
    }
}

/// A page of an export.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ExportedResponse {
    memories: Vec<ExportedMemory>,
    /// Where to go on; nothing where this is the end.
    next: Option<u64>,
}

impl ExportedResponse {
    /// A page of at most `limit` memories.
    pub(crate) fn new(page: &[Memory], limit: u32) -> Self {
        let full = u32::try_from(page.len()).is_ok_and(|read| read >= limit);
        Self {
            memories: page.iter().map(ExportedMemory::from).collect(),
            next: page.last().filter(|_| full).map(|last| last.revision),
        }
    }
}

/// A memory with all that is known of it.
#[derive(Serialize, JsonSchema)]
struct ExportedMemory {
    id: String,
    content: String,
    summary: String,
    /// `fact`, `preference`, `tool_result`, `correction` or `context`.
    memory_type: &'static str,
    importance: f64,
    tags: Vec<String>,
    sources: Vec<SourceEntry>,
    created_at: String,
    updated_at: String,
    /// When it was last found.
    accessed_at: String,
    /// How often it was found.
    access_count: u64,
    /// Up to when it has faded.
    decayed_at: String,
}

impl From<&Memory> for ExportedMemory {
    fn from(memory: &Memory) -> Self {
        Self {
            id: memory.id.to_string(),
            content: memory.content.clone(),
            summary: memory.summary.clone(),
            memory_type: memory.kind.as_str(),
            importance: memory.importance.get(),
            tags: memory.tags.clone(),
            sources: memory.sources.iter().map(SourceEntry::from).collect(),
            created_at: memory.created_at.to_rfc3339_micros(),
            updated_at: memory.updated_at.to_rfc3339_micros(),
            accessed_at: memory.accessed_at.to_rfc3339_micros(),
            access_count: memory.access_count,
            decayed_at: memory.decayed_at.to_rfc3339_micros(),
        }
    }
}

/// Where a memory comes from.
#[derive(Serialize, Deserialize, JsonSchema)]
struct SourceEntry {
    /// Who put it in.
    #[schemars(extend("enum" = ["user", "agent", "tool", "import"]))]
    author: String,
    #[schemars(regex(pattern = ID_PATTERN))]
    conversation_id: Option<String>,
    #[schemars(regex(pattern = ID_PATTERN))]
    message_id: Option<String>,
    #[schemars(regex(pattern = ID_PATTERN))]
    run_id: Option<String>,
}

impl From<&MemorySource> for SourceEntry {
    fn from(source: &MemorySource) -> Self {
        Self {
            author: source.author.as_str().to_owned(),
            conversation_id: source.session.as_ref().map(ToString::to_string),
            message_id: source.message.as_ref().map(ToString::to_string),
            run_id: source.run.as_ref().map(ToString::to_string),
        }
    }
}

impl SourceEntry {
    fn into_source(self) -> Result<MemorySource, ApiError> {
        let author = MemoryAuthor::parse(&self.author).ok_or_else(|| {
            wrong(
                Location::Body,
                "author",
                "must be one of user, agent, tool, import",
            )
        })?;
        Ok(MemorySource {
            author,
            session: identifier("conversation_id", self.conversation_id, SessionId::parse)?,
            message: identifier("message_id", self.message_id, MessageId::parse)?,
            run: identifier("run_id", self.run_id, RunId::parse)?,
        })
    }
}

/// An identifier in the body, where there is one.
fn identifier<T, E: std::fmt::Display>(
    field: &str,
    text: Option<String>,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Result<Option<T>, ApiError> {
    text.map(parse)
        .transpose()
        .map_err(|error| wrong(Location::Body, field, error.to_string()))
}

/// A time in the body, where there is one.
fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let parse = |text| {
        Timestamp::parse_rfc3339(text)
            .ok_or_else(|| wrong(Location::Body, field, "must be an RFC 3339 time"))
    };
    text.map(parse).transpose()
}

/// Memories to store.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ImportMemoriesRequest {
    /// In the order in which they happened.
    #[schemars(length(max = 5000))]
    memories: Vec<ImportedMemory>,
}

impl ImportMemoriesRequest {
    pub(crate) fn into_batch(self) -> Result<Vec<MemoryImport>, ApiError> {
        self.memories
            .into_iter()
            .map(ImportedMemory::into_import)
            .collect()
    }
}

/// A memory to store as it is.
#[derive(Deserialize, JsonSchema)]
struct ImportedMemory {
    /// What it is called where it comes from: what has this id here is not stored again.
    #[schemars(regex(pattern = ID_PATTERN))]
    id: Option<String>,
    /// All of it.
    #[schemars(length(min = 1, max = 10_000), regex(pattern = r"\S"))]
    content: String,
    /// It in one line; the beginning of the content where left out.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"\S"))]
    summary: Option<String>,
    /// What kind of thing it is; `context` where left out.
    #[schemars(with = "Option<MemoryType>")]
    memory_type: Option<String>,
    /// How much it matters; 0.5 where left out.
    #[schemars(range(min = 0.0, max = 1.0))]
    importance: Option<f64>,
    /// Words to sort it by.
    #[serde(default)]
    #[schemars(length(max = 20), inner(length(max = 50), regex(pattern = r"\S")))]
    tags: Vec<String>,
    /// The conversation it comes from, where no sources are named.
    #[schemars(regex(pattern = ID_PATTERN))]
    conversation_id: Option<String>,
    /// Where it comes from: first what it began with. That it was imported is added.
    #[serde(default)]
    #[schemars(length(max = 16))]
    sources: Vec<SourceEntry>,
    /// When it happened, RFC 3339; now where left out.
    #[schemars(extend("anyOf" = [{ "type": "string", "format": "date-time" }, { "type": "null" }]))]
    created_at: Option<String>,
    /// When it was last changed; now where left out.
    #[schemars(extend("anyOf" = [{ "type": "string", "format": "date-time" }, { "type": "null" }]))]
    updated_at: Option<String>,
    /// When it was last found; now where left out.
    #[schemars(extend("anyOf" = [{ "type": "string", "format": "date-time" }, { "type": "null" }]))]
    accessed_at: Option<String>,
    /// How often it was found.
    #[serde(default)]
    #[schemars(range(max = MAX_ACCESS_COUNT))]
    access_count: u64,
    /// Up to when it has faded; now where left out.
    #[schemars(extend("anyOf" = [{ "type": "string", "format": "date-time" }, { "type": "null" }]))]
    decayed_at: Option<String>,
}

impl ImportedMemory {
    fn into_import(self) -> Result<MemoryImport, ApiError> {
        let kind = self
            .memory_type
            .map(|name| kind(Location::Body, "memory_type", &name));
        let session = self
            .conversation_id
            .map(|id| session_id(Location::Body, "conversation_id", &id));
        let sources: Result<_, ApiError> = self
            .sources
            .into_iter()
            .map(SourceEntry::into_source)
            .collect();
        if self.access_count > MAX_ACCESS_COUNT {
            let problem = format!("must not be more than {MAX_ACCESS_COUNT}");
            return Err(wrong(Location::Body, "access_count", problem));
        }
        let past = MemoryPast {
            id: identifier("id", self.id, MemoryId::parse)?,
            sources: sources?,
            updated_at: time("updated_at", self.updated_at.as_deref())?,
            accessed_at: time("accessed_at", self.accessed_at.as_deref())?,
            decayed_at: time("decayed_at", self.decayed_at.as_deref())?,
            access_count: self.access_count,
        };
        let memory = NewMemory {
            content: self.content,
            summary: self.summary,
            kind: kind.transpose()?.unwrap_or(MemoryKind::Context),
            importance: self.importance,
            tags: self.tags,
            source: MemorySource {
                session: session.transpose()?,
                ..MemorySource::of(MemoryAuthor::Import)
            },
            created_at: time("created_at", self.created_at.as_deref())?,
        };
        Ok(MemoryImport { memory, past })
    }
}

/// What an import did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ImportedResponse {
    /// The id of each entry, in order.
    ids: Vec<String>,
    /// How many are new.
    stored: usize,
    /// How many were there already.
    known: usize,
}

impl From<Imported> for ImportedResponse {
    fn from(imported: Imported) -> Self {
        Self {
            known: imported.ids.len().saturating_sub(imported.stored),
            stored: imported.stored,
            ids: imported.ids.iter().map(ToString::to_string).collect(),
        }
    }
}
