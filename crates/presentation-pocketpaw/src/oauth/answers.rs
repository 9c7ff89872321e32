//! Answers in the forms that OAuth's specifications give them.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use majordomo_application::ServiceError as _;
use majordomo_application::oauth::{AuthorizeRequest, AuthorizeTarget, OAuthError};
use majordomo_presentation_http::ApiError;
use majordomo_presentation_http::openapi::collector::record_response;
use paperclip::actix::OperationModifier;
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::form::Encoding;
use crate::error::ErrorBody;

/// A failure in the words of OAuth.
#[derive(Serialize, JsonSchema)]
pub(crate) struct OAuthErrorBody {
    /// The failure's name: `invalid_grant`.
    error: String,
    /// What is wrong, in a few words.
    error_description: String,
    /// The same words, or a list of places as with other input that does not fit.
    detail: Value,
}

/// A failure as the token, revocation and registration endpoints tell it; failures that are not OAuth's own are told as
/// everywhere.
pub(super) fn refuse(error: OAuthError, encoding: Encoding) -> Result<HttpResponse, ApiError> {
    let Some(name) = error.wire_name() else {
        return Err(error.into());
    };
    let words = error.public_message();
    let (status, detail) = match (&error, encoding) {
        (OAuthError::UnsupportedGrantType, Encoding::Json) => {
            let place = json!({
                "type": "string_pattern_mismatch", "loc": ["body", "grant_type"],
                "msg": "String should match pattern '^(authorization_code|refresh_token)$'", "input": null
            });
            (StatusCode::UNPROCESSABLE_ENTITY, json!([place]))
        }
        (OAuthError::RegistrationClosed, _) => (StatusCode::FORBIDDEN, Value::from(words.as_str())),
        (OAuthError::RegistrationFull, _) => {
            (StatusCode::SERVICE_UNAVAILABLE, Value::from(words.as_str()))
        }
        _ => (StatusCode::BAD_REQUEST, Value::from(words.as_str())),
    };
    Ok(HttpResponse::build(status).json(OAuthErrorBody {
        error: name.to_owned(),
        error_description: words,
        detail,
    }))
}

/// An answer of an endpoint that may refuse with `STATUS`.
pub(crate) struct Refusable<R, const STATUS: u16>(pub(super) R);

impl<R: Responder, const STATUS: u16> Responder for Refusable<R, STATUS> {
    type Body = R::Body;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse<R::Body> {
        self.0.respond_to(request)
    }
}

impl<R, const STATUS: u16> Apiv2Schema for Refusable<R, STATUS> {}

impl<R: OperationModifier, const STATUS: u16> OperationModifier for Refusable<R, STATUS> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        R::update_response(operation);
        let reason = StatusCode::from_u16(STATUS)
            .ok()
            .and_then(|status| status.canonical_reason());
        record_response(operation, STATUS, |generator| {
            json!({
                "description": reason.unwrap_or("Failure"),
                "content": { "application/json": { "schema": generator.subschema_for::<OAuthErrorBody>() } }
            })
        });
    }
}

/// Sends the browser to the app with `answer` added to its address.
pub(super) fn send_to_app(
    target: &AuthorizeTarget,
    asked: &AuthorizeRequest,
    issuer: &str,
    answer: &[(&str, &str)],
) -> Result<HttpResponse, ApiError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(answer);
    if let Some(state) = asked.state.as_deref().filter(|state| !state.is_empty()) {
        query.append_pair("state", state);
    }
    query.append_pair("iss", issuer);
    let location = target.redirect_uri.with_query(&query.finish());
    let location = HeaderValue::from_str(&location).map_err(|error| ApiError::internal(&error))?;
    Ok(HttpResponse::Found()
        .insert_header((header::LOCATION, location))
        // The code stands in the address: what comes next must not see it.
        .insert_header((
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ))
        .finish())
}

/// Tells the app what went wrong, where it is the app's to know; the user otherwise.
pub(super) fn tell_app(
    error: &OAuthError,
    target: &AuthorizeTarget,
    asked: &AuthorizeRequest,
    issuer: &str,
) -> Option<Result<HttpResponse, ApiError>> {
    let name = error.wire_name().filter(|_| error.is_for_the_app())?;
    let words = error.public_message();
    let mut answer = vec![("error", name)];
    if words != name {
        answer.push(("error_description", words.as_str()));
    }
    Some(send_to_app(target, asked, issuer, &answer))
}

/// A page, or the way back to the app.
pub(crate) struct Page(pub(super) HttpResponse);

impl Responder for Page {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl Apiv2Schema for Page {}

impl OperationModifier for Page {
    fn update_response(operation: &mut DefaultOperationRaw) {
        let page = json!({ "text/html": { "schema": { "type": "string" } } });
        for (status, words) in [
            (200, "A page."),
            (401, "A page to sign in with."),
            (403, "A page that says why the user cannot agree."),
        ] {
            record_response(
                operation,
                status,
                |_| json!({ "description": words, "content": page }),
            );
        }
        for (status, words) in [(302, "Back to the app."), (303, "On to the next page.")] {
            record_response(operation, status, |_| {
                json!({
                    "description": words,
                    "headers": { "Location": { "schema": { "type": "string" } } }
                })
            });
        }
        record_response(operation, 400, |generator| {
            json!({
                "description": "Bad Request",
                "content": { "application/json": { "schema": generator.subschema_for::<ErrorBody>() } }
            })
        });
    }
}
