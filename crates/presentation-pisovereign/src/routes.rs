//! THE TABLE: every route of the dialect, in URL order.

use majordomo_presentation_http::openapi::BodyLimit;
use paperclip::actix::web::{ServiceConfig, delete, get, post, resource};

use crate::chat::{chat, resume_chat_stream, stream_chat};
use crate::docs::{openapi_document, redoc, swagger_ui};
use crate::memories::{
    audit_memories, create_memory, decay_memories, delete_memory, export_memories, get_memory,
    import_memories, list_memories, memory_stats, search_memories,
};
use crate::metrics::{get_metrics, get_prometheus_metrics};
use crate::probes::{health, ready, ready_all};
use crate::system::{list_system_models, system_status};

/// A message has 10,000 characters at most, so no body needs more than 1 MiB.
const BODY_LIMIT: BodyLimit = BodyLimit(1024 * 1024);

/// Registers the routes.
#[rustfmt::skip]
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/api-docs/openapi.json").route(get().to(openapi_document)))
        .service(resource("/health").route(get().to(health)))
        .service(resource("/metrics").route(get().to(get_metrics)))
        .service(resource("/metrics/prometheus").route(get().to(get_prometheus_metrics)))
        .service(resource("/ready").route(get().to(ready)))
        .service(resource("/ready/all").route(get().to(ready_all)))
        .service(resource("/redoc").route(get().to(redoc)))
        .service(resource("/redoc/").route(get().to(redoc)))
        .service(resource("/swagger-ui").route(get().to(swagger_ui)))
        .service(resource("/swagger-ui/").route(get().to(swagger_ui)))
        .service(resource("/v1/chat").app_data(BODY_LIMIT).route(post().to(chat)))
        .service(resource("/v1/chat/stream").app_data(BODY_LIMIT).route(post().to(stream_chat)).route(get().to(resume_chat_stream)))
        .service(resource("/v1/memories").app_data(BODY_LIMIT).route(get().to(list_memories)).route(post().to(create_memory)))
        .service(resource("/v1/memories/audit").route(get().to(audit_memories)))
        .service(resource("/v1/memories/decay").route(post().to(decay_memories)))
        .service(resource("/v1/memories/export").route(get().to(export_memories)))
        .service(resource("/v1/memories/import").route(post().to(import_memories)))
        .service(resource("/v1/memories/search").route(get().to(search_memories)))
        .service(resource("/v1/memories/stats").route(get().to(memory_stats)))
        .service(resource("/v1/memories/{id}").route(get().to(get_memory)).route(delete().to(delete_memory)))
        .service(resource("/v1/system/models").route(get().to(list_system_models)))
        .service(resource("/v1/system/status").route(get().to(system_status)));
}
