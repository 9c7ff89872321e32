//! The place in the events that a client goes on from.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use majordomo_presentation_http::openapi::collector::{Fragment, record_parameter};
use majordomo_presentation_http::{ApiError, Location};
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use serde_json::json;

use crate::wire::fault;

/// `Last-Event-ID`, which browsers send by themselves when they reconnect: the last event the client has. Text that is no
/// id is refused, for what was missed could not be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventPosition(pub(crate) Option<u64>);

impl FromRequest for EventPosition {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(header) = request.headers().get("last-event-id") else {
            return ready(Ok(Self(None)));
        };
        let text = header.to_str().unwrap_or_default();
        ready(text.parse().map(|id| Self(Some(id))).map_err(|_| {
            let words = "The last event's id is not one of this stream";
            fault(Location::Header, "Last-Event-ID", "value_error", words)
        }))
    }
}

impl Apiv2Schema for EventPosition {}

impl OperationModifier for EventPosition {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |_| {
            Fragment::Parameters(vec![json!({
                "in": "header",
                "name": "Last-Event-ID",
                "required": false,
                "description": "The id of the last event received; the stream goes on after it.",
                "schema": { "type": "integer", "minimum": 0 }
            })])
        });
    }
}
