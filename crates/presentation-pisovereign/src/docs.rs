//! The dialect's OpenAPI document and the pages that show it.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use bytes::Bytes;
use majordomo_presentation_http::Kernel;
use majordomo_presentation_http::docs_pages;
use majordomo_presentation_http::openapi::{DocumentInfo, Html, Media, Raw, SecurityDoc, describe};
use paperclip::actix::api_v2_operation;
use serde_json::Value;

use crate::VERSION;
use crate::error::DIALECT;
use crate::routes::configure;

/// Where the document is served.
const DOCUMENT_PATH: &str = "/api-docs/openapi.json";

static INFO: DocumentInfo = DocumentInfo {
    title: "PiSovereign API",
    version: VERSION,
    description: "Local AI Assistant REST API",
    // The second spellings of the pages are not documented.
    includes: |path| !matches!(path, "/redoc/" | "/swagger-ui"),
    tags: &[
        ("Chat", "Talking to the agent"),
        ("System", "The running server and its models"),
        ("Health", "Whether the server lives and can work"),
        ("Metrics", "Counters of requests and model calls"),
        ("Documentation", "This document and its pages"),
    ],
    security: &[SecurityDoc::Bearer],
    dialect: &DIALECT,
};

/// The dialect's OpenAPI 3.1 document.
pub fn document() -> Value {
    describe(configure).document(&INFO)
}

/// Made when first asked for.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// GET /api-docs/openapi.json: The OpenAPI document
#[api_v2_operation(tags(Documentation), operation_id = "openapi_document")]
pub(crate) async fn openapi_document() -> Raw<Value> {
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(DOCUMENT.clone())
        .into()
}

/// GET /redoc, /redoc/: The documentation
#[api_v2_operation(tags(Documentation))]
pub(crate) async fn redoc(kernel: Data<Kernel>) -> Media<Html> {
    page(&kernel)
}

/// GET /swagger-ui, /swagger-ui/: The documentation
#[api_v2_operation(tags(Documentation))]
pub(crate) async fn swagger_ui(kernel: Data<Kernel>) -> Media<Html> {
    page(&kernel)
}

fn page(kernel: &Kernel) -> Media<Html> {
    let base = kernel.mounts().base();
    Media::from_response(docs_pages::page(INFO.title, DOCUMENT_PATH, base))
}
