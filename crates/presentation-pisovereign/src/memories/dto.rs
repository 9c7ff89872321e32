//! The bodies of `/v1/memories` and what they mean.

use majordomo_application::memory::{
    Decayed, EmbeddingProgress, Found, MemoryHit, MemoryOverview, MemorySearch, NewMemory,
    StoredMemory,
};
use majordomo_application::ports::{MemoryFilter, MemoryOrder};
use majordomo_domain::{Memory, MemoryAuthor, MemoryKind, MemorySource, MemoryTurn, SessionId};
use majordomo_presentation_http::{ApiError, ErrorClass, FieldIssue, Location};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Memories listed when no number is named, and at most.
const LISTED: u32 = 100;
const MAX_LISTED: i64 = 500;
/// Hits when no number is named, and at most.
const HITS: u32 = 5;
const MAX_HITS: i64 = 100;

pub(super) fn wrong(location: Location, field: &str, error: impl Into<String>) -> ApiError {
    let issue = FieldIssue::new(location, field, "value_error", error);
    ApiError::invalid(ErrorClass::Invalid, vec![issue])
}

pub(super) fn limit(asked: Option<i64>, default: u32, most: i64) -> Result<u32, ApiError> {
    let Some(asked) = asked else {
        return Ok(default);
    };
    u32::try_from(asked)
        .ok()
        .filter(|_| (1..=most).contains(&asked))
        .ok_or_else(|| {
            wrong(
                Location::Query,
                "limit",
                format!("must be between 1 and {most}"),
            )
        })
}

pub(super) fn kind(location: Location, field: &str, name: &str) -> Result<MemoryKind, ApiError> {
    MemoryKind::parse(name).ok_or_else(|| {
        let names = MemoryKind::ALL.map(MemoryKind::as_str).join(", ");
        wrong(location, field, format!("must be one of {names}"))
    })
}

/// What kind of thing is remembered, in requests.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes what is read as text")]
pub(super) enum MemoryType {
    Fact,
    Preference,
    ToolResult,
    Correction,
    Context,
}

/// Which memories to list.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ListParams {
    /// At most so many.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
    /// After leaving out so many.
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    offset: Option<i64>,
    /// Only this type.
    #[serde(rename = "type")]
    #[schemars(with = "Option<MemoryType>")]
    kind: Option<String>,
}

impl ListParams {
    pub(crate) fn into_filter(self) -> Result<MemoryFilter, ApiError> {
        let offset = u32::try_from(self.offset.unwrap_or_default())
            .map_err(|_| wrong(Location::Query, "offset", "must not be negative"))?;
        let kind = self.kind.map(|name| kind(Location::Query, "type", &name));
        Ok(MemoryFilter {
            kind: kind.transpose()?,
            order: MemoryOrder::Importance,
            limit: limit(self.limit, LISTED, MAX_LISTED)?,
            offset,
        })
    }
}

/// What to search for.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SearchParams {
    /// A question or words. Times such as `last May` count.
    #[schemars(
        required,
        with = "String",
        length(min = 1, max = 1000),
        regex(pattern = r"\S")
    )]
    q: Option<String>,
    /// At most so many hits; 5 where left out.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<i64>,
    /// Whether stored messages are searched too; they are where left out.
    turns: Option<bool>,
}

impl SearchParams {
    pub(crate) fn into_search(self) -> Result<MemorySearch, ApiError> {
        Ok(MemorySearch {
            text: self.q.unwrap_or_default(),
            limit: limit(self.limit, HITS, MAX_HITS)?,
            turns: self.turns.unwrap_or(true),
        })
    }
}

/// A memory to store.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CreateMemoryRequest {
    /// All of it.
    #[schemars(
        required,
        with = "String",
        length(min = 1, max = 10_000),
        regex(pattern = r"\S")
    )]
    content: Option<String>,
    /// It in one line.
    #[schemars(
        required,
        with = "String",
        length(min = 1, max = 200),
        regex(pattern = r"\S")
    )]
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
}

impl CreateMemoryRequest {
    pub(crate) fn into_new(self) -> Result<NewMemory, ApiError> {
        let kind = self
            .memory_type
            .map(|name| kind(Location::Body, "memory_type", &name));
        Ok(NewMemory {
            content: self.content.unwrap_or_default(),
            summary: Some(self.summary.unwrap_or_default()),
            kind: kind.transpose()?.unwrap_or(MemoryKind::Context),
            importance: self.importance,
            tags: self.tags,
            source: MemorySource::of(MemoryAuthor::User),
            created_at: None,
        })
    }
}

/// A memory.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemoryResponse {
    id: String,
    content: String,
    summary: String,
    /// `Fact`, `Preference`, `Tool Result`, `Correction` or `Context`.
    memory_type: &'static str,
    /// How much it matters now, 0.0 to 1.0.
    importance: f64,
    /// How often it was found.
    access_count: u64,
    tags: Vec<String>,
    created_at: String,
    updated_at: String,
    /// Where it comes from: first what it began with.
    sources: Vec<SourceResponse>,
    /// `trusted` where the user said all of it, else `untrusted`.
    trust: &'static str,
}

/// Where a memory comes from.
#[derive(Serialize, JsonSchema)]
struct SourceResponse {
    /// `user`, `agent`, `tool` or `import`.
    author: &'static str,
    conversation_id: Option<String>,
    message_id: Option<String>,
    run_id: Option<String>,
}

