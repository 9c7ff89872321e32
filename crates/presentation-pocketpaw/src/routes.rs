//! The table of routes, in URL order, and the limit of each.

use majordomo_presentation_http::{LimitClass, Mounts};
use paperclip::actix::web::{self, ServiceConfig};

use crate::error::DIALECT;
use crate::{api_keys, auth, chat, documentation, health, sessions, version};

/// Both scopes. `/api/v1` stands first: scopes do not fall through. Where another dialect has routes under `/api` too,
/// take [`configure_v1`] and [`configure_legacy`] and put both dialects' routes into one scope.
pub fn configure(cfg: &mut ServiceConfig) {
    cfg.service(web::scope("/api/v1").configure(configure_v1))
        .service(web::scope("/api").configure(configure_legacy));
}

/// The routes of the scope `/api/v1`.
#[rustfmt::skip] // One line for each path.
pub fn configure_v1(cfg: &mut ServiceConfig) {
    cfg.service(web::resource("/auth/api-keys").route(web::get().to(api_keys::list_api_keys)).route(web::post().to(api_keys::create_api_key)))
        .service(web::resource("/auth/api-keys/{id}").route(web::delete().to(api_keys::revoke_api_key)))
        .service(web::resource("/auth/api-keys/{id}/rotate").route(web::post().to(api_keys::rotate_api_key)))
        .service(web::resource("/auth/login").route(web::post().to(auth::login)))
        .service(web::resource("/auth/logout").route(web::post().to(auth::logout)))
        .service(web::resource("/auth/session").route(web::post().to(auth::open_session)))
        .service(web::resource("/chat").route(web::post().to(chat::chat)))
        .service(web::resource("/chat/stop").route(web::post().to(chat::stop_chat)))
        .service(web::resource("/chat/stream").route(web::get().to(chat::resume_chat)).route(web::post().to(chat::stream_chat)))
        .service(web::resource("/docs").route(web::get().to(documentation::docs)))
        .service(web::resource("/health").route(web::get().to(health::health)))
        .service(web::resource("/openapi.json").route(web::get().to(documentation::openapi)))
        .service(web::resource("/redoc").route(web::get().to(documentation::redoc)))
        .service(web::resource("/sessions").route(web::get().to(sessions::list_sessions)).route(web::post().to(sessions::create_session)))
        .service(web::resource("/sessions/search").route(web::get().to(sessions::search_sessions)))
        .service(web::resource("/sessions/{id}").route(web::delete().to(sessions::delete_session)))
        .service(web::resource("/sessions/{id}/export").route(web::get().to(sessions::export_session)))
        .service(web::resource("/sessions/{id}/history").route(web::get().to(sessions::session_history)))
        .service(web::resource("/sessions/{id}/title").route(web::post().to(sessions::rename_session)))
        .service(web::resource("/token/regenerate").route(web::post().to(auth::regenerate_token)))
        .service(web::resource("/version").route(web::get().to(version::version)));
}

/// The routes of the dashboard, for the scope `/api`.
#[rustfmt::skip] // One line for each path.
pub fn configure_legacy(cfg: &mut ServiceConfig) {
    cfg.service(web::resource("/auth/login").route(web::post().to(auth::dashboard_login)))
        .service(web::resource("/auth/logout").route(web::post().to(auth::dashboard_logout)))
        .service(web::resource("/auth/session").route(web::post().to(auth::dashboard_open_session)))
        .service(web::resource("/health").route(web::get().to(health::dashboard_health)))
        .service(web::resource("/memory/session").route(web::get().to(sessions::dashboard::memory_session)))
        .service(web::resource("/memory/session/export").route(web::get().to(sessions::dashboard::export_memory_session)))
        .service(web::resource("/memory/sessions").route(web::get().to(sessions::dashboard::memory_sessions)))
        .service(web::resource("/sessions").route(web::get().to(sessions::dashboard::dashboard_sessions)))
        .service(web::resource("/sessions/search").route(web::get().to(sessions::dashboard::dashboard_search)))
        .service(web::resource("/sessions/{id}").route(web::delete().to(sessions::dashboard::dashboard_delete)))
        .service(web::resource("/sessions/{id}/title").route(web::post().to(sessions::dashboard::dashboard_rename)))
        .service(web::resource("/token/regenerate").route(web::post().to(auth::dashboard_regenerate_token)))
        .service(web::resource("/version").route(web::get().to(version::dashboard_version)));
}

/// Where this dialect's errors are told and which limit its paths have.
#[must_use]
pub fn mount(mounts: Mounts) -> Mounts {
    const PATHS: [(&str, LimitClass); 18] = [
        ("/api/auth/login", LimitClass::Login),
        ("/api/auth/logout", LimitClass::Api),
        ("/api/auth/session", LimitClass::Login),
        ("/api/health", LimitClass::Api),
        ("/api/memory", LimitClass::Api),
        ("/api/sessions", LimitClass::Api),
        ("/api/token", LimitClass::Login),
        ("/api/v1", LimitClass::Api),
        ("/api/v1/auth/login", LimitClass::Login),
        ("/api/v1/auth/session", LimitClass::Login),
        ("/api/v1/docs", LimitClass::Unlimited),
        ("/api/v1/openapi.json", LimitClass::Unlimited),
        ("/api/v1/redoc", LimitClass::Unlimited),
        ("/api/v1/token", LimitClass::Login),
        ("/api/v1/ws", LimitClass::WebSocket),
        ("/api/version", LimitClass::Api),
        ("/v1/ws", LimitClass::WebSocket),
        ("/ws", LimitClass::WebSocket),
    ];
    PATHS.into_iter().fold(mounts, |mounts, (path, limit)| {
        mounts.at(path, &DIALECT, limit)
    })
}
