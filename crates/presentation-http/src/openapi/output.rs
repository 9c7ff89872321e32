//! Typed answers: JSON with a status, event streams, other media, nothing.

use std::marker::PhantomData;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue, TryIntoHeaderPair};
use actix_web::{HttpRequest, HttpResponse, Responder};
use bytes::Bytes;
use futures_util::Stream;
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::collector::record_response;
use crate::error::ApiError;
use crate::sse::{self, Frame};

/// A JSON answer with a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T, const STATUS: u16 = 200>(pub T);

fn status_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn reason(code: u16) -> &'static str {
    status_of(code).canonical_reason().unwrap_or("Answer")
}

/// `payload` as the body of an answer.
fn json_response<T: Serialize>(status: StatusCode, payload: &T) -> HttpResponse {
    match serde_json::to_vec(payload) {
        Ok(body) => HttpResponse::build(status)
            .insert_header((
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            ))
            .body(body),
        Err(error) => HttpResponse::from_error(ApiError::internal(&error)),
    }
}

impl<T: Serialize, const STATUS: u16> Reply<T, STATUS> {
    /// The answer by hand, to add a cookie or a header: `Raw::from(reply.into_response())`.
    pub fn into_response(self) -> HttpResponse {
        json_response(status_of(STATUS), &self.0)
    }
}

impl<T: Serialize, const STATUS: u16> Responder for Reply<T, STATUS> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.into_response()
    }
}

fn document_json<T: JsonSchema>(operation: &mut DefaultOperationRaw, status: u16) {
    record_response(operation, status, |generator| {
        json!({
            "description": reason(status),
            "content": { "application/json": { "schema": generator.subschema_for::<T>() } }
        })
    });
}

impl<T: JsonSchema, const STATUS: u16> Apiv2Schema for Reply<T, STATUS> {}

impl<T: JsonSchema, const STATUS: u16> OperationModifier for Reply<T, STATUS> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        document_json::<T>(operation, STATUS);
    }
}

/// An answer made by hand whose body is documented as JSON of `T`: with cookies, headers, or bytes written before.
pub struct Raw<T, const STATUS: u16 = 200>(HttpResponse, PhantomData<fn() -> T>);

impl<T, const STATUS: u16> From<HttpResponse> for Raw<T, STATUS> {
    fn from(response: HttpResponse) -> Self {
        Self(response, PhantomData)
    }
}

impl<T: Serialize, const STATUS: u16> From<Reply<T, STATUS>> for Raw<T, STATUS> {
    fn from(reply: Reply<T, STATUS>) -> Self {
        reply.into_response().into()
    }
}

impl<T, const STATUS: u16> Raw<T, STATUS> {
    /// The same answer with a header more.
    #[must_use]
    pub fn with_header(mut self, header: impl TryIntoHeaderPair) -> Self {
        if let Ok((name, value)) = header.try_into_pair() {
            self.0.headers_mut().append(name, value);
        }
        self
    }
}

impl<T, const STATUS: u16> Responder for Raw<T, STATUS> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl<T: JsonSchema, const STATUS: u16> Apiv2Schema for Raw<T, STATUS> {}

impl<T: JsonSchema, const STATUS: u16> OperationModifier for Raw<T, STATUS> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        document_json::<T>(operation, STATUS);
    }
}

/// 204, without a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoContent;

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

impl Apiv2Schema for NoContent {}

impl OperationModifier for NoContent {
    fn update_response(operation: &mut DefaultOperationRaw) {
        record_response(operation, 204, |_| json!({ "description": reason(204) }));
    }
}

/// Server-sent events, each with `T` as its payload; `DONE` where the last one is OpenAI's `[DONE]` instead.
pub struct Sse<T, const DONE: bool = false>(HttpResponse, PhantomData<fn() -> T>);

impl<T, const DONE: bool> Sse<T, DONE> {
    /// Streams `frames`; dropping the connection drops them.
    pub fn new(frames: impl Stream<Item = Frame> + 'static) -> Self {
        Self(sse::respond(frames), PhantomData)
    }

    /// An answer made by hand, for instance with [`sse::respond_with`].
    pub fn from_response(response: HttpResponse) -> Self {
        Self(response, PhantomData)
    }
}

impl<T, const DONE: bool> Responder for Sse<T, DONE> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl<T: JsonSchema, const DONE: bool> Apiv2Schema for Sse<T, DONE> {}

