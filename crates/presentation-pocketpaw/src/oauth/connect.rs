//! Connecting this server to services of others.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Responder};
use majordomo_application::ServiceError as _;
use majordomo_application::oauth::OAuthError;
use majordomo_presentation_http::openapi::collector::record_response;
use majordomo_presentation_http::openapi::{Html, Media, Params};
use majordomo_presentation_http::{
    ApiError, Authenticated, ErrorClass, Kernel, RequestContext, Services,
};
use paperclip::actix::{OperationModifier, api_v2_operation};
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::issuer::issuer;
use super::page;
use crate::fails::Fails;

/// Which service is to be connected.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ConnectQuery {
    /// The first one when missing.
    #[schemars(extend("enum" = ["google_gmail", "google_calendar", "google_drive", "google_docs", "spotify"]))]
    service: Option<String>,
}

/// What the other service answers.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CallbackQuery {
    /// The code.
    code: Option<String>,
    /// Why there is none.
    error: Option<String>,
}

/// 307: on to the other service.
pub(crate) struct Elsewhere(HttpResponse);

impl Responder for Elsewhere {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl Apiv2Schema for Elsewhere {}

impl OperationModifier for Elsewhere {
    fn update_response(operation: &mut DefaultOperationRaw) {
        record_response(operation, 307, |_| {
            json!({
                "description": "On to the other service.",
                "headers": { "Location": { "schema": { "type": "string" } } }
            })
        });
    }
}

/// GET /api/oauth/authorize: sends the user to another service to let this server in
#[api_v2_operation(tags(Dashboard), operation_id = "connect_service")]
pub(crate) async fn connect_service(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
    Authenticated(caller): Authenticated,
    Params(query): Params<ConnectQuery>,
) -> Result<Fails<Elsewhere, 400>, ApiError> {
    let service = query.service.as_deref().unwrap_or("google_gmail");
    let asked = services.oauth.connect(&caller, service).map_err(refused)?;
    let server = issuer(&services.oauth, &kernel, context, &request)?;
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    parameters
        .extend_pairs(asked.parameters)
        .append_pair("redirect_uri", &format!("{server}/oauth/callback"));
    let location = format!("{}?{}", asked.endpoint, parameters.finish());
    let location = HeaderValue::from_str(&location).map_err(|error| ApiError::internal(&error))?;
    Ok(Fails(Elsewhere(
        HttpResponse::TemporaryRedirect()
            .insert_header((header::LOCATION, location))
            .finish(),
    )))
}

fn refused(error: OAuthError) -> ApiError {
    match error {
        OAuthError::UnknownService(_) | OAuthError::NotConnectable(_) => {
            let words = error.public_message();
            ApiError::new(ErrorClass::Invalid, error.code(), words)
                .with_status(StatusCode::BAD_REQUEST)
        }
        error => error.into(),
    }
}

/// GET /oauth/callback: where another service sends the user back
#[api_v2_operation(tags(Dashboard), operation_id = "connection_callback")]
pub(crate) async fn connection_callback(
    Params(answer): Params<CallbackQuery>,
) -> Result<Media<Html>, ApiError> {
    let (title, words) = match (&answer.error, &answer.code) {
        (Some(error), _) => ("OAuth Error", error.as_str()),
        (None, None) => ("Missing authorization code", "The other service sent none."),
        (None, Some(_)) => (
            "Nothing was connected",
            "The other service agreed, but no part of this server uses it.",
        ),
    };
    page::message(StatusCode::OK, title, words).map(Media::from_response)
}
