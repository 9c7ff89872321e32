//! Signing in on the way to a consent page, for browsers that are not signed in yet.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use majordomo_application::ServiceError as _;
use majordomo_application::access::{Presented, SignIn};
use majordomo_application::oauth::{AuthorizeRequest, OAuthError, OAuthService};
use majordomo_presentation_http::auth::{LOGIN_COOKIE, SESSION_COOKIE, remove_cookie, set_cookie};
use majordomo_presentation_http::{
    ApiError, ErrorClass, Kernel, Location, RequestContext, Services,
};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answers::Page;
use super::authorize::{AuthorizeQuery, find_target, parameters};
use super::form::Form;
use super::page;

/// A credential, and the request that is to go on with it.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SignInRequest {
    /// Which app asks.
    #[schemars(required)]
    client_id: Option<String>,
    /// Where the answer goes.
    #[schemars(required)]
    redirect_uri: Option<String>,
    /// `code`.
    response_type: Option<String>,
    /// Names of scopes.
    scope: Option<String>,
    /// The SHA-256 of the proof key.
    #[schemars(required)]
    code_challenge: Option<String>,
    /// `S256`.
    code_challenge_method: Option<String>,
    /// Sent back as it is.
    state: Option<String>,
    /// The user's name; empty for who signs in with a token.
    username: Option<String>,
    /// The user's password.
    password: Option<String>,
    /// The server's access token.
    token: Option<String>,
}

/// What somebody signs in with.
enum Shown {
    Password(SignIn),
    Token(String),
}

impl SignInRequest {
    fn split(self) -> (AuthorizeQuery, Shown) {
        let query = AuthorizeQuery {
            client_id: self.client_id,
            redirect_uri: self.redirect_uri,
            response_type: self.response_type,
            scope: self.scope,
            code_challenge: self.code_challenge,
            code_challenge_method: self.code_challenge_method,
            state: self.state,
        };
        let shown = match self.username.filter(|name| !name.is_empty()) {
            Some(username) => Shown::Password(SignIn {
                username,
                password: self.password.unwrap_or_default(),
            }),
            None => Shown::Token(self.token.unwrap_or_default()),
        };
        (query, shown)
    }
}

/// Back to the page that asks, relative to this one.
fn back(asked: &AuthorizeRequest) -> Result<HeaderValue, ApiError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters(asked));
    HeaderValue::from_str(&format!("../authorize?{}", query.finish()))
        .map_err(|error| ApiError::internal(&error))
}

/// POST /api/v1/oauth/authorize/sign-in: sets the session cookie and goes on to the page that asks
#[api_v2_operation(tags(OAuth), operation_id = "authorize_sign_in")]
pub(crate) async fn sign_in(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
    Form(form): Form<SignInRequest>,
) -> Result<Page, ApiError> {
    let (query, shown) = form.split();
    let asked = query.read(Location::Body)?;
    let target = find_target(&kernel, &services, &asked).await?;
    // A page of another site must not sign its visitors in as somebody else.
    let origins = kernel.allowed_origins();
    if !origins.allows_socket(request.headers(), request.uri()) {
        return page::refusal("This form was sent by another site.").map(Page);
    }
    let again = |words: &str| page::sign_in(&target, &asked, "sign-in", Some(words)).map(Page);
    let (access, users) = (Arc::clone(&services.access), Arc::clone(&services.users));
    let source = context.source();
    let signed_in = kernel.core().run(async move {
        match shown {
            Shown::Password(sign_in) => {
                let signed_in = users.sign_in(sign_in, source).await?;
                Ok::<_, ApiError>(Ok((LOGIN_COOKIE, signed_in.token, SESSION_COOKIE)))
            }
            Shown::Token(token) => {
                let shown = Presented::Token(token.clone());
                let caller = access.authenticate(shown, source).await?;
                if let Err(refused) = OAuthService::require_in_person(&caller) {
                    return Ok(Err(refused));
                }
                let issued = access.login(&token, source).await?;
                Ok(Ok((SESSION_COOKIE, issued, LOGIN_COOKIE)))
            }
        }
    });
    let (cookie, issued, other) = match signed_in.await {
        Ok(Ok(signed_in)) => signed_in,
        Ok(Err(refused)) => return again(&OAuthError::public_message(&refused)),
        Err(error) if error.class() == ErrorClass::Unauthenticated => {
            return again("That is not right.");
        }
        Err(error) => return Err(error),
    };
    let https = context.https;
    let set = set_cookie(cookie, &issued.secret, issued.lifetime, https);
    Ok(Page(
        HttpResponse::SeeOther()
            .append_header((header::SET_COOKIE, set))
            // One browser is one caller: the other cookie would say something else.
            .append_header((header::SET_COOKIE, remove_cookie(other, https)))
            .insert_header((header::LOCATION, back(&asked)?))
            .finish(),
    ))
}
