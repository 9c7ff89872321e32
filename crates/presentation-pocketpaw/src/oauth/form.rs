//! Bodies that are forms, or forms or JSON.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use majordomo_presentation_http::openapi::Body;
use majordomo_presentation_http::openapi::collector::{Fragment, record_parameter};
use majordomo_presentation_http::{ApiError, ErrorClass};
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::json;

/// How a form's body is declared.
const FORM: &str = "application/x-www-form-urlencoded";

/// How a body came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Form,
    Json,
}

/// A form.
pub(crate) struct Form<T>(pub(super) T);

/// A form, or JSON with the same names.
pub(crate) struct FormOrJson<T> {
    pub(super) body: T,
    pub(super) encoding: Encoding,
}

type Reading<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(FORM))
}

/// Reads a form of 256 KiB at most, actix-web's own bound. A name that stands in it twice is refused (RFC 6749 section
/// 3.1).
async fn read<T: DeserializeOwned>(
    bytes: impl Future<Output = Result<Bytes, actix_web::Error>>,
) -> Result<T, ApiError> {
    let bytes = bytes.await.map_err(|error| {
        ApiError::of(match error.as_response_error().status_code() {
            StatusCode::PAYLOAD_TOO_LARGE => ErrorClass::PayloadTooLarge,
            _ => ErrorClass::Malformed,
        })
    })?;
    serde_urlencoded::from_bytes(&bytes).map_err(|error| {
        ApiError::of(ErrorClass::Malformed).with_message(format!("The form is not valid: {error}"))
    })
}

impl<T: DeserializeOwned + 'static> FromRequest for Form<T> {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let declared = is_form(request.headers());
        let bytes = Bytes::from_request(request, payload);
        Box::pin(async move {
            if !declared {
                return Err(ApiError::of(ErrorClass::UnsupportedMediaType)
                    .with_message(format!("Expected a body of {FORM}")));
            }
            read(bytes).await.map(Self)
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for FormOrJson<T> {
    type Error = ApiError;
    type Future = Reading<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if is_form(request.headers()) {
            let bytes = Bytes::from_request(request, payload);
            Box::pin(async move {
                let body = read(bytes).await?;
                let encoding = Encoding::Form;
                Ok(Self { body, encoding })
            })
        } else {
            let body = Body::<T>::from_request(request, payload);
            Box::pin(async move {
                let Body(body) = body.await?;
                let encoding = Encoding::Json;
                Ok(Self { body, encoding })
            })
        }
    }
}

fn document<T: JsonSchema>(operation: &mut DefaultOperationRaw, media: &[&str]) {
    record_parameter(operation, |generator| {
        let schema = generator.subschema_for::<T>();
        let content = media
            .iter()
            .map(|media| ((*media).to_owned(), json!({ "schema": schema })));
        Fragment::Body {
            required: true,
            content: content.collect::<serde_json::Map<_, _>>().into(),
        }
    });
}

impl<T> Apiv2Schema for Form<T> {}

impl<T: JsonSchema> OperationModifier for Form<T> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        document::<T>(operation, &[FORM]);
    }
}

impl<T> Apiv2Schema for FormOrJson<T> {}

impl<T: JsonSchema> OperationModifier for FormOrJson<T> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        document::<T>(operation, &[FORM, "application/json"]);
    }
}
