//! The table of routes, in URL order, and the limit of each.

use majordomo_presentation_http::{LimitClass, Mounts};
use paperclip::actix::web::{self, ServiceConfig};

use crate::error::DIALECT;
use crate::oauth;
use crate::{
    agent_status, api_keys, audit, auth, budgets, chat, documentation, events, health, identity,
    memory, proxy, qr, self_audit, sessions, settings, system_metrics, usage, users, version,
};

/// Both scopes. `/api/v1` stands first: scopes do not fall through. Where another dialect has routes under `/api` too,
/// take [`configure_v1`] and [`configure_legacy`] and put both dialects' routes into one scope.
pub fn configure(cfg: &mut ServiceConfig) {
    cfg.service(web::scope("/api/v1").configure(configure_v1))
        .service(web::scope("/api").configure(configure_legacy));
    configure_root(cfg);
}

/// The routes that stand in no scope.
#[rustfmt::skip] // One line for each path.
pub fn configure_root(cfg: &mut ServiceConfig) {
    cfg.service(web::resource("/.well-known/oauth-authorization-server").route(web::get().to(oauth::metadata::authorization_server)))
        .service(web::resource("/.well-known/oauth-protected-resource").route(web::get().to(oauth::metadata::protected_resource)))
        .service(web::resource("/oauth/callback").route(web::get().to(oauth::connect::connection_callback)));
}