/// One event, field by field: how readers of OpenAPI 3.1 take the schema of `text/event-stream`.
fn event_schema(payload: &Value, done: bool) -> Value {
    let json = json!({ "type": "string", "contentMediaType": "application/json", "contentSchema": payload });
    let data = if done {
        json!({ "anyOf": [{ "const": "[DONE]" }, json] })
    } else {
        json
    };
    json!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "description": "What to resume with." },
            "event": { "type": "string", "description": "The event's name." },
            "data": data
        },
        "required": ["data"]
    })
}

impl<T: JsonSchema, const DONE: bool> OperationModifier for Sse<T, DONE> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        record_response(operation, 200, |generator| {
            let payload = generator.subschema_for::<T>().to_value();
            json!({
                "description": "A stream of server-sent events.",
                "content": { "text/event-stream": { "schema": event_schema(&payload, DONE) } }
            })
        });
    }
}

/// A media type other than JSON.
pub trait MediaKind: 'static {
    /// The `Content-Type`.
    const CONTENT_TYPE: &'static str;
    /// Whether it is bytes rather than text.
    const BINARY: bool;
}

macro_rules! media {
    ($($(#[$doc:meta])* $name:ident = $content_type:literal, $binary:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl MediaKind for $name {
            const CONTENT_TYPE: &'static str = $content_type;
            const BINARY: bool = $binary;
        }
    )*};
}

media! {
    /// A page.
    Html = "text/html; charset=utf-8", false;
    /// Text.
    PlainText = "text/plain; charset=utf-8", false;
    /// Text with light markup.
    Markdown = "text/markdown; charset=utf-8", false;
    /// An image.
    Png = "image/png", true;
    /// A drawing.
    Svg = "image/svg+xml", false;
    /// Bytes.
    OctetStream = "application/octet-stream", true;
}

/// An answer of a media type other than JSON.
pub struct Media<M>(HttpResponse, PhantomData<fn() -> M>);

impl<M: MediaKind> Media<M> {
    /// `body`, with status 200.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self::from_response(
            HttpResponse::Ok()
                .insert_header((
                    header::CONTENT_TYPE,
                    HeaderValue::from_static(M::CONTENT_TYPE),
                ))
                .body(body.into()),
        )
    }

    /// An answer made by hand.
    pub fn from_response(response: HttpResponse) -> Self {
        Self(response, PhantomData)
    }

    /// The same answer with a header more.
    #[must_use]
    pub fn with_header(mut self, header: impl TryIntoHeaderPair) -> Self {
        if let Ok((name, value)) = header.try_into_pair() {
            self.0.headers_mut().append(name, value);
        }
        self
    }
}

impl<M> Responder for Media<M> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl<M: MediaKind> Apiv2Schema for Media<M> {}

impl<M: MediaKind> OperationModifier for Media<M> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        record_response(operation, 200, |_| {
            let media = M::CONTENT_TYPE.split(';').next().unwrap_or_default();
            let schema: Value = if M::BINARY {
                json!({ "contentMediaType": media })
            } else {
                json!({ "type": "string" })
            };
            json!({ "description": reason(200), "content": { media: { "schema": schema } } })
        });
    }
}

/// One of two kinds of answers, for operations that stream when asked to.
pub enum OneOf<A, B> {
    /// The first kind.
    First(A),
    /// The second kind.
    Second(B),
}

impl<A: Responder<Body = BoxBody>, B: Responder<Body = BoxBody>> Responder for OneOf<A, B> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Self::First(answer) => answer.respond_to(request),
            Self::Second(answer) => answer.respond_to(request),
        }
    }
}

impl<A, B> Apiv2Schema for OneOf<A, B> {}

impl<A: OperationModifier, B: OperationModifier> OperationModifier for OneOf<A, B> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        A::update_response(operation);
        B::update_response(operation);
    }
}

/// 101: the connection becomes a WebSocket.
pub struct Upgrade(pub HttpResponse);

impl Responder for Upgrade {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl Apiv2Schema for Upgrade {}

impl OperationModifier for Upgrade {
    fn update_response(operation: &mut DefaultOperationRaw) {
        record_response(
            operation,
            101,
            |_| json!({ "description": "The connection becomes a WebSocket." }),
        );
    }
}
