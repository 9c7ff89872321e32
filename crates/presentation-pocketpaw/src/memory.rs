//! What is remembered: long-term memories, their settings, their number.

#![expect(
    clippy::doc_markdown,
    reason = "a handler's first line is its literal route"
)]

pub(crate) mod dashboard;
pub(crate) mod graph;

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::Caller;
use majordomo_application::ports::{MemoryFilter, MemoryOrder};
use majordomo_domain::{Memory, MemoryId, Scope};
use majordomo_presentation_http::openapi::{Body, Params, PathParams, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, ErrorClass, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fails::Fails;
use crate::settings::{self, ChangeSettingsRequest, SettingsChangedResponse};
use crate::wire::{limit, wire_time};

/// Memories listed when no number is named, and at most.
const LISTED: u32 = 50;
const MAX_LISTED: u32 = 500;

/// The settings of memory, by name.
const SETTINGS: [&str; 9] = [
    "memory_backend",
    "memory_use_inference",
    "mem0_llm_provider",
    "mem0_llm_model",
    "mem0_embedder_provider",
    "mem0_embedder_model",
    "mem0_vector_store",
    "mem0_ollama_base_url",
    "mem0_auto_learn",
];

/// How many.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct LongTermParams {
    /// At most so many; 50 when missing.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<i64>,
}

/// A memory.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LongTermMemory {
    /// Names it.
    id: String,
    /// All of it.
    content: String,
    /// When it happened or was stored.
    timestamp: String,
    /// Words to sort it by.
    tags: Vec<String>,
}

impl From<Memory> for LongTermMemory {
    fn from(memory: Memory) -> Self {
        Self {
            id: memory.id.into_string(),
            content: memory.content,
            timestamp: wire_time(memory.created_at),
            tags: memory.tags,
        }
    }
}

/// Whether it was done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ForgottenResponse {
    /// Always true.
    ok: bool,
}

/// How much is remembered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MemoryStatsResponse {
    /// Always `file`.
    backend: &'static str,
    /// How many memories there are.
    total_memories: u64,
    /// By type.
    by_type: CountsByType,
    /// The same under another name.
    memories_by_type: CountsByType,
    /// `builtin` with an embedding model, `disabled` without one.
    vector_backend: &'static str,
    /// Whether memories have vectors.
    vector_enabled: bool,
    /// How many of them.
    vector_entries: u64,
    /// Whether tags make a graph.
    graph_enabled: bool,
    /// Tags in it.
    graph_entities: u64,
    /// Pairs of tags in it.
    graph_relationships: u64,
}

/// Memories by type.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct CountsByType {
    /// Memories.
    long_term: u64,
    /// Always 0: there are no daily notes.
    daily: u64,
    /// Sessions, each of which can be searched.
    session: u64,
}

/// The settings of memory by their names.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MemorySettingsResponse(Map<String, Value>);

fn memory_id(text: &str) -> Option<MemoryId> {
    // What is no id names nothing.
    MemoryId::parse(text).ok()
}

fn not_found(words: &str) -> ApiError {
    ApiError::of(ErrorClass::NotFound).with_message(words)
}

async fn listed(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    limit: u32,
) -> Result<Vec<Memory>, ApiError> {
    let memory = Arc::clone(&services.memory);
    let filter = MemoryFilter {
        kind: None,
        order: MemoryOrder::Newest,
        limit,
        offset: 0,
    };
    let page = async move { memory.list(&caller, filter).await };
    Ok(kernel.core().run_cancellable(page).await?.memories)
}

async fn list(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    limit: u32,
) -> Result<Reply<Vec<LongTermMemory>>, ApiError> {
    let memories = listed(kernel, services, caller, limit).await?;
    Ok(Reply(memories.into_iter().map(Into::into).collect()))
}

async fn forget(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    id: &str,
) -> Result<Reply<ForgottenResponse>, ApiError> {
    let id = memory_id(id).ok_or_else(|| not_found("Memory entry not found"))?;
    let memory = Arc::clone(&services.memory);
    kernel
        .core()
        .run(async move { memory.delete(&caller, &id).await })
        .await?;
    Ok(Reply(ForgottenResponse { ok: true }))
}

async fn stats(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
) -> Result<Reply<MemoryStatsResponse>, ApiError> {
    let (memory, sessions) = (Arc::clone(&services.memory), Arc::clone(&services.sessions));
    let (overview, sessions, tagged) = kernel
        .core()
        .run_cancellable(async move {
            let overview = memory.overview(&caller).await?;
            let filter = graph::filter();
            let tagged = memory.list(&caller, filter).await?.memories;
            // Who may not see sessions is not told how many there are.
            let sessions = sessions
                .list(&caller, 1, 0)
                .await
                .map_or(0, |page| page.total);
            Ok::<_, majordomo_application::memory::MemoryError>((overview, sessions, tagged))
        })
        .await?;
    let total = overview.by_kind.iter().map(|(_, count)| count).sum();
    let by_type = CountsByType {
        long_term: total,
        daily: 0,
        session: sessions,
    };
    let graph = graph::TagGraph::of(&tagged);
    let embedding = overview.embedding.as_ref();
    Ok(Reply(MemoryStatsResponse {
        backend: "file",
        total_memories: total,
        by_type,
        memories_by_type: by_type,
        vector_backend: embedding.map_or("disabled", |_| "builtin"),
        vector_enabled: embedding.is_some(),
        vector_entries: embedding.map_or(0, |embedding| embedding.embedded.memories),
        graph_enabled: true,
        graph_entities: graph.entities(),
        graph_relationships: graph.relationships(),
    }))
}

async fn shown_settings(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
) -> Result<Reply<MemorySettingsResponse>, ApiError> {
    let shown = settings::some_shown_to(kernel, services, caller, Scope::Memory, &SETTINGS).await?;
    Ok(Reply(MemorySettingsResponse(shown)))
}

/// GET /api/v1/memory/long_term: the caller's memories, newest first
#[api_v2_operation(tags(Memory), operation_id = "list_long_term_memories")]
pub(crate) async fn list_long_term_memories(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<LongTermParams>,
) -> Result<Reply<Vec<LongTermMemory>>, ApiError> {
    let limit = limit(params.0.limit, LISTED, MAX_LISTED)?;
    list(&kernel, &services, caller, limit).await
}

/// DELETE /api/v1/memory/long_term/{id}: forgets a memory
#[api_v2_operation(tags(Memory), operation_id = "forget_long_term_memory")]
pub(crate) async fn forget_long_term_memory(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
) -> Result<Reply<ForgottenResponse>, ApiError> {
    forget(&kernel, &services, caller, &id.0).await
}

/// GET /api/v1/memory/settings: the settings of memory
#[api_v2_operation(tags(Memory), operation_id = "get_memory_settings")]
pub(crate) async fn get_memory_settings(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<MemorySettingsResponse>, ApiError> {
    shown_settings(&kernel, &services, caller).await
}

/// POST /api/v1/memory/settings: changes settings of memory, all that are named or none
#[api_v2_operation(tags(Memory), operation_id = "change_memory_settings")]
pub(crate) async fn change_memory_settings(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<ChangeSettingsRequest>,
) -> Result<Fails<Reply<SettingsChangedResponse>, 403>, ApiError> {
    settings::change_some(&kernel, &services, caller, body.0, Scope::Memory, &SETTINGS).await
}

/// GET /api/v1/memory/stats: how much is remembered
#[api_v2_operation(tags(Memory), operation_id = "memory_stats")]
pub(crate) async fn memory_stats(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<MemoryStatsResponse>, ApiError> {
    stats(&kernel, &services, caller).await
}
