//! Codes and refresh tokens become tokens, and tokens are given back.

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::oauth::{ExchangeCode, IssuedTokens, OAuthError, RefreshTokens};
use majordomo_domain::Scope;
use majordomo_presentation_http::openapi::{Raw, Reply};
use majordomo_presentation_http::{ApiError, Kernel, Location, RequestContext, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::{Refusable, refuse};
use super::form::{Encoding, FormOrJson};
use crate::wire::fault;

/// What is exchanged.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct TokenRequest {
    /// `authorization_code` or `refresh_token`.
    #[schemars(required, regex(pattern = "^(authorization_code|refresh_token)$"))]
    grant_type: Option<String>,
    /// The code, for `authorization_code`.
    code: Option<String>,
    /// The proof key that the code's challenge was made of.
    code_verifier: Option<String>,
    /// Which app it is.
    client_id: Option<String>,
    /// Where the code was sent.
    redirect_uri: Option<String>,
    /// The refresh token, for `refresh_token`.
    refresh_token: Option<String>,
    /// What the new access token may do, when it is to be less than what was granted.
    scope: Option<String>,
}

/// Tokens.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TokenResponse {
    /// Shown with requests.
    access_token: String,
    /// Exchanged for new tokens, once.
    refresh_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds the access token works.
    expires_in: u64,
    /// What the access token may do, with blanks between the names.
    scope: String,
}

/// What is given back.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RevokeRequest {
    /// A token of either kind.
    #[schemars(required)]
    token: Option<String>,
}

/// Whether there was anything to end.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RevokeResponse {
    /// False when the token opened nothing anyway.
    revoked: bool,
}

impl From<IssuedTokens> for TokenResponse {
    fn from(issued: IssuedTokens) -> Self {
        let scopes: Vec<_> = issued.scopes.iter().map(Scope::as_str).collect();
        Self {
            access_token: issued.access_token,
            refresh_token: issued.refresh_token,
            token_type: "Bearer",
            expires_in: issued.lifetime.as_secs(),
            scope: scopes.join(" "),
        }
    }
}

/// What an exchange needs.
enum Exchange {
    Code(ExchangeCode),
    Refresh(RefreshTokens),
}

impl TokenRequest {
    fn read(self) -> Result<Exchange, OAuthError> {
        let given = |field: Option<String>| field.filter(|text| !text.is_empty());
        match self.grant_type.as_deref() {
            Some("authorization_code") => {
                let needed = (
                    given(self.code),
                    given(self.code_verifier),
                    given(self.client_id),
                );
                let (Some(code), Some(code_verifier), Some(client_id)) = needed else {
                    let words = "code, code_verifier, and client_id are required";
                    return Err(OAuthError::InvalidRequest(words));
                };
                Ok(Exchange::Code(ExchangeCode {
                    code,
                    code_verifier,
                    client_id,
                    redirect_uri: given(self.redirect_uri),
                }))
            }
            Some("refresh_token") => {
                let words = "refresh_token is required";
                Ok(Exchange::Refresh(RefreshTokens {
                    refresh_token: given(self.refresh_token)
                        .ok_or(OAuthError::InvalidRequest(words))?,
                    client_id: given(self.client_id),
                    scope: given(self.scope),
                }))
            }
            Some(_) => Err(OAuthError::UnsupportedGrantType),
            None => Err(OAuthError::InvalidRequest("grant_type is required")),
        }
    }
}

/// The parameter that every request needs; JSON without it is told as all JSON is.
fn missing(field: &'static str, encoding: Encoding) -> Option<ApiError> {
    let words = "Field required";
    (encoding == Encoding::Json).then(|| fault(Location::Body, field, "missing", words))
}

/// POST /api/v1/oauth/token: exchanges a code or a refresh token for new tokens
#[api_v2_operation(tags(OAuth), operation_id = "exchange_token")]
pub(crate) async fn exchange_token(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: FormOrJson<TokenRequest>,
) -> Result<Refusable<Raw<TokenResponse>, 400>, ApiError> {
    let FormOrJson { body, encoding } = request;
    if let (None, Some(error)) = (&body.grant_type, missing("grant_type", encoding)) {
        return Err(error);
    }
    let exchange = match body.read() {
        Ok(exchange) => exchange,
        Err(error) => return refuse(error, encoding).map(|refused| Refusable(refused.into())),
    };
    let (oauth, source) = (Arc::clone(&services.oauth), context.source());
    let exchanged = kernel.core().run(async move {
        Ok::<_, ApiError>(match exchange {
            Exchange::Code(code) => oauth.exchange(code, source).await,
            Exchange::Refresh(refresh) => oauth.refresh(refresh, source).await,
        })
    });
    Ok(Refusable(match exchanged.await? {
        Ok(issued) => Raw::from(Reply(TokenResponse::from(issued))),
        Err(error) => refuse(error, encoding)?.into(),
    }))
}

/// POST /api/v1/oauth/revoke: ends all access that a token belongs to; who has the token may do so
#[api_v2_operation(tags(OAuth), operation_id = "revoke_token")]
pub(crate) async fn revoke_token(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: FormOrJson<RevokeRequest>,
) -> Result<Refusable<Raw<RevokeResponse>, 400>, ApiError> {
    let FormOrJson { body, encoding } = request;
    let Some(token) = body.token else {
        let error = OAuthError::InvalidRequest("token is required");
        return match missing("token", encoding) {
            Some(error) => Err(error),
            None => refuse(error, encoding).map(|refused| Refusable(refused.into())),
        };
    };
    let (oauth, source) = (Arc::clone(&services.oauth), context.source());
    let revoked = kernel
        .core()
        .run(async move { oauth.revoke(&token, source).await })
        .await?;
    Ok(Refusable(Raw::from(Reply(RevokeResponse { revoked }))))
}
