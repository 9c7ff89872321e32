//! The caller's memories.

mod audit;
mod dto;
mod exchange;

use std::sync::Arc;

use actix_web::web;
use majordomo_application::memory::MemorySearch;
use majordomo_domain::MemoryId;
use majordomo_presentation_http::openapi::{Body, NoContent, Params, PathParams, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, ErrorClass, Kernel, Services};
use paperclip::actix::api_v2_operation;

use audit::{AuditParams, MemoryAuditResponse};
use dto::{
    CreateMemoryRequest, CreatedMemoryResponse, DecayResponse, ListParams, MemoryHitResponse,
    MemoryResponse, MemoryStatsResponse, SearchParams,
};
use exchange::{ExportParams, ExportedResponse, ImportMemoriesRequest, ImportedResponse};

fn memory_id(text: &str) -> Result<MemoryId, ApiError> {
    // What is no id names nothing.
    MemoryId::parse(text).map_err(|_| ApiError::of(ErrorClass::NotFound))
}

/// GET /v1/memories: List memories
///
/// The most important first, then those found last.
#[api_v2_operation(tags(Memories), operation_id = "list_memories")]
pub(crate) async fn list_memories(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    params: Params<ListParams>,
) -> Result<Reply<Vec<MemoryResponse>>, ApiError> {
    let filter = params.0.into_filter()?;
    let memory = Arc::clone(&services.memory);
    let page = async move { memory.list(&caller, filter).await };
    let page = kernel.core().run_cancellable(page).await?;
    Ok(Reply(
        page.memories.iter().map(MemoryResponse::from).collect(),
    ))
}

/// POST /v1/memories: Store a memory
///
/// What says nearly the same as a stored memory of its type is merged into it: the answer is that memory, with `merged`.
#[api_v2_operation(tags(Memories), operation_id = "create_memory")]
pub(crate) async fn create_memory(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    body: Body<CreateMemoryRequest>,
) -> Result<Reply<CreatedMemoryResponse, 201>, ApiError> {
    let new = body.0.into_new()?;
    let memory = Arc::clone(&services.memory);
    let stored = kernel
        .core()
        .run(async move { memory.create(&caller, new).await })
        .await?;
    Ok(Reply(stored.into()))
}

/// POST /v1/memories/import: Store many memories
///
/// At most 5000 at once, as they are: none is merged into another, and what was imported before is not stored again. All
/// are stored or none.
#[api_v2_operation(tags(Memories), operation_id = "import_memories")]
pub(crate) async fn import_memories(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    body: Body<ImportMemoriesRequest>,
) -> Result<Reply<ImportedResponse>, ApiError> {
    let batch = body.0.into_batch()?;
    let memory = Arc::clone(&services.memory);
    let imported = kernel
        .core()
        .run(async move { memory.import(&caller, batch).await })
        .await?;
    Ok(Reply(imported.into()))
}

/// GET /v1/memories/export: Read all memories, page by page
///
/// In the order in which they were last changed. `next` of a page is `after` of the next one; the last page has none. A
/// memory that is changed meanwhile is given again. `POST /v1/memories/import` takes what this gives.
#[api_v2_operation(tags(Memories), operation_id = "export_memories")]
pub(crate) async fn export_memories(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    params: Params<ExportParams>,
) -> Result<Reply<ExportedResponse>, ApiError> {
    let (after, limit) = params.0.place()?;
    let memory = Arc::clone(&services.memory);
    let page = kernel
        .core()
        .run(async move { memory.export(&caller, after, limit).await })
        .await?;
    Ok(Reply(ExportedResponse::new(&page, limit)))
}

/// GET /v1/memories/audit: Find memories that repeat others, are stale or have lost their origin
///
/// Reads all of them and changes nothing.
#[api_v2_operation(tags(Memories), operation_id = "audit_memories")]
pub(crate) async fn audit_memories(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    params: Params<AuditParams>,
) -> Result<Reply<MemoryAuditResponse>, ApiError> {
    let query = params.0.into_query()?;
    let memory = Arc::clone(&services.memory);
    let audit = async move { memory.audit(&caller, query).await };
    let audit = kernel.core().run_cancellable(audit).await?;
    Ok(Reply(audit.into()))
}

/// GET /v1/memories/search: Search memories and what was said
///
/// Best first. `relevance` compares hits of one answer, `similarity` hits and question; `words_rank` and `meaning_rank` say why
/// it is a hit.
#[api_v2_operation(tags(Memories), operation_id = "search_memories")]
pub(crate) async fn search_memories(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    params: Params<SearchParams>,
) -> Result<Reply<Vec<MemoryHitResponse>>, ApiError> {
    let search: MemorySearch = params.0.into_search()?;
    let memory = Arc::clone(&services.memory);
    let hits = async move { memory.search(&caller, &search).await };
    let hits = kernel.core().run_cancellable(hits).await?;
    let best = hits
        .iter()
        .map(|hit| hit.score)
        .fold(f64::MIN_POSITIVE, f64::max);
    Ok(Reply(
        hits.iter()
            .map(|hit| MemoryHitResponse::new(hit, best))
            .collect(),
    ))
}

/// GET /v1/memories/stats: Count memories by type
#[api_v2_operation(tags(Memories), operation_id = "memory_stats")]
pub(crate) async fn memory_stats(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
) -> Result<Reply<MemoryStatsResponse>, ApiError> {
    let memory = Arc::clone(&services.memory);
    let overview = async move { memory.overview(&caller).await };
    let overview = kernel.core().run_cancellable(overview).await?;
    Ok(Reply(MemoryStatsResponse::from(overview)))
}

/// POST /v1/memories/decay: Let memories fade
///
/// For every day since the last time a memory loses a twentieth of its importance, less if it was found often; what
/// falls below 0.1 is forgotten. Running it again on the same day changes nothing.
#[api_v2_operation(tags(Memories), operation_id = "decay_memories")]
pub(crate) async fn decay_memories(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
) -> Result<Reply<DecayResponse>, ApiError> {
    let memory = Arc::clone(&services.memory);
    let decayed = kernel
        .core()
        .run(async move { memory.decay(&caller).await })
        .await?;
    Ok(Reply(decayed.into()))
}

/// GET /v1/memories/{id}: Get a memory
#[api_v2_operation(tags(Memories), operation_id = "get_memory")]
pub(crate) async fn get_memory(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    id: PathParams<String>,
) -> Result<Reply<MemoryResponse>, ApiError> {
    let id = memory_id(&id.0)?;
    let memory = Arc::clone(&services.memory);
    let found = async move { memory.get(&caller, &id).await };
    let found = kernel.core().run_cancellable(found).await?;
    Ok(Reply(MemoryResponse::from(&found)))
}

/// DELETE /v1/memories/{id}: Forget a memory
#[api_v2_operation(tags(Memories), operation_id = "delete_memory")]
pub(crate) async fn delete_memory(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
    id: PathParams<String>,
) -> Result<NoContent, ApiError> {
    let id = memory_id(&id.0)?;
    let memory = Arc::clone(&services.memory);
    kernel
        .core()
        .run(async move { memory.delete(&caller, &id).await })
        .await?;
    Ok(NoContent)
}
