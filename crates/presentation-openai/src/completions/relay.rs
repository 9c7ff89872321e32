//! The request goes to a provider that speaks this protocol itself, and its answer comes back, byte for byte.

use std::sync::Arc;

use actix_web::body::BodyStream;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{Error, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::StreamExt as _;
use majordomo_application::models::{CompletionError, PassedRequest};
use majordomo_application::ports::{RelayBody, RelayResponse};
use majordomo_domain::ModelRef;
use majordomo_presentation_http::openapi::{OneOf, Raw, Sse};
use majordomo_presentation_http::{ApiError, Core, sse};

use super::event_body::EventBody;
use super::pump::{Pumped, pump};
use super::{Answer, Asked};
use crate::head::Head;

/// An answer on its way back.
struct Passed {
    content_type: String,
    body: PassedBody,
}

enum PassedBody {
    Whole(Bytes),
    Pieces(Pumped),
}

/// Passes the request on. The caller's going away cancels it.
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
    let completions = Arc::clone(&asked.services.completions);
    let caller = asked.caller.0.clone();
    let core = asked.kernel.core().clone();
    if !head.stream {
        // One question, one answer: the worker asks by itself. Each thread the answer would have to be handed to costs
        // more than passing it on.
        let body = |limit| passing.body(limit);
        let response = completions.relay(&caller, &model, request, body).await;
        return Ok(pass_back(carry(&core, response.map_err(ApiError::from)?)));
    }
    let work = async move {
        let body = |limit| passing.body(limit);
        let response = completions.relay(&caller, &model, request, body).await?;
        Ok::<_, CompletionError>(carry(&core, response))
    };
    let passed = asked.kernel.core().run_cancellable(work).await?;
    Ok(pass_back(passed))
}

fn carry(core: &Core, response: RelayResponse) -> Passed {
    let told = |error| ApiError::from(CompletionError::from(error));
    Passed {
        content_type: response.content_type,
        body: match response.body {
            RelayBody::Whole(body) => PassedBody::Whole(body),
            RelayBody::Stream(pieces) => {
                let pieces = pieces.map(move |piece| piece.map_err(told));
                PassedBody::Pieces(pump(core, pieces))
            }
        },
    }
}

fn pass_back(passed: Passed) -> Answer {
    let content_type = HeaderValue::try_from(passed.content_type)
        .unwrap_or_else(|_| HeaderValue::from_static("application/json"));
    match passed.body {
        PassedBody::Pieces(pieces) if content_type.as_bytes().starts_with(b"text/event-stream") => {
            let mut answer = sse::respond_with(EventBody::new(pieces, sse::KEEP_ALIVE));
            answer.headers_mut().insert(CONTENT_TYPE, content_type);
            OneOf::Second(Sse::from_response(answer))
        }
        PassedBody::Pieces(pieces) => {
            let body = BodyStream::new(pieces.map(|piece| piece.map_err(Error::from)));
            OneOf::First(Raw::from(ok(content_type).body(body)))
        }
        PassedBody::Whole(body) => OneOf::First(Raw::from(ok(content_type).body(body))),
    }
}

fn ok(content_type: HeaderValue) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, content_type));
    response
}
