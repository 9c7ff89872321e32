//! THE TABLE: every route of the dialect, in URL order, without the `/api` before it.

use actix_web::guard::{Guard, fn_guard};
use majordomo_presentation_http::{Dialect as _, SpokenDialect};
use paperclip::actix::web::{ServiceConfig, delete, get, patch, post, put, resource};

use crate::api_keys::{create_api_key, delete_api_key, list_api_keys, toggle_api_key};
use crate::auth::{auth_status, current_user, register, sign_in, sign_out};
use crate::error::DIALECT;
use crate::notification_preferences::{get_notification_preferences, set_notification_preferences};
use crate::search::search_conversations;

/// Registers the routes; to be called within the scope `/api`.
#[rustfmt::skip]
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/auth/login").guard(unless_spoken_to_another()).route(post().to(sign_in)))
        .service(resource("/auth/logout").guard(unless_spoken_to_another()).route(post().to(sign_out)))
        .service(resource("/auth/register").route(post().to(register)))
        .service(resource("/auth/status").route(get().to(auth_status)))
        .service(resource("/auth/user").route(get().to(current_user)))
        .service(resource("/search/conversations").route(get().to(search_conversations)))
        .service(resource("/settings/api-keys").route(get().to(list_api_keys)).route(post().to(create_api_key)))
        .service(resource("/settings/api-keys/{id}").route(delete().to(delete_api_key)))
        .service(resource("/settings/api-keys/{id}/toggle").route(patch().to(toggle_api_key)))
        .service(resource("/settings/notification-preferences").route(get().to(get_notification_preferences)).route(put().to(set_notification_preferences)));
}

/// Signing in and out have the same paths in another dialect. Where both are served, whoever looks at the request before
/// says whose it is.
fn unless_spoken_to_another() -> impl Guard {
    fn_guard(|context| {
        let spoken = context.req_data().get::<SpokenDialect>().copied();
        spoken.is_none_or(|spoken| spoken.0.name() == DIALECT.name())
    })
}
