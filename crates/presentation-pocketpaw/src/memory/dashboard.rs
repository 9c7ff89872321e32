//! The memory routes of the web dashboard.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use majordomo_application::memory::MemoryChange;
use majordomo_domain::Scope;
use majordomo_domain::memory::{MAX_CONTENT_CHARS, MAX_TAG_CHARS, MAX_TAGS};
use majordomo_presentation_http::openapi::{Body, Media, Params, PathParams, Reply, Svg};
use majordomo_presentation_http::{
    ApiError, Authenticated, ErrorClass, Kernel, Location, Services,
};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::graph::{GraphResponse, TagGraph, filter};
use super::{
    ForgottenResponse, LISTED, LongTermMemory, MAX_LISTED, MemorySettingsResponse,
    MemoryStatsResponse, SETTINGS, forget, list, listed, memory_id, not_found, shown_settings,
    stats,
};
use crate::fails::Fails;
use crate::settings::{self, ChangeSettingsRequest, SettingsChangedResponse};
use crate::wire::{fault, lenient_limit};

/// Settings that the dashboard changes besides.
const MORE_SETTINGS: [&str; 5] = [
    "file_vector_enabled",
    "vector_store",
    "embedding_provider",
    "embedding_model",
    "embedding_base_url",
];
const DEFAULT_DAYS: i64 = 30;
const MAX_DAYS: i64 = 3_650;
const SECONDS_PER_DAY: u64 = 86_400;

/// How many.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ListParams {
    /// At most so many: 50 when missing, 500 at most.
    limit: Option<i64>,
}

/// What to change of a memory. What is missing stays.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ChangeMemoryRequest {
    /// What it says from now on.
    #[schemars(length(max = MAX_CONTENT_CHARS), regex(pattern = r"\S"))]
    content: Option<String>,
    /// Its tags from now on.
    #[schemars(length(max = MAX_TAGS), inner(length(max = MAX_TAG_CHARS), regex(pattern = r"\S")))]
    tags: Option<Vec<String>>,
}

/// What to forget.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PruneRequest {
    /// What was neither changed nor found for so many days; 30 when missing.
    #[schemars(range(min = 1, max = 3650))]
    older_than_days: Option<i64>,
}

/// What was forgotten.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PrunedResponse {
    /// Always true.
    ok: bool,
    /// Not used for so many days.
    older_than_days: i64,
    /// How many memories.
    deleted_daily_memories: u64,
}

/// GET /api/memory/long_term: the caller's memories, newest first
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_list_memories")]
pub(crate) async fn dashboard_list_memories(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<ListParams>,
) -> Result<Reply<Vec<LongTermMemory>>, ApiError> {
    let limit = lenient_limit(params.0.limit, LISTED, MAX_LISTED);
    list(&kernel, &services, caller, limit).await
}

/// DELETE /api/memory/long_term/{id}: forgets a memory
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_forget_memory")]
pub(crate) async fn dashboard_forget_memory(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
) -> Result<Reply<ForgottenResponse>, ApiError> {
    forget(&kernel, &services, caller, &id.0).await
}

/// PATCH /api/memory/long_term/{id}: changes what a memory says, or its tags
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_change_memory")]
pub(crate) async fn dashboard_change_memory(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
    body: Body<ChangeMemoryRequest>,
) -> Result<Reply<ForgottenResponse>, ApiError> {
    let id = memory_id(&id.0)
        .ok_or_else(|| not_found("Memory entry not found or update unsupported"))?;
    let change = MemoryChange {
        content: body.0.content,
        tags: body.0.tags,
    };
    let memory = Arc::clone(&services.memory);
    kernel
        .core()
        .run(async move { memory.update(&caller, &id, change).await })
        .await
        .map_err(|error| match error.class() {
            ErrorClass::NotFound => not_found("Memory entry not found or update unsupported"),
            _ => error,
        })?;
    Ok(Reply(ForgottenResponse { ok: true }))
}

/// GET /api/memory/settings: the settings of memory
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_memory_settings")]
pub(crate) async fn dashboard_memory_settings(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<MemorySettingsResponse>, ApiError> {
    shown_settings(&kernel, &services, caller).await
}

/// POST /api/memory/settings: changes settings of memory, all that are named or none
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_change_memory_settings")]
pub(crate) async fn dashboard_change_memory_settings(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<ChangeSettingsRequest>,
) -> Result<Fails<Reply<SettingsChangedResponse>, 403>, ApiError> {
    let names: Vec<&str> = SETTINGS.into_iter().chain(MORE_SETTINGS).collect();
    settings::change_some(&kernel, &services, caller, body.0, Scope::Memory, &names).await
}

/// GET /api/memory/stats: how much is remembered
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_memory_stats")]
pub(crate) async fn dashboard_memory_stats(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<MemoryStatsResponse>, ApiError> {
    stats(&kernel, &services, caller).await
}

/// GET /api/memory/graph: the tags of the newest memories, and which stand together
#[api_v2_operation(tags(Dashboard), operation_id = "memory_graph")]
pub(crate) async fn memory_graph(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<GraphResponse>, ApiError> {
    let memories = listed(&kernel, &services, caller, filter().limit).await?;
    Ok(Reply(TagGraph::of(&memories).shown()))
}

/// GET /api/memory/graph.svg: the same as a drawing
#[api_v2_operation(tags(Dashboard), operation_id = "memory_graph_drawing")]
pub(crate) async fn memory_graph_drawing(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Media<Svg>, ApiError> {
    let memories = listed(&kernel, &services, caller, filter().limit).await?;
    Ok(Media::new(TagGraph::of(&memories).shown().to_svg()))
}

/// POST /api/memory/prune: forgets memories of the type `context` that were not used for so many days
#[api_v2_operation(tags(Dashboard), operation_id = "prune_memories")]
pub(crate) async fn prune_memories(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<PruneRequest>,
) -> Result<Reply<PrunedResponse>, ApiError> {
    let days = body.0.older_than_days.unwrap_or(DEFAULT_DAYS);
    let words = "Input should be from 1 to 3650";
    let fault = || fault(Location::Body, "older_than_days", "value_error", words);
    let age = u64::try_from(days)
        .ok()
        .filter(|_| (1..=MAX_DAYS).contains(&days))
        .map(|days| Duration::from_secs(days * SECONDS_PER_DAY))
        .ok_or_else(fault)?;
    let memory = Arc::clone(&services.memory);
    let pruned = kernel
        .core()
        .run(async move { memory.prune(&caller, age).await })
        .await?;
    Ok(Reply(PrunedResponse {
        ok: true,
        older_than_days: days,
        deleted_daily_memories: pruned,
    }))
}
