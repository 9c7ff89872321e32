//! Session tokens and the login cookie.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use majordomo_application::Caller;
use majordomo_application::access::LoggedIn;
use majordomo_presentation_http::auth::{
    LOGIN_COOKIE, SESSION_COOKIE, bearer_token, remove_cookie, set_cookie,
};
use majordomo_presentation_http::openapi::{Body, Raw, Reply};
use majordomo_presentation_http::{
    ApiError, Authenticated, ErrorClass, Kernel, RequestContext, Services,
};
use paperclip::actix::{OperationModifier, api_v2_operation};
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fails::Fails;

/// What logging in answers.
type LoginReply = Fails<Fails<Raw<OkResponse>, 400>, 401>;
/// What exchanging the master token answers.
type ExchangeReply = Fails<Reply<SessionTokenResponse>, 401>;

/// What a client shows to get a cookie.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct LoginRequest {
    /// The master token or an API key.
    #[serde(default)]
    token: String,
}

/// The login's body: whatever is wrong with it is one and the same 400.
pub(crate) struct LoginBody(LoginRequest);

/// It worked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OkResponse {
    /// Always true.
    ok: bool,
}

/// A token for clients that should not keep the master token.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SessionTokenResponse {
    /// The token, to be used like the master token.
    session_token: String,
    /// How long it works.
    expires_in_hours: u64,
}

impl FromRequest for LoginBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::<LoginRequest>::from_request(request, payload);
        Box::pin(async move {
            body.await.map(|Body(body)| Self(body)).map_err(|error| {
                if error.class() == ErrorClass::PayloadTooLarge {
                    return error;
                }
                ApiError::new(ErrorClass::Malformed, "bad_request", "Invalid JSON body")
                    .with_status(StatusCode::BAD_REQUEST)
            })
        })
    }
}

impl Apiv2Schema for LoginBody {}

impl OperationModifier for LoginBody {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        Body::<LoginRequest>::update_parameter(operation);
    }
}

/// A fresh master token.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TokenResponse {
    /// The token.
    token: String,
}

async fn log_in(
    kernel: &Kernel,
    services: &Services,
    context: &RequestContext,
    LoginBody(body): LoginBody,
) -> Result<LoginReply, ApiError> {
    let (access, source) = (Arc::clone(&services.access), context.source());
    let logged_in = kernel
        .core()
        .run(async move {
            if access.is_pairing(&body.token) {
                return access.redeem(&body.token, source).await;
            }
            access
                .login(&body.token, source)
                .await
                .map(LoggedIn::Session)
        })
        .await
        .map_err(|error| in_other_words(error, "Invalid access token"))?;
    // One browser is one caller: the other cookie would say something else.
    let (name, issued, other) = match logged_in {
        LoggedIn::Session(issued) => (SESSION_COOKIE, issued, LOGIN_COOKIE),
        LoggedIn::User(issued) => (LOGIN_COOKIE, issued, SESSION_COOKIE),
    };
    let cookie = set_cookie(name, &issued.secret, issued.lifetime, context.https);
    let reply = Raw::from(Reply(OkResponse { ok: true }))
        .with_header((SET_COOKIE, cookie))
        .with_header((SET_COOKIE, remove_cookie(other, context.https)));
    Ok(Fails(Fails(reply)))
}

async fn log_out(
    kernel: &Kernel,
    caller: Caller,
    https: bool,
) -> Result<Raw<OkResponse>, ApiError> {
    let access = Arc::clone(kernel.access());
    kernel
        .core()
        .run(async move { access.log_out(&caller).await })
        .await?;
    let reply = Raw::from(Reply(OkResponse { ok: true }));
    let cookies = [SESSION_COOKIE, LOGIN_COOKIE].into_iter();
    Ok(cookies.fold(reply, |reply, name| {
        reply.with_header((SET_COOKIE, remove_cookie(name, https)))
    }))
}

async fn exchange(
    kernel: &Kernel,
    services: &Services,
    context: &RequestContext,
    request: &HttpRequest,
) -> Result<ExchangeReply, ApiError> {
    let token = bearer_token(request.headers())
        .unwrap_or_default()
        .to_owned();
    let (access, source) = (Arc::clone(&services.access), context.source());
    let issued = kernel
        .core()
        .run(async move { access.open_session(&token, source).await })
        .await
        .map_err(|error| in_other_words(error, "Invalid master token"))?;
    Ok(Fails(Reply(SessionTokenResponse {
        session_token: issued.secret,
        expires_in_hours: issued.lifetime.as_secs().div_ceil(3600),
    })))
}

/// A refused credential in the words of the route; any other failure as it is.
fn in_other_words(error: ApiError, words: &str) -> ApiError {
    if error.class() == ErrorClass::Unauthenticated {
        ApiError::new(ErrorClass::Unauthenticated, "unauthorized", words)
    } else {
        error
    }
}

/// POST /api/v1/auth/login: sets the session cookie
#[api_v2_operation(tags(Auth), operation_id = "login")]
pub(crate) async fn login(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    body: LoginBody,
) -> Result<LoginReply, ApiError> {
    log_in(&kernel, &services, &context, body).await
}

/// POST /api/auth/login: sets the session cookie
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_login")]
pub(crate) async fn dashboard_login(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    body: LoginBody,
) -> Result<LoginReply, ApiError> {
    log_in(&kernel, &services, &context, body).await
}

/// POST /api/v1/auth/logout: removes the session cookie
#[api_v2_operation(tags(Auth), operation_id = "logout")]
pub(crate) async fn logout(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    context: RequestContext,
) -> Result<Raw<OkResponse>, ApiError> {
    log_out(&kernel, caller, context.https).await
}

/// POST /api/auth/logout: removes the session cookie
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_logout")]
pub(crate) async fn dashboard_logout(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    context: RequestContext,
) -> Result<Raw<OkResponse>, ApiError> {
    log_out(&kernel, caller, context.https).await
}

/// POST /api/v1/auth/session: exchanges the master token, shown as bearer token, for a session token
#[api_v2_operation(tags(Auth), operation_id = "open_session")]
pub(crate) async fn open_session(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
) -> Result<ExchangeReply, ApiError> {
    exchange(&kernel, &services, &context, &request).await
}

/// POST /api/auth/session: exchanges the master token, shown as bearer token, for a session token
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_open_session")]
pub(crate) async fn dashboard_open_session(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
) -> Result<ExchangeReply, ApiError> {
    exchange(&kernel, &services, &context, &request).await
}

async fn regenerate(
    kernel: &Kernel,
    services: &Services,
    Authenticated(caller): Authenticated,
) -> Result<Reply<TokenResponse>, ApiError> {
    let access = Arc::clone(&services.access);
    let rotation = async move { access.rotate_master_token(&caller).await };
    let token = kernel.core().run(rotation).await?;
    Ok(Reply(TokenResponse { token }))
}

/// POST /api/v1/token/regenerate: replaces the master token; session tokens made with the old one stop working
#[api_v2_operation(tags(Auth), operation_id = "regenerate_token")]
pub(crate) async fn regenerate_token(
    kernel: Data<Kernel>,
    services: Data<Services>,
    caller: Authenticated,
) -> Result<Reply<TokenResponse>, ApiError> {
    regenerate(&kernel, &services, caller).await
}

/// POST /api/token/regenerate: replaces the master token; session tokens made with the old one stop working
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_regenerate_token")]
pub(crate) async fn dashboard_regenerate_token(
    kernel: Data<Kernel>,
    services: Data<Services>,
    caller: Authenticated,
) -> Result<Reply<TokenResponse>, ApiError> {
    regenerate(&kernel, &services, caller).await
}