impl From<&MemorySource> for SourceResponse {
    fn from(source: &MemorySource) -> Self {
        Self {
            author: source.author.as_str(),
            conversation_id: source.session.clone().map(SessionId::into_string),
            message_id: source.message.as_ref().map(ToString::to_string),
            run_id: source.run.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Memory> for MemoryResponse {
    fn from(memory: &Memory) -> Self {
        Self {
            id: memory.id.to_string(),
            content: memory.content.clone(),
            summary: memory.summary.clone(),
            memory_type: memory.kind.label(),
            importance: memory.importance.get(),
            access_count: memory.access_count,
            tags: memory.tags.clone(),
            created_at: memory.created_at.to_rfc3339(),
            updated_at: memory.updated_at.to_rfc3339(),
            sources: memory.sources.iter().map(SourceResponse::from).collect(),
            trust: memory.trust().as_str(),
        }
    }
}

impl From<&MemoryTurn> for MemoryResponse {
    fn from(turn: &MemoryTurn) -> Self {
        let source = turn.source();
        let at = turn.created_at.to_rfc3339();
        Self {
            id: turn.message.to_string(),
            content: turn.text.clone(),
            summary: Memory::summarize(&turn.text),
            memory_type: MemoryKind::Context.label(),
            importance: 0.5,
            access_count: 0,
            tags: Vec::new(),
            created_at: at.clone(),
            updated_at: at,
            sources: vec![SourceResponse::from(&source)],
            trust: source.author.trust().as_str(),
        }
    }
}

/// A memory that was stored.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CreatedMemoryResponse {
    #[serde(flatten)]
    memory: MemoryResponse,
    /// Whether it was there before and the new one was merged into it.
    merged: bool,
}

impl From<StoredMemory> for CreatedMemoryResponse {
    fn from(stored: StoredMemory) -> Self {
        Self {
            memory: MemoryResponse::from(&stored.memory),
            merged: stored.merged,
        }
    }
}

/// What was found, and why.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemoryHitResponse {
    #[serde(flatten)]
    memory: MemoryResponse,
    /// `memory`, or `turn` for a stored message.
    source: &'static str,
    /// How much it says what is asked, 0.0 to 1.0: the cosine of the angle between its vector and the question's, or
    /// where one of them has none, the share of the question that it or what was said around it covers.
    similarity: f64,
    /// How well it answers, against the best hit's 1.0.
    relevance: f64,
    /// Its place by the words it holds, from 1; null where its words do not tell.
    words_rank: Option<u16>,
    /// Its place by what it means, from 1; null where that does not tell, or without an embedding model.
    meaning_rank: Option<u16>,
}

impl MemoryHitResponse {
    /// A hit of an answer whose best one has the score `best`.
    pub(crate) fn new(hit: &MemoryHit, best: f64) -> Self {
        let (memory, source) = match &hit.found {
            Found::Memory(memory) => (MemoryResponse::from(memory.as_ref()), "memory"),
            Found::Turn(turn) => (MemoryResponse::from(turn), "turn"),
        };
        let rounded = |number: f64| (number.clamp(0.0, 1.0) * 10_000.0).round() / 10_000.0;
        Self {
            memory,
            source,
            similarity: rounded(hit.similarity.unwrap_or(hit.coverage)),
            relevance: rounded(hit.score / best),
            words_rank: hit.words_rank,
            meaning_rank: hit.meaning_rank,
        }
    }
}

/// How many memories there are.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemoryStatsResponse {
    total: u64,
    /// Every type.
    by_type: Vec<TypeCount>,
    /// How far the embedding model has come; null without one.
    embedding: Option<EmbeddingResponse>,
}

/// How far the embedding model has come.
#[derive(Serialize, JsonSchema)]
struct EmbeddingResponse {
    /// Its name.
    model: String,
    /// Numbers in its vectors; null before its first answer.
    dimension: Option<u32>,
    /// Memories that have a vector.
    memories: u64,
    /// Memories in all.
    memories_total: u64,
    /// Stored messages that have a vector.
    turns: u64,
    /// Stored messages that can have one.
    turns_total: u64,
    /// Why nothing is embedded at present.
    error: Option<String>,
}

impl From<EmbeddingProgress> for EmbeddingResponse {
    fn from(progress: EmbeddingProgress) -> Self {
        Self {
            model: progress.model,
            dimension: progress.dimension,
            memories: progress.embedded.memories,
            memories_total: progress.embeddable.memories,
            turns: progress.embedded.turns,
            turns_total: progress.embeddable.turns,
            error: progress.failure,
        }
    }
}

/// How many memories of a type there are.
#[derive(Serialize, JsonSchema)]
struct TypeCount {
    /// `Fact`, `Preference`, `Tool Result`, `Correction` or `Context`.
    memory_type: &'static str,
    count: u64,
}

impl From<MemoryOverview> for MemoryStatsResponse {
    fn from(overview: MemoryOverview) -> Self {
        Self {
            total: overview.by_kind.iter().map(|(_, count)| count).sum(),
            embedding: overview.embedding.map(EmbeddingResponse::from),
            by_type: overview
                .by_kind
                .into_iter()
                .map(|(kind, count)| TypeCount {
                    memory_type: kind.label(),
                    count,
                })
                .collect(),
        }
    }
}

/// What fading did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DecayResponse {
    /// Memories looked at.
    processed: u64,
    /// Of which lost importance.
    decayed: u64,
    /// Of which were forgotten.
    removed: u64,
}

impl From<Decayed> for DecayResponse {
    fn from(decayed: Decayed) -> Self {
        Self {
            processed: decayed.processed,
            decayed: decayed.decayed,
            removed: decayed.removed,
        }
    }
}
