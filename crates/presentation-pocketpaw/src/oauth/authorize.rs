//! Asking a user whether an app may act for them.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use majordomo_application::oauth::{AuthorizeRequest, AuthorizeTarget, OAuthError};
use majordomo_application::{Caller, ServiceError as _};
use majordomo_presentation_http::auth::authenticate;
use majordomo_presentation_http::openapi::Params;
use majordomo_presentation_http::{
    ApiError, ErrorClass, FieldIssue, Kernel, Location, RequestContext, Services,
};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answers::{Page, send_to_app, tell_app};
use super::form::Form;
use super::issuer::issuer;
use super::page;

/// What an app asks for.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct AuthorizeQuery {
    /// Which app it is.
    #[schemars(required)]
    pub(super) client_id: Option<String>,
    /// Where the answer goes.
    #[schemars(required)]
    pub(super) redirect_uri: Option<String>,
    /// `code`.
    pub(super) response_type: Option<String>,
    /// Names of scopes, with blanks between them; `chat sessions` when missing.
    pub(super) scope: Option<String>,
    /// The SHA-256 of the proof key, as base64url.
    #[schemars(required)]
    pub(super) code_challenge: Option<String>,
    /// `S256`.
    pub(super) code_challenge_method: Option<String>,
    /// Sent back as it is; at most 4000 characters.
    pub(super) state: Option<String>,
}

/// A user's answer.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ConsentRequest {
    /// Which app it is.
    #[schemars(required)]
    client_id: Option<String>,
    /// Where the answer goes.
    #[schemars(required)]
    redirect_uri: Option<String>,
    /// `code`.
    response_type: Option<String>,
    /// Names of scopes, with blanks between them.
    scope: Option<String>,
    /// The SHA-256 of the proof key, as base64url.
    #[schemars(required)]
    code_challenge: Option<String>,
    /// `S256`.
    code_challenge_method: Option<String>,
    /// Sent back as it is.
    state: Option<String>,
    /// The token of the page on which the user answers.
    consent_token: Option<String>,
    /// `allow`; anything else refuses.
    action: Option<String>,
}

/// Longest `state`, in bytes.
const MAX_STATE: usize = 4000;

impl AuthorizeQuery {
    /// The request, when what every request must have is there.
    pub(super) fn read(self, location: Location) -> Result<AuthorizeRequest, ApiError> {
        let needed = [
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("code_challenge", &self.code_challenge),
        ];
        let issue = |field: &str, rule, words: &str| FieldIssue::new(location, field, rule, words);
        let mut issues: Vec<FieldIssue> = needed
            .into_iter()
            .filter(|(_, value)| value.is_none())
            .map(|(field, _)| issue(field, "missing", "Field required"))
            .collect();
        if self
            .state
            .as_ref()
            .is_some_and(|state| state.len() > MAX_STATE)
        {
            let words = "String should have at most 4000 characters";
            issues.push(issue("state", "string_too_long", words));
        }
        if !issues.is_empty() {
            return Err(ApiError::invalid(ErrorClass::Invalid, issues));
        }
        Ok(AuthorizeRequest {
            client_id: self.client_id.unwrap_or_default(),
            redirect_uri: self.redirect_uri.unwrap_or_default(),
            response_type: self.response_type,
            scope: self.scope,
            code_challenge: self.code_challenge.unwrap_or_default(),
            code_challenge_method: self.code_challenge_method,
            state: self.state,
        })
    }
}

/// The parameters of a request, by name.
pub(super) fn parameters(asked: &AuthorizeRequest) -> Vec<(&'static str, &str)> {
    let mut parameters = vec![
        ("client_id", asked.client_id.as_str()),
        ("redirect_uri", asked.redirect_uri.as_str()),
        ("code_challenge", asked.code_challenge.as_str()),
    ];
    let optional = [
        ("response_type", &asked.response_type),
        ("scope", &asked.scope),
        ("code_challenge_method", &asked.code_challenge_method),
        ("state", &asked.state),
    ];
    parameters.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?))),
    );
    parameters
}