/// The routes of the scope `/api/v1`.
#[rustfmt::skip] // One line for each path.
pub fn configure_v1(cfg: &mut ServiceConfig) {
    cfg.service(web::resource("/agent/status").route(web::get().to(agent_status::agent_status)))
        .service(web::resource("/agent/status/stream").route(web::get().to(agent_status::stream_agent_status)))
        .service(web::resource("/audit").route(web::get().to(audit::list_audit_entries)).route(web::delete().to(audit::archive_audit_entries)))
        .service(web::resource("/auth/api-keys").route(web::get().to(api_keys::list_api_keys)).route(web::post().to(api_keys::create_api_key)))
        .service(web::resource("/auth/api-keys/{id}").route(web::delete().to(api_keys::revoke_api_key)))
        .service(web::resource("/auth/api-keys/{id}/rotate").route(web::post().to(api_keys::rotate_api_key)))
        .service(web::resource("/auth/login").route(web::post().to(auth::login)))
        .service(web::resource("/auth/logout").route(web::post().to(auth::logout)))
        .service(web::resource("/auth/session").route(web::post().to(auth::open_session)))
        .service(web::resource("/budgets").route(web::get().to(budgets::list_budgets)).route(web::put().to(budgets::set_budget)).route(web::delete().to(budgets::remove_budget)))
        .service(web::resource("/chat").route(web::post().to(chat::chat)))
        .service(web::resource("/chat/stop").route(web::post().to(chat::stop_chat)))
        .service(web::resource("/chat/stream").route(web::get().to(chat::resume_chat)).route(web::post().to(chat::stream_chat)))
        .service(web::resource("/diagnostics/proxy").route(web::get().to(proxy::diagnose_proxy)))
        .service(web::resource("/diagnostics/proxy/stream").route(web::get().to(proxy::diagnose_proxy_stream)))
        .service(web::resource("/docs").route(web::get().to(documentation::docs)))
        .service(web::resource("/events/stream").route(web::get().to(events::stream_events)))
        .service(web::resource("/health").route(web::get().to(health::health)))
        .service(web::resource("/health/check").route(web::post().to(health::check_health)))
        .service(web::resource("/health/errors").route(web::get().to(health::health_errors)).route(web::delete().to(health::clear_health_errors)))
        .service(web::resource("/memory/long_term").route(web::get().to(memory::list_long_term_memories)))
        .service(web::resource("/memory/long_term/{id}").route(web::delete().to(memory::forget_long_term_memory)))
        .service(web::resource("/memory/settings").route(web::get().to(memory::get_memory_settings)).route(web::post().to(memory::change_memory_settings)))
        .service(web::resource("/memory/stats").route(web::get().to(memory::memory_stats)))
        .service(web::resource("/metrics/system").route(web::get().to(system_metrics::system_metrics)))
        .service(web::resource("/metrics/usage").route(web::get().to(usage::usage)).route(web::delete().to(usage::clear_usage)))
        .service(web::resource("/metrics/usage/recent").route(web::get().to(usage::recent_usage)))
        .service(web::resource("/identity").route(web::get().to(identity::get_identity)).route(web::put().to(identity::change_identity)))
        .service(web::resource("/oauth/authorize").route(web::get().to(oauth::authorize::authorize)))
        .service(web::resource("/oauth/authorize/consent").route(web::post().to(oauth::authorize::consent)))
        .service(web::resource("/oauth/authorize/sign-in").route(web::post().to(oauth::sign_in)))
        .service(web::resource("/oauth/grants").route(web::get().to(oauth::grants::list_grants)))
        .service(web::resource("/oauth/grants/{id}").route(web::delete().to(oauth::grants::revoke_grant)))
        .service(web::resource("/oauth/register").route(web::post().to(oauth::register::register_client)))
        .service(web::resource("/oauth/revoke").route(web::post().to(oauth::token::revoke_token)))
        .service(web::resource("/oauth/token").route(web::post().to(oauth::token::exchange_token)))
        .service(web::resource("/openapi.json").route(web::get().to(documentation::openapi)))
        .service(web::resource("/qr").route(web::get().to(qr::pairing_code)))
        .service(web::resource("/redoc").route(web::get().to(documentation::redoc)))
        .service(web::resource("/security-audit").route(web::post().to(self_audit::run_security_audit)))
        .service(web::resource("/self-audit/reports").route(web::get().to(self_audit::list_self_audit_reports)))
        .service(web::resource("/self-audit/reports/{date}").route(web::get().to(self_audit::get_self_audit_report)))
        .service(web::resource("/self-audit/run").route(web::post().to(self_audit::run_self_audit)))
        .service(web::resource("/sessions").route(web::get().to(sessions::list_sessions)).route(web::post().to(sessions::create_session)))
        .service(web::resource("/sessions/import").route(web::post().to(sessions::import::import_sessions)))
        .service(web::resource("/sessions/search").route(web::get().to(sessions::search_sessions)))
        .service(web::resource("/sessions/{id}").route(web::delete().to(sessions::delete_session)))
        .service(web::resource("/sessions/{id}/export").route(web::get().to(sessions::export_session)))
        .service(web::resource("/sessions/{id}/history").route(web::get().to(sessions::session_history)))
        .service(web::resource("/sessions/{id}/title").route(web::post().to(sessions::rename_session)))
        .service(web::resource("/settings").route(web::get().to(settings::get_settings)).route(web::put().to(settings::change_settings)))
        .service(web::resource("/token/regenerate").route(web::post().to(auth::regenerate_token)))
        .service(web::resource("/users").route(web::get().to(users::list_users)).route(web::post().to(users::add_user)))
        .service(web::resource("/users/me/password").route(web::put().to(users::change_own_password)))
        .service(web::resource("/users/{id}/enabled").route(web::put().to(users::set_user_enabled)))
        .service(web::resource("/users/{id}/password").route(web::put().to(users::set_user_password)))
        .service(web::resource("/users/{id}/role").route(web::put().to(users::set_user_role)))
        .service(web::resource("/version").route(web::get().to(version::version)));
}

