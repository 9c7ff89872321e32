//! The body of a request as bytes: it may be passed on unread.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use majordomo_presentation_http::openapi::collector::{Fragment, record_parameter};
use majordomo_presentation_http::{ApiError, ErrorClass};
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use schemars::JsonSchema;
use serde_json::json;

/// Largest body in bytes.
pub(crate) const MAX_BODY: usize = 10 * 1024 * 1024;

/// The JSON of a `T`, unread. Limited by the `PayloadConfig` of its resource.
pub(crate) struct UnreadJson<T> {
    pub(crate) bytes: Bytes,
    shape: PhantomData<T>,
}

/// Reads the bytes of an [`UnreadJson`].
pub(crate) struct ReadingBody<T> {
    is_json: bool,
    bytes: <web::Bytes as FromRequest>::Future,
    shape: PhantomData<fn() -> T>,
}

impl<T> Future for ReadingBody<T> {
    type Output = Result<UnreadJson<T>, ApiError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let read = ready!(Pin::new(&mut self.bytes).poll(context));
        Poll::Ready(match read {
            Ok(_) if !self.is_json => Err(ApiError::of(ErrorClass::UnsupportedMediaType)),
            Ok(bytes) => Ok(UnreadJson {
                bytes,
                shape: PhantomData,
            }),
            Err(error) if error.as_response_error().status_code() == 413 => {
                Err(ApiError::of(ErrorClass::PayloadTooLarge)
                    .with_message(format!("The body is larger than {MAX_BODY} bytes")))
            }
            Err(_) => Err(ApiError::of(ErrorClass::Malformed)
                .with_message("The body was not sent completely")),
        })
    }
}

impl<T> FromRequest for UnreadJson<T> {
    type Error = ApiError;
    type Future = ReadingBody<T>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ReadingBody {
            is_json: declares_json(request),
            bytes: web::Bytes::from_request(request, payload),
            shape: PhantomData,
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

impl<T> Apiv2Schema for UnreadJson<T> {}

impl<T: JsonSchema> OperationModifier for UnreadJson<T> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        record_parameter(operation, |generator| {
            let schema = generator.subschema_for::<T>();
            Fragment::Body {
                required: true,
                content: json!({ "application/json": { "schema": schema } }),
            }
        });
    }
}
