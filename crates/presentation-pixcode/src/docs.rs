//! The dialect's OpenAPI document.

use majordomo_presentation_http::openapi::{DocumentInfo, SecurityDoc, describe};
use paperclip::actix::web::scope;
use serde_json::Value;

use crate::error::DIALECT;
use crate::routes::configure;

static INFO: DocumentInfo = DocumentInfo {
    title: "Pixcode API",
    version: env!("CARGO_PKG_VERSION"),
    description: "The routes that Pixcode's clients use",
    includes: |_| true,
    tags: &[
        (
            "Authentication",
            "The first user, signing in and out, API keys",
        ),
        ("Search", "Full-text search across conversations"),
        ("Settings", "What users prefer"),
    ],
    security: &[
        SecurityDoc::Bearer,
        SecurityDoc::Header("X-API-Key"),
        SecurityDoc::Query("token"),
    ],
    dialect: &DIALECT,
};

/// The dialect's OpenAPI 3.1 document.
pub fn document() -> Value {
    describe(|config| {
        config.service(scope("/api").configure(configure));
    })
    .document(&INFO)
}
