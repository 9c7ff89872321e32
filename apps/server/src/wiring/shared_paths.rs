//! Paths that two dialects share. Signing in and out are `POST /api/auth/login` and `/logout` to the clients of both
//! `PocketPaw` and Pixcode; what the request shows tells whose it is.

use actix_web::HttpMessage as _;
use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::Error;
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use majordomo_presentation_http::auth::find_credential;
use majordomo_presentation_http::{Dialect, SpokenDialect};
use majordomo_presentation_pixcode as pixcode;
use majordomo_presentation_pocketpaw as pocketpaw;
use serde_json::Value;

/// Longest body of a login that is looked into; a longer one is no login of Pixcode's.
const MAX_LOGIN: usize = 16 * 1024;
/// What login tokens begin with: the start of a JSON object, in base64url.
const LOGIN_TOKEN: &str = "eyJ";

/// Notes whose request a shared path is. Other requests pass.
pub(super) async fn tell_dialects_apart(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if *request.method() == Method::POST {
        let is_pixcode = match request.path() {
            "/api/auth/login" => Some(asks_with_password(&mut request).await),
            "/api/auth/logout" => Some(shows_login_token(&request)),
            _ => None,
        };
        if let Some(is_pixcode) = is_pixcode {
            let dialect: &'static dyn Dialect = if is_pixcode {
                &pixcode::DIALECT
            } else {
                &pocketpaw::DIALECT
            };
            request.extensions_mut().insert(SpokenDialect(dialect));
        }
    }
    next.call(request).await
}

/// Whether the body holds a name or a password. It is put back for the handler.
async fn asks_with_password(request: &mut ServiceRequest) -> bool {
    let announced = request
        .headers()
        .get(actix_web::http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    // A body of unknown length is left to its handler, which bounds it.
    if announced.is_none_or(|length| length > MAX_LOGIN) {
        return false;
    }
    let Ok(body) = request.extract::<Bytes>().await else {
        return false;
    };
    let has_password = serde_json::from_slice::<Value>(&body)
        .is_ok_and(|body| body.get("username").or(body.get("password")).is_some());
    request.set_payload(Payload::from(body));
    has_password
}

fn shows_login_token(request: &ServiceRequest) -> bool {
    find_credential(request.headers(), request.query_string())
        .is_some_and(|token| token.starts_with(LOGIN_TOKEN))
}