/// The app and where its answer goes; the user is told, and nobody else, when the two do not belong together.
pub(super) async fn find_target(
    kernel: &Kernel,
    services: &Services,
    asked: &AuthorizeRequest,
) -> Result<AuthorizeTarget, ApiError> {
    let (oauth, asked) = (Arc::clone(&services.oauth), asked.clone());
    let found = kernel
        .core()
        .run(async move { Ok::<_, ApiError>(oauth.target(&asked).await) });
    found.await?.map_err(|error| match error {
        OAuthError::UnknownTarget => {
            let (code, words) = (error.code(), error.public_message());
            ApiError::new(ErrorClass::Invalid, code, words).with_status(StatusCode::BAD_REQUEST)
        }
        error => error.into(),
    })
}

/// Who is asked; `None` when a user must sign in first.
async fn user_of(request: &HttpRequest) -> Result<Option<Caller>, ApiError> {
    match authenticate(request).await {
        Ok(caller) => Ok(Some(caller)),
        Err(error) if error.class() == ErrorClass::Unauthenticated => Ok(None),
        Err(error) => Err(error),
    }
}

/// What an error becomes: a message to the app, or to the user.
fn failed(
    error: OAuthError,
    target: &AuthorizeTarget,
    asked: &AuthorizeRequest,
    issuer: &str,
) -> Result<HttpResponse, ApiError> {
    if let Some(told) = tell_app(&error, target, asked, issuer) {
        return told;
    }
    match error {
        OAuthError::NotInPerson | OAuthError::ConsentToken => {
            page::refusal(&error.public_message())
        }
        error => Err(error.into()),
    }
}

/// GET /api/v1/oauth/authorize: asks the user whether an app may act for them
#[api_v2_operation(tags(OAuth), operation_id = "authorize")]
pub(crate) async fn authorize(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
    Params(query): Params<AuthorizeQuery>,
) -> Result<Page, ApiError> {
    let asked = query.read(Location::Query)?;
    let target = find_target(&kernel, &services, &asked).await?;
    let Some(caller) = user_of(&request).await? else {
        return page::sign_in(&target, &asked, "authorize/sign-in", None).map(Page);
    };
    let answer = match services.oauth.question(&caller, &target, &asked) {
        Ok(question) => page::consent(&caller.user, &target, &asked, &question),
        Err(error) => {
            let issuer = issuer(&services.oauth, &kernel, context, &request)?;
            failed(error, &target, &asked, &issuer)
        }
    };
    answer.map(Page)
}

/// POST /api/v1/oauth/authorize/consent: the user's answer, from the page that asked
#[api_v2_operation(tags(OAuth), operation_id = "authorize_consent")]
pub(crate) async fn consent(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
    Form(form): Form<ConsentRequest>,
) -> Result<Page, ApiError> {
    let token = form.consent_token.unwrap_or_default();
    let allowed = form.action.as_deref() == Some("allow");
    let query = AuthorizeQuery {
        client_id: form.client_id,
        redirect_uri: form.redirect_uri,
        response_type: form.response_type,
        scope: form.scope,
        code_challenge: form.code_challenge,
        code_challenge_method: form.code_challenge_method,
        state: form.state,
    };
    let asked = query.read(Location::Body)?;
    let target = find_target(&kernel, &services, &asked).await?;
    let issuer = issuer(&services.oauth, &kernel, context, &request)?;
    let Some(caller) = user_of(&request).await? else {
        return page::sign_in(&target, &asked, "sign-in", None).map(Page);
    };
    let (oauth, given) = (Arc::clone(&services.oauth), (target.clone(), asked.clone()));
    let decided = kernel.core().run(async move {
        let (target, asked) = given;
        Ok::<_, ApiError>(if allowed {
            oauth.allow(&caller, &target, &asked, &token).await
        } else {
            Err(oauth.deny(&caller, &asked, &token))
        })
    });
    match decided.await? {
        Ok(code) => send_to_app(&target, &asked, &issuer, &[("code", code.as_str())]),
        Err(error) => failed(error, &target, &asked, &issuer),
    }
    .map(Page)
}
