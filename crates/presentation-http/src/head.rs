//! `HEAD`: what `GET` would answer, without the body (RFC 9110, section 9.3.2).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use bytes::Bytes;

/// Lets a `HEAD` request reach the route of `GET`. One that asks for another protocol is left as it is.
pub(crate) fn ask_as_get(request: &mut ServiceRequest) {
    if request.method() == Method::HEAD && !request.headers().contains_key(header::UPGRADE) {
        request.head_mut().method = Method::GET;
    }
}

/// The same answer with nothing in its body, which still says how long it would be. A stream is dropped.
pub(crate) fn without_body<B: MessageBody>(
    response: ServiceResponse<EitherBody<B>>,
) -> ServiceResponse<EitherBody<B>> {
    response.map_body(|_, body| {
        let size = match &body {
            EitherBody::Left { body } => body.size(),
            EitherBody::Right { body } => body.size(),
        };
        EitherBody::right(BoxBody::new(Nothing(size)))
    })
}

/// Nothing, instead of a body of some size.
struct Nothing(BodySize);

impl MessageBody for Nothing {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}
