//! The table: every route of this dialect, in the order of their URLs, and the document made of them.

use majordomo_presentation_http::openapi::{DocumentInfo, SecurityDoc, describe};
use paperclip::actix::web::{self, ServiceConfig};
use serde_json::Value;

use crate::body::MAX_BODY;
use crate::completions::{create_chat_completion, resume_chat_completion};
use crate::embeddings::create_embedding;
use crate::error::DIALECT;
use crate::models::{list_models, retrieve_model};

/// Registers the routes at the root of the application.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/v1/chat/completions")
                .app_data(web::PayloadConfig::new(MAX_BODY))
                .route(web::get().to(resume_chat_completion))
                .route(web::post().to(create_chat_completion)),
        )
        .service(
            web::resource("/v1/embeddings")
                .app_data(web::PayloadConfig::new(MAX_BODY))
                .route(web::post().to(create_embedding)),
        )
        .service(web::resource("/v1/models").route(web::get().to(list_models)))
        .service(web::resource("/v1/models/{model:.+}").route(web::get().to(retrieve_model)));
}

/// The OpenAPI document of this dialect.
pub fn document() -> Value {
    describe(configure).document(&DocumentInfo {
        title: "Majordomo: OpenAI",
        version: env!("CARGO_PKG_VERSION"),
        description: "Chat completions, embeddings and models, as OpenAI's SDKs speak them.",
        includes: |_| true,
        tags: &[
            ("Chat", "Ask a model, or the agent."),
            ("Embeddings", "Texts as vectors."),
            ("Models", "What may be asked."),
        ],
        security: &[SecurityDoc::Bearer],
        dialect: DIALECT,
    })
}