/// The routes of the dashboard, for the scope `/api`.
#[rustfmt::skip] // One line for each path.
pub fn configure_legacy(cfg: &mut ServiceConfig) {
    cfg.service(web::resource("/audit").route(web::get().to(audit::dashboard_list_audit_entries)).route(web::delete().to(audit::dashboard_archive_audit_entries)))
        .service(web::resource("/auth/login").route(web::post().to(auth::dashboard_login)))
        .service(web::resource("/auth/logout").route(web::post().to(auth::dashboard_logout)))
        .service(web::resource("/auth/session").route(web::post().to(auth::dashboard_open_session)))
        .service(web::resource("/health").route(web::get().to(health::dashboard_health)))
        .service(web::resource("/health/check").route(web::post().to(health::dashboard_check_health)))
        .service(web::resource("/health/errors").route(web::get().to(health::dashboard_health_errors)).route(web::delete().to(health::dashboard_clear_health_errors)))
        .service(web::resource("/identity").route(web::get().to(identity::dashboard_identity)).route(web::put().to(identity::dashboard_change_identity)))
        .service(web::resource("/memory/graph").route(web::get().to(memory::dashboard::memory_graph)))
        .service(web::resource("/memory/graph.svg").route(web::get().to(memory::dashboard::memory_graph_drawing)))
        .service(web::resource("/memory/long_term").route(web::get().to(memory::dashboard::dashboard_list_memories)))
        .service(web::resource("/memory/long_term/{id}").route(web::delete().to(memory::dashboard::dashboard_forget_memory)).route(web::patch().to(memory::dashboard::dashboard_change_memory)))
        .service(web::resource("/memory/prune").route(web::post().to(memory::dashboard::prune_memories)))
        .service(web::resource("/memory/session").route(web::get().to(sessions::dashboard::memory_session)))
        .service(web::resource("/memory/session/export").route(web::get().to(sessions::dashboard::export_memory_session)))
        .service(web::resource("/memory/sessions").route(web::get().to(sessions::dashboard::memory_sessions)))
        .service(web::resource("/memory/settings").route(web::get().to(memory::dashboard::dashboard_memory_settings)).route(web::post().to(memory::dashboard::dashboard_change_memory_settings)))
        .service(web::resource("/memory/stats").route(web::get().to(memory::dashboard::dashboard_memory_stats)))
        .service(web::resource("/oauth/authorize").route(web::get().to(oauth::connect::connect_service)))
        .service(web::resource("/qr").route(web::get().to(qr::dashboard_pairing_code)))
        .service(web::resource("/security-audit").route(web::post().to(self_audit::dashboard_run_security_audit)))
        .service(web::resource("/self-audit/reports").route(web::get().to(self_audit::dashboard_list_self_audit_reports)))
        .service(web::resource("/self-audit/reports/{date}").route(web::get().to(self_audit::dashboard_get_self_audit_report)))
        .service(web::resource("/self-audit/run").route(web::post().to(self_audit::dashboard_run_self_audit)))
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
    const PATHS: [(&str, LimitClass); 29] = [
        ("/api/audit", LimitClass::Api),
        ("/api/auth/login", LimitClass::Login),
        ("/api/auth/logout", LimitClass::Api),
        ("/api/auth/session", LimitClass::Login),
        ("/api/health", LimitClass::Api),
        ("/api/identity", LimitClass::Api),
        ("/api/memory", LimitClass::Api),
        ("/api/oauth", LimitClass::Api),
        ("/api/qr", LimitClass::Login),
        ("/api/security-audit", LimitClass::Api),
        ("/api/self-audit", LimitClass::Api),
        ("/api/sessions", LimitClass::Api),
        ("/api/token", LimitClass::Login),
        ("/api/v1", LimitClass::Api),
        ("/api/v1/auth/login", LimitClass::Login),
        ("/api/v1/auth/session", LimitClass::Login),
        ("/api/v1/docs", LimitClass::Unlimited),
        ("/api/v1/oauth/authorize/sign-in", LimitClass::Login),
        ("/api/v1/oauth/register", LimitClass::Login),
        ("/api/v1/openapi.json", LimitClass::Unlimited),
        ("/api/v1/qr", LimitClass::Login),
        ("/api/v1/redoc", LimitClass::Unlimited),
        ("/api/v1/token", LimitClass::Login),
        ("/api/v1/users/me/password", LimitClass::Login),
        ("/api/v1/ws", LimitClass::WebSocket),
        ("/api/version", LimitClass::Api),
        ("/oauth", LimitClass::Api),
        ("/v1/ws", LimitClass::WebSocket),
        ("/ws", LimitClass::WebSocket),
    ];
    PATHS.into_iter().fold(mounts, |mounts, (path, limit)| {
        mounts.at(path, &DIALECT, limit)
    })
}
