//! The request goes to a provider that speaks this protocol itself, and its answer comes back, byte for byte.

use actix_web::body::BodyStream;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{Error, HttpResponse, HttpResponseBuilder};
use futures_util::StreamExt as _;
use majordomo_application::models::{CompletionError, PassedRequest};
use majordomo_application::ports::{RelayBody, RelayResponse};
use majordomo_domain::ModelRef;
use majordomo_presentation_http::openapi::{OneOf, Raw, Sse};
use majordomo_presentation_http::{ApiError, sse};

use super::event_body::EventBody;
use super::joined::Joined;
use super::{Answer, Asked};
use crate::head::Head;

/// Passes the request on. The caller's going away cancels it.
///
/// The worker asks by itself: each thread the answer would have to be handed to costs more than passing it on.
pub(super) async fn answer(
    asked: &Asked<'_>,
    model: ModelRef,
    head: &Head<'_>,
) -> Result<Answer, ApiError> {
    let passing = head.passing(&model.model);
    let request = PassedRequest {
        length: passing.body.len(),
        stream: head.stream,
        max_tokens: head.max_tokens(),
        answers: head.answers,
    };
    let body = |limit| passing.body(limit);
    let completions = &asked.services.completions;
    let response = completions.relay(&asked.caller.0, &model, request, body);
    Ok(pass_back(response.await.map_err(ApiError::from)?))
}

fn pass_back(response: RelayResponse) -> Answer {
    let content_type = HeaderValue::try_from(response.content_type)
        .unwrap_or_else(|_| HeaderValue::from_static("application/json"));
    let pieces = match response.body {
        RelayBody::Whole(body) => return OneOf::First(Raw::from(ok(content_type).body(body))),
        RelayBody::Stream(pieces) => {
            pieces.map(|piece| piece.map_err(|error| ApiError::from(CompletionError::from(error))))
        }
    };
    if content_type.as_bytes().starts_with(b"text/event-stream") {
        let mut answer = sse::respond_with(EventBody::new(Joined::new(pieces), sse::KEEP_ALIVE));
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
        return OneOf::Second(Sse::from_response(answer));
    }
    let body = BodyStream::new(pieces.map(|piece| piece.map_err(Error::from)));
    OneOf::First(Raw::from(ok(content_type).body(body)))
}

fn ok(content_type: HeaderValue) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, content_type));
    response
}
