//! THE TABLE: every route of the dialect, in URL order, without the `/api` before it.

use paperclip::actix::web::{ServiceConfig, get, resource};

use crate::search::search_conversations;

/// Registers the routes; to be called within the scope `/api`.
#[rustfmt::skip]
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/search/conversations").route(get().to(search_conversations)));
}
