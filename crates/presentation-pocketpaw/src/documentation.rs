//! The dialect's OpenAPI document and the pages that show it. Public, and made of nothing but this server.

use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::web::Data;
use majordomo_presentation_http::Kernel;
use majordomo_presentation_http::docs_pages;
use majordomo_presentation_http::openapi::{DocumentInfo, Html, Media, Raw, SecurityDoc, describe};
use paperclip::actix::api_v2_operation;
use serde_json::Value;

use crate::error::DIALECT;
use crate::routes::configure;

const TITLE: &str = "PocketPaw API";
const DOCUMENT_URL: &str = "/api/v1/openapi.json";

/// The dialect's OpenAPI 3.1 document.
pub fn document() -> Value {
    describe(configure).document(&DocumentInfo {
        title: TITLE,
        version: "1.0.0",
        description: "Chat with the agent, manage sessions and API keys.",
        includes: |_| true,
        tags: &[
            ("Chat", "Talking to the agent, whole answers or streams."),
            ("Sessions", "What was said."),
            ("Auth", "Cookies, session tokens and API keys."),
            ("Settings", "What is configured while the server runs."),
            ("Identity", "Who the agent is."),
            ("Users", "Who uses the server, and as what."),
            ("OAuth", "Apps that act for users."),
            ("System", "Version, health and this documentation."),
            ("Dashboard", "The same for the web dashboard, under /api."),
        ],
        security: &[
            SecurityDoc::Bearer,
            SecurityDoc::Query("token"),
            SecurityDoc::Cookie(majordomo_presentation_http::auth::SESSION_COOKIE),
        ],
        dialect: &DIALECT,
    })
}

/// The document as it is served, made when it is first asked for.
fn served() -> &'static str {
    static SERVED: OnceLock<String> = OnceLock::new();
    SERVED.get_or_init(|| document().to_string())
}

/// GET /api/v1/docs: a page that shows the API and tries it
#[api_v2_operation(tags(System), operation_id = "docs")]
pub(crate) async fn docs(kernel: Data<Kernel>) -> Media<Html> {
    page(&kernel)
}

/// GET /api/v1/redoc: the same page
#[api_v2_operation(tags(System), operation_id = "redoc")]
pub(crate) async fn redoc(kernel: Data<Kernel>) -> Media<Html> {
    page(&kernel)
}

fn page(kernel: &Kernel) -> Media<Html> {
    let base = kernel.mounts().base();
    Media::from_response(docs_pages::page(TITLE, DOCUMENT_URL, base))
}

/// GET /api/v1/openapi.json: the API as an OpenAPI 3.1 document
#[api_v2_operation(tags(System), operation_id = "openapi")]
pub(crate) async fn openapi() -> Raw<Value> {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(served())
        .into()
}
