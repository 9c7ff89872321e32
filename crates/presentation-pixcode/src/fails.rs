//! Failures of single operations, for the document: those that its rules for all operations do not foresee.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder};
use majordomo_presentation_http::openapi::collector::record_response;
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use serde_json::json;

use crate::error::ErrorResponse;

/// An answer of an operation that may also fail with `STATUS`.
pub(crate) struct Fails<R, const STATUS: u16>(pub(crate) R);

impl<R: Responder, const STATUS: u16> Responder for Fails<R, STATUS> {
    type Body = R::Body;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse<R::Body> {
        self.0.respond_to(request)
    }
}

impl<R, const STATUS: u16> Apiv2Schema for Fails<R, STATUS> {}

impl<R: OperationModifier, const STATUS: u16> OperationModifier for Fails<R, STATUS> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        R::update_response(operation);
        let status = StatusCode::from_u16(STATUS).ok();
        let reason = status.and_then(|status| status.canonical_reason());
        record_response(operation, STATUS, |generator| {
            json!({
                "description": reason.unwrap_or("Failure"),
                "content": { "application/json": { "schema": generator.subschema_for::<ErrorResponse>() } }
            })
        });
    }
}
