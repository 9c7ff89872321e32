//! The routes of the web dashboard: the same services, without limits that refuse.

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::Caller;
use majordomo_presentation_http::openapi::{Body, Params, PathParams, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Deserialize;

use super::dto::{
    DashboardSession, LenientLimitParams, LenientSearchParams, MessageResponse, RenameRequest,
    SearchResponse, SessionListResponse,
};
use super::export::{ExportFormat, ExportReply, bad_request, export};
use super::{MAX_HITS, MAX_LISTED, delete, history, rename, search};
use crate::api_keys::StatusResponse;
use crate::fails::Fails;
use crate::wire::lenient_limit;

/// Which session's messages.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct MemorySessionParams {
    /// The session; no messages when missing.
    id: Option<String>,
    /// At most so many.
    limit: Option<i64>,
}

/// Which session, and how it is to be written.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct MemoryExportParams {
    /// The session.
    #[schemars(required, with = "String", length(min = 1))]
    id: Option<String>,
    /// `json` (when missing) or `md`.
    #[schemars(with = "Option<ExportFormat>")]
    format: Option<String>,
}

async fn list(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    limit: u32,
) -> Result<SessionListResponse<DashboardSession>, ApiError> {
    let sessions = Arc::clone(&services.sessions);
    let page = kernel
        .core()
        .run_cancellable(async move { sessions.list_with_previews(&caller, limit, 0).await })
        .await?;
    Ok(SessionListResponse {
        sessions: page.sessions.into_iter().map(Into::into).collect(),
        total: page.total,
    })
}

/// GET /api/memory/session: the newest messages of a session, oldest first
#[api_v2_operation(tags(Dashboard), operation_id = "memory_session")]
pub(crate) async fn memory_session(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<MemorySessionParams>,
) -> Result<Reply<Vec<MessageResponse>>, ApiError> {
    let limit = lenient_limit(params.0.limit, 50, MAX_LISTED);
    let id = params.0.id.unwrap_or_default();
    history(&kernel, &services, caller, &id, limit).await
}

/// GET /api/memory/session/export: a whole session as a file
#[api_v2_operation(tags(Dashboard), operation_id = "export_memory_session")]
pub(crate) async fn export_memory_session(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<MemoryExportParams>,
) -> Result<ExportReply, ApiError> {
    let Some(id) = params.0.id.filter(|id| !id.is_empty()) else {
        return Err(bad_request("Missing required parameter: id"));
    };
    export(&kernel, &services, caller, &id, params.0.format).await
}

/// GET /api/memory/sessions: the caller's sessions, last active first, as a bare list
#[api_v2_operation(tags(Dashboard), operation_id = "memory_sessions")]
pub(crate) async fn memory_sessions(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<LenientLimitParams>,
) -> Result<Reply<Vec<DashboardSession>>, ApiError> {
    let limit = lenient_limit(params.0.limit, 20, MAX_LISTED);
    Ok(Reply(
        list(&kernel, &services, caller, limit).await?.sessions,
    ))
}

/// GET /api/sessions: the caller's sessions, last active first, with previews
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_sessions")]
pub(crate) async fn dashboard_sessions(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<LenientLimitParams>,
) -> Result<Reply<SessionListResponse<DashboardSession>>, ApiError> {
    let limit = lenient_limit(params.0.limit, 50, MAX_LISTED);
    Ok(Reply(list(&kernel, &services, caller, limit).await?))
}

/// GET /api/sessions/search: sessions in which the words of `q` were said
///
/// Where the words are found nowhere: sessions in whose newest messages `q` stands as it is, be it within a word.
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_search")]
pub(crate) async fn dashboard_search(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<LenientSearchParams>,
) -> Result<Reply<SearchResponse>, ApiError> {
    let limit = lenient_limit(params.0.limit, 20, MAX_HITS);
    search(&kernel, &services, caller, params.0.q, limit).await
}

/// DELETE /api/sessions/{id}: deletes a session with all its messages
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_delete")]
pub(crate) async fn dashboard_delete(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
) -> Result<Reply<StatusResponse>, ApiError> {
    delete(&kernel, &services, caller, &id.0).await
}

/// POST /api/sessions/{id}/title: gives a session a title that stays
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_rename")]
pub(crate) async fn dashboard_rename(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
    body: Body<RenameRequest>,
) -> Result<Fails<Reply<StatusResponse>, 400>, ApiError> {
    if body.0.title.trim().is_empty() {
        return Err(bad_request("Title is required"));
    }
    let renamed = rename(&kernel, &services, caller, &id.0, body.0.title).await?;
    Ok(Fails(renamed))
}
