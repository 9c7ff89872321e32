//! The first user, signing in and out.

use std::sync::Arc;

use actix_web::http::header::SET_COOKIE;
use actix_web::{HttpRequest, web};
use majordomo_application::access::{SignIn, SignedIn, UserError};
use majordomo_domain::{Timestamp, User};
use majordomo_presentation_http::auth::{
    LOGIN_COOKIE, SESSION_COOKIE, authenticate, authenticate_setup, remove_cookie, set_cookie,
};
use majordomo_presentation_http::openapi::{Body, Raw, Reply};
use majordomo_presentation_http::{
    ApiError, Authenticated, ErrorClass, Kernel, RequestContext, Services,
};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::bad_request;
use crate::fails::Fails;

/// A name and a password.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct LoginRequest {
    /// The user's name, whatever its case.
    #[schemars(required, with = "String", length(min = 3, max = 64))]
    username: Option<String>,
    /// The password.
    #[schemars(required, with = "String", length(min = 6, max = 1024))]
    password: Option<String>,
}

/// Whether anybody is registered, and who asks.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuthStatusResponse {
    /// Always `true`.
    success: bool,
    /// Whether nobody is registered yet.
    #[serde(rename = "needsSetup")]
    needs_setup: bool,
    /// Whether the request shows a right credential.
    #[serde(rename = "isAuthenticated")]
    is_authenticated: bool,
    /// Who asks, where that is known.
    user: Option<UserResponse>,
}

/// A user.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UserResponse {
    /// Names the user.
    id: String,
    /// What they sign in with.
    username: String,
    /// When they were registered.
    created_at: String,
    /// When they last signed in.
    last_login: Option<String>,
}

/// The user who asks.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CurrentUserResponse {
    user: UserResponse,
}

/// Who has signed in.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SignedInUser {
    /// Names the user.
    id: String,
    /// What they sign in with.
    username: String,
}

/// A login token, which the cookie holds too.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LoginResponse {
    /// Always `true`.
    success: bool,
    user: SignedInUser,
    /// The token, to be used as bearer token or as `?token=`.
    token: String,
}

/// The cookies are gone.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LogoutResponse {
    /// Always `true`.
    success: bool,
    /// What happened, in words.
    message: &'static str,
}

impl From<User> for UserResponse {
    fn from(user: User) -> Self {
        Self {
            id: user.id.into_string(),
            username: user.username.to_string(),
            created_at: user.created_at.to_rfc3339(),
            last_login: user.last_login_at.map(Timestamp::to_rfc3339),
        }
    }
}

impl LoginRequest {
    fn read(self) -> Result<SignIn, ApiError> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (given(self.username), given(self.password)) {
            (Some(username), Some(password)) => Ok(SignIn { username, password }),
            _ => Err(bad_request("Username and password are required")),
        }
    }
}

/// The token in the body and as a cookie. One browser is one caller: the other cookie would say something else.
fn welcome(signed_in: SignedIn, https: bool) -> Raw<LoginResponse> {
    let SignedIn { user, token } = signed_in;
    let cookie = set_cookie(LOGIN_COOKIE, &token.secret, token.lifetime, https);
    Raw::from(Reply(LoginResponse {
        success: true,
        user: SignedInUser {
            id: user.id.into_string(),
            username: user.username.to_string(),
        },
        token: token.secret,
    }))
    .with_header((SET_COOKIE, cookie))
    .with_header((SET_COOKIE, remove_cookie(SESSION_COOKIE, https)))
}

/// GET /api/auth/status: whether anybody is registered, and who asks
#[api_v2_operation(tags(Authentication), operation_id = "auth_status")]
pub(crate) async fn auth_status(
    kernel: web::Data<Kernel>,
    services: web::Data<Services>,
    request: HttpRequest,
) -> Result<Reply<AuthStatusResponse>, ApiError> {
    let caller = authenticate(&request).await.ok();
    let users = Arc::clone(&services.users);
    let (needs_setup, user) = kernel
        .core()
        .run(async move {
            let needs_setup = users.needs_setup().await?;
            let user = match caller {
                Some(caller) => Some(users.me(&caller).await),
                None => None,
            };
            Ok::<_, UserError>((needs_setup, user.and_then(Result::ok)))
        })
        .await?;
    // Before anybody is registered the client must show its form for the first user, whoever asks.
    let user = user.filter(|_| !needs_setup);
    Ok(Reply(AuthStatusResponse {
        success: true,
        needs_setup,
        is_authenticated: user.is_some(),
        user: user.map(UserResponse::from),
    }))
}

/// POST /api/auth/register: makes the owner, once
#[api_v2_operation(tags(Authentication), operation_id = "register")]
pub(crate) async fn register(
    kernel: web::Data<Kernel>,
    services: web::Data<Services>,
    context: RequestContext,
    request: HttpRequest,
    body: Body<LoginRequest>,
) -> Result<Fails<Raw<LoginResponse>, 403>, ApiError> {
    let form = body.0.read()?;
    let caller = authenticate_setup(&kernel, &request).await;
    let users = Arc::clone(&services.users);
    let signed_in = kernel
        .core()
        .run(async move { users.register(caller.as_ref(), form).await })
        .await
        .map_err(|error| match error.class() {
            ErrorClass::Invalid => bad_request(
                "Username must be at least 3 characters, password at least 6 characters",
            ),
            _ => error,
        })?;
    Ok(Fails(welcome(signed_in, context.https)))
}

/// POST /api/auth/login: signs a user in
#[api_v2_operation(tags(Authentication), operation_id = "sign_in")]
pub(crate) async fn sign_in(
    kernel: web::Data<Kernel>,
    services: web::Data<Services>,
    context: RequestContext,
    body: Body<LoginRequest>,
) -> Result<Fails<Raw<LoginResponse>, 401>, ApiError> {
    let form = body.0.read()?;
    let (users, source) = (Arc::clone(&services.users), context.source());
    let signed_in = kernel
        .core()
        .run(async move { users.sign_in(form, source).await })
        .await?;
    Ok(Fails(welcome(signed_in, context.https)))
}

/// GET /api/auth/user: the user who asks
#[api_v2_operation(tags(Authentication), operation_id = "current_user")]
pub(crate) async fn current_user(
    Authenticated(caller): Authenticated,
    kernel: web::Data<Kernel>,
    services: web::Data<Services>,
) -> Result<Reply<CurrentUserResponse>, ApiError> {
    let users = Arc::clone(&services.users);
    let user = kernel
        .core()
        .run(async move { users.me(&caller).await })
        .await?;
    Ok(Reply(CurrentUserResponse { user: user.into() }))
}

/// POST /api/auth/logout: removes the cookies
#[api_v2_operation(tags(Authentication), operation_id = "sign_out")]
pub(crate) async fn sign_out(
    Authenticated(caller): Authenticated,
    kernel: web::Data<Kernel>,
    context: RequestContext,
) -> Result<Raw<LogoutResponse>, ApiError> {
    let access = Arc::clone(kernel.access());
    kernel
        .core()
        .run(async move { access.log_out(&caller).await })
        .await?;
    let reply = Raw::from(Reply(LogoutResponse {
        success: true,
        message: "Logged out successfully",
    }));
    let cookies = [LOGIN_COOKIE, SESSION_COOKIE].into_iter();
    Ok(cookies.fold(reply, |reply, name| {
        reply.with_header((SET_COOKIE, remove_cookie(name, context.https)))
    }))
}
