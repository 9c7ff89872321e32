//! What a request for a completion brings: its body as bytes, and the session its header names.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready as poll_ready};

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use majordomo_domain::SessionId;
use majordomo_presentation_http::openapi::collector::{Fragment, record_parameter};
use majordomo_presentation_http::session_id::{ID_PATTERN, session_id};
use majordomo_presentation_http::{ApiError, ErrorClass, Location};
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use serde_json::json;

use super::request::ChatCompletionRequest;

/// Largest body in bytes.
pub(crate) const MAX_BODY: usize = 10 * 1024 * 1024;

/// The header that names a session, in requests and in answers.
pub(super) const SESSION_HEADER: &str = "x-session-id";

/// The body of a request for a completion, unread. Limited by the `PayloadConfig` of its resource.
pub(crate) struct CompletionBody(pub(super) Bytes);

/// Reads a [`CompletionBody`].
pub(crate) struct ReadingBody {
    is_json: bool,
    bytes: <web::Bytes as FromRequest>::Future,
}

impl Future for ReadingBody {
    type Output = Result<CompletionBody, ApiError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let read = poll_ready!(Pin::new(&mut self.bytes).poll(context));
        Poll::Ready(match read {
            Ok(_) if !self.is_json => Err(ApiError::of(ErrorClass::UnsupportedMediaType)),
            Ok(bytes) => Ok(CompletionBody(bytes)),
            Err(error) if error.as_response_error().status_code() == 413 => {
                Err(ApiError::of(ErrorClass::PayloadTooLarge)
                    .with_message(format!("The body is larger than {MAX_BODY} bytes")))
            }
            Err(_) => Err(ApiError::of(ErrorClass::Malformed)
                .with_message("The body was not sent completely")),
        })
    }
}

impl FromRequest for CompletionBody {
    type Error = ApiError;
    type Future = ReadingBody;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ReadingBody {
            is_json: declares_json(request),
            bytes: web::Bytes::from_request(request, payload),
        }
    }
}

fn declares_json(request: &HttpRequest) -> bool {
    let declared = request.headers().get(CONTENT_TYPE);
    declared
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

impl Apiv2Schema for CompletionBody {}

impl OperationModifier for CompletionBody {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |generator| {
            let schema = generator.subschema_for::<ChatCompletionRequest>();
            Fragment::Body {
                required: true,
                content: json!({ "application/json": { "schema": schema } }),
            }
        });
    }
}

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
