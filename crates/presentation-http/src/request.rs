//! What the kernel knows about a request: its id and where it comes from.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use majordomo_domain::{RequestId, RequestSource};
use paperclip::actix::OperationModifier;
use paperclip::v2::schema::Apiv2Schema;
use uuid::Uuid;

use crate::error::{ApiError, ErrorClass};
use crate::rate_limit::LimitClass;

/// The header that carries the request's id, in requests and in answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id the client sent, when it is a UUID, else a fresh UUID of version 7. Anything else is not passed on: it ends up
/// in logs and answers.
pub fn request_id(headers: &HeaderMap) -> Uuid {
    headers
        .get(REQUEST_ID)
        .and_then(|value| Uuid::try_parse_ascii(value.as_bytes()).ok())
        .unwrap_or_else(Uuid::now_v7)
}

/// What the kernel knows about a request; an extractor.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext {
    /// The id in `X-Request-Id`, in logs and in error bodies.
    pub id: Uuid,
    /// The client's address behind trusted proxies; `None` where the transport has no addresses.
    pub client: Option<IpAddr>,
    /// The limit the path has.
    pub limit: LimitClass,
    /// Whether the client speaks HTTPS, as far as a trusted proxy or the public address say.
    pub https: bool,
    /// Whether the path began with the server's base path: no proxy has taken it off.
    pub under_base: bool,
}

impl RequestContext {
    /// Where the request comes from, as the audit log tells it.
    pub fn source(&self) -> RequestSource {
        RequestSource {
            address: self.client,
            request: Some(RequestId(self.id.as_u128())),
        }
    }
}

impl FromRequest for RequestContext {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(
            request
                .extensions()
                .get::<Self>()
                .copied()
                .ok_or_else(|| ApiError::of(ErrorClass::Internal)),
        )
    }
}

impl Apiv2Schema for RequestContext {}
impl OperationModifier for RequestContext {}
