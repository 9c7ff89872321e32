//! Documentation pages that need nothing but this server: one small page renders any OpenAPI document, with a form to try
//! each operation.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use uuid::Uuid;

use crate::base_path::BasePath;
use crate::error::ApiError;

const PAGE: &str = include_str!("docs_pages/page.html");

/// The page that renders the document at `document_url`, a path on this server, which clients see under `base`.
pub fn page(title: &str, document_url: &str, base: &BasePath) -> HttpResponse {
    let nonce = Uuid::new_v4().simple().to_string();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    let html = PAGE
        .replace("{{title}}", &escape(title))
        .replace("{{document}}", &escape(document_url))
        .replace("{{base}}", &escape(base.as_str()))
        .replace("{{nonce}}", &nonce);
    match HeaderValue::from_str(&policy) {
        Ok(policy) => HttpResponse::Ok()
            .insert_header((header::CONTENT_SECURITY_POLICY, policy))
            .content_type("text/html; charset=utf-8")
            .body(html),
        Err(error) => HttpResponse::from_error(ApiError::internal(&error)),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
