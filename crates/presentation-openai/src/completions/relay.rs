//! The request goes to a provider that speaks this protocol itself, and its answer comes back, byte for byte.

use std::sync::Arc;

use actix_web::body::BodyStream;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{Error, HttpResponse, HttpResponseBuilder};
use futures_util::StreamExt as _;
use majordomo_application::models::CompletionError;
use majordomo_application::ports::{RelayBody, RelayResponse};
use majordomo_domain::ModelRef;
use majordomo_presentation_http::openapi::{OneOf, Raw, Sse};
use majordomo_presentation_http::{ApiError, sse};

use super::event_body::EventBody;
use super::head::Head;
use super::{Answer, Asked};

/// Passes the request on. The caller's going away cancels it.
pub(super) async fn answer(
    asked: &Asked<'_>,
    model: ModelRef,
    head: &Head<'_>,
) -> Result<Answer, ApiError> {
    let (body, stream) = (head.body_for(&model.model), head.stream);
    let completions = Arc::clone(&asked.services.completions);
    let caller = asked.caller.0.clone();
    let work = async move { completions.relay(&caller, &model, body, stream).await };
    let response = asked.kernel.core().run_cancellable(work).await?;
    Ok(pass_back(response))
}

fn pass_back(response: RelayResponse) -> Answer {
    let content_type = HeaderValue::try_from(response.content_type)
        .unwrap_or_else(|_| HeaderValue::from_static("application/json"));
    match response.body {
        RelayBody::Whole(body) => OneOf::First(Raw::from(
            ok().insert_header((CONTENT_TYPE, content_type)).body(body),
        )),
        RelayBody::Stream(pieces) => {
            let pieces = pieces
                .map(|piece| piece.map_err(|error| ApiError::from(CompletionError::from(error))));
            if !content_type.as_bytes().starts_with(b"text/event-stream") {
                let body = BodyStream::new(pieces.map(|piece| piece.map_err(Error::from)));
                let answer = ok().insert_header((CONTENT_TYPE, content_type)).body(body);
                return OneOf::First(Raw::from(answer));
            }
            let mut answer = sse::respond_with(EventBody::new(pieces, sse::KEEP_ALIVE));
            answer.headers_mut().insert(CONTENT_TYPE, content_type);
            OneOf::Second(Sse::from_response(answer))
        }
    }
}

fn ok() -> HttpResponseBuilder {
    HttpResponse::Ok()
}
