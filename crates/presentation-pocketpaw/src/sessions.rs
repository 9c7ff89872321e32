//! Sessions: listed, read, searched, renamed, exported, deleted.

pub(crate) mod dashboard;
mod dto;
mod export;
pub(crate) mod import;

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::chat::ChatError;
use majordomo_application::{Caller, ScopeDenied};
use majordomo_domain::{Scope, SessionId};
use majordomo_presentation_http::openapi::{Body, Params, PathParams, Reply};
use majordomo_presentation_http::session_id::session_id;
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Location, Services};
use paperclip::actix::api_v2_operation;

use crate::api_keys::StatusResponse;
use crate::wire::{check_length, limit};
pub(crate) use dto::MessageResponse;
use dto::{
    CreatedSessionResponse, LimitParams, RenameRequest, SearchParams, SearchResponse, SessionItem,
    SessionListResponse,
};
use export::{ExportParams, ExportReply};

/// Longest title a client may choose, in characters.
const MAX_TITLE: usize = 200;
/// Sessions or messages given at once at most.
const MAX_LISTED: u32 = 500;
/// Hits given at once at most.
const MAX_HITS: u32 = 200;
/// A session is shown once, however many of its messages match; so many messages are looked at for each.
const HITS_PER_SESSION: u32 = 4;

/// The session of a path; text that is no id names no session.
fn named(text: &str) -> Result<SessionId, ApiError> {
    session_id(Location::Path, "id", text).map_err(|_| ChatError::SessionNotFound.into())
}

async fn delete(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    id: &str,
) -> Result<Reply<StatusResponse>, ApiError> {
    let id = named(id)?;
    let sessions = Arc::clone(&services.sessions);
    kernel
        .core()
        .run(async move { sessions.delete(&caller, &id).await })
        .await?;
    Ok(Reply(StatusResponse { status: "ok" }))
}

async fn rename(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    id: &str,
    title: String,
) -> Result<Reply<StatusResponse>, ApiError> {
    let id = named(id)?;
    let sessions = Arc::clone(&services.sessions);
    kernel
        .core()
        .run(async move { sessions.rename(&caller, &id, &title).await })
        .await?;
    Ok(Reply(StatusResponse { status: "ok" }))
}

async fn search(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    text: String,
    limit: u32,
) -> Result<Reply<SearchResponse>, ApiError> {
    let sessions = Arc::clone(&services.sessions);
    let hits = kernel
        .core()
        .run(async move {
            let hits = limit.saturating_mul(HITS_PER_SESSION);
            sessions.search_within(&caller, &text, hits).await
        })
        .await?;
    Ok(Reply(SearchResponse::of(hits, limit)))
}

async fn history(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    id: &str,
    limit: u32,
) -> Result<Reply<Vec<MessageResponse>>, ApiError> {
    let sessions = Arc::clone(&services.sessions);
    let id = named(id);
    let messages = kernel
        .core()
        .run(async move {
            match id {
                Ok(id) => sessions.history(&caller, &id, limit).await,
                Err(_) => nothing(&caller).map_err(ChatError::from),
            }
        })
        .await?;
    Ok(Reply(messages.into_iter().map(Into::into).collect()))
}

/// What is said in a session that cannot exist.
fn nothing<T>(caller: &Caller) -> Result<Vec<T>, ScopeDenied> {
    caller.require(Scope::Sessions)?;
    Ok(Vec::new())
}

/// GET /api/v1/sessions: the caller's sessions, last active first
#[api_v2_operation(tags(Sessions), operation_id = "list_sessions")]
pub(crate) async fn list_sessions(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<LimitParams>,
) -> Result<Reply<SessionListResponse<SessionItem>>, ApiError> {
    let limit = limit(params.0.limit, 50, MAX_LISTED)?;
    let sessions = Arc::clone(&services.sessions);
    let page = kernel
        .core()
        .run(async move { sessions.list(&caller, limit, 0).await })
        .await?;
    Ok(Reply(SessionListResponse {
        sessions: page.sessions.into_iter().map(Into::into).collect(),
        total: page.total,
    }))
}

/// POST /api/v1/sessions: an id under which a session can begin; nothing is stored until its first message
#[api_v2_operation(tags(Sessions), operation_id = "create_session")]
pub(crate) async fn create_session(
    Authenticated(caller): Authenticated,
    services: Data<Services>,
) -> Result<Reply<CreatedSessionResponse>, ApiError> {
    Ok(Reply(services.sessions.reserve(&caller)?.into()))
}

/// GET /api/v1/sessions/search: sessions in which the words of `q` were said
///
/// Where the words are found nowhere: sessions in whose newest messages `q` stands as it is, be it within a word.
#[api_v2_operation(tags(Sessions), operation_id = "search_sessions")]
pub(crate) async fn search_sessions(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    params: Params<SearchParams>,
) -> Result<Reply<SearchResponse>, ApiError> {
    let limit = limit(params.0.limit, 20, MAX_HITS)?;
    search(&kernel, &services, caller, params.0.q, limit).await
}

/// DELETE /api/v1/sessions/{id}: deletes a session with all its messages
#[api_v2_operation(tags(Sessions), operation_id = "delete_session")]
pub(crate) async fn delete_session(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
) -> Result<Reply<StatusResponse>, ApiError> {
    delete(&kernel, &services, caller, &id.0).await
}

/// GET /api/v1/sessions/{id}/export: a whole session as a file
#[api_v2_operation(tags(Sessions), operation_id = "export_session")]
pub(crate) async fn export_session(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
    params: Params<ExportParams>,
) -> Result<ExportReply, ApiError> {
    export::export(&kernel, &services, caller, &id.0, params.0.format).await
}

/// GET /api/v1/sessions/{id}/history: the newest messages of a session, oldest first; none for an unknown session
#[api_v2_operation(tags(Sessions), operation_id = "session_history")]
pub(crate) async fn session_history(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
    params: Params<LimitParams>,
) -> Result<Reply<Vec<MessageResponse>>, ApiError> {
    let limit = limit(params.0.limit, 50, MAX_LISTED)?;
    history(&kernel, &services, caller, &id.0, limit).await
}

/// POST /api/v1/sessions/{id}/title: gives a session a title that stays
#[api_v2_operation(tags(Sessions), operation_id = "rename_session")]
pub(crate) async fn rename_session(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
    body: Body<RenameRequest>,
) -> Result<Reply<StatusResponse>, ApiError> {
    check_length("title", &body.0.title, MAX_TITLE)?;
    rename(&kernel, &services, caller, &id.0, body.0.title).await
}
