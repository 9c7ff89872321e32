//! The session that a request for a completion names in its header.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use majordomo_domain::SessionId;
use majordomo_presentation_http::openapi::collector::{Fragment, record_parameter};
use majordomo_presentation_http::session_id::{ID_PATTERN, session_id};
use majordomo_presentation_http::{ApiError, Location};
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use serde_json::json;

/// The header that names a session, in requests and in answers.
pub(super) const SESSION_HEADER: &str = "x-session-id";

/// The session that `X-Session-Id` names, where there is one.
pub(crate) struct SessionHeader(pub(super) Option<SessionId>);

impl FromRequest for SessionHeader {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(value) = request.headers().get(SESSION_HEADER) else {
            return ready(Ok(Self(None)));
        };
        // What is not ASCII is refused like any other text that is no id.
        let text = value.to_str().unwrap_or("\u{fffd}");
        let id = session_id(Location::Body, "X-Session-Id", text);
        ready(id.map(|id| Self(Some(id))))
    }
}

impl Apiv2Schema for SessionHeader {}

impl OperationModifier for SessionHeader {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |_| {
            Fragment::Parameters(vec![json!({
                "in": "header", "name": "X-Session-Id", "required": false,
                "description": "The agent's session to speak in; begun if there is none with this id.",
                "schema": { "type": "string", "pattern": ID_PATTERN }
            })])
        });
    }
}
