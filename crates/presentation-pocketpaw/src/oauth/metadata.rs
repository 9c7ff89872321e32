//! What apps can find out about this server by themselves: RFC 8414 and RFC 9728.

use actix_web::HttpRequest;
use actix_web::web::Data;
use majordomo_domain::Scope;
use majordomo_presentation_http::openapi::Reply;
use majordomo_presentation_http::{ApiError, Kernel, RequestContext, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

use super::issuer::issuer;
use crate::fails::Fails;

/// An authorization server's metadata (RFC 8414).
#[derive(Serialize, JsonSchema)]
pub(crate) struct AuthorizationServerResponse {
    /// How the server calls itself: `iss` of its answers.
    issuer: String,
    /// Where users are sent.
    authorization_endpoint: String,
    /// Where codes and refresh tokens are exchanged.
    token_endpoint: String,
    /// Where tokens are given back.
    revocation_endpoint: String,
    /// Where apps register themselves; missing where they may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    /// Every scope there is.
    scopes_supported: Vec<&'static str>,
    /// Only `code`.
    response_types_supported: [&'static str; 1],
    /// Only `query`.
    response_modes_supported: [&'static str; 1],
    /// `authorization_code` and `refresh_token`.
    grant_types_supported: [&'static str; 2],
    /// Only `none`: apps have no secrets.
    token_endpoint_auth_methods_supported: [&'static str; 1],
    /// Only `none`.
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    /// Only `S256`.
    code_challenge_methods_supported: [&'static str; 1],
    /// Always true: RFC 9207.
    authorization_response_iss_parameter_supported: bool,
}

/// A protected resource's metadata (RFC 9728).
#[derive(Serialize, JsonSchema)]
pub(crate) struct ProtectedResourceResponse {
    /// The resource: this server.
    resource: String,
    /// Who gives tokens for it: this server.
    authorization_servers: [String; 1],
    /// Every scope there is.
    scopes_supported: Vec<&'static str>,
    /// Where a token may stand.
    bearer_methods_supported: [&'static str; 2],
    /// A name for people.
    resource_name: &'static str,
}

fn all_scopes() -> Vec<&'static str> {
    Scope::ALL.map(Scope::as_str).to_vec()
}

/// GET /.well-known/oauth-authorization-server: the endpoints of OAuth and what they can do
#[api_v2_operation(tags(OAuth), operation_id = "authorization_server_metadata")]
pub(crate) async fn authorization_server(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
) -> Result<Fails<Reply<AuthorizationServerResponse>, 400>, ApiError> {
    let issuer = issuer(&services.oauth, &kernel, context, &request)?;
    let endpoint = |name: &str| format!("{issuer}/api/v1/oauth/{name}");
    Ok(Fails(Reply(AuthorizationServerResponse {
        authorization_endpoint: endpoint("authorize"),
        token_endpoint: endpoint("token"),
        revocation_endpoint: endpoint("revoke"),
        registration_endpoint: services
            .oauth
            .accepts_registrations()
            .then(|| endpoint("register")),
        scopes_supported: all_scopes(),
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: ["authorization_code", "refresh_token"],
        token_endpoint_auth_methods_supported: ["none"],
        revocation_endpoint_auth_methods_supported: ["none"],
        code_challenge_methods_supported: ["S256"],
        authorization_response_iss_parameter_supported: true,
        issuer,
    })))
}

/// GET /.well-known/oauth-protected-resource: who gives tokens for this server
#[api_v2_operation(tags(OAuth), operation_id = "protected_resource_metadata")]
pub(crate) async fn protected_resource(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    request: HttpRequest,
) -> Result<Fails<Reply<ProtectedResourceResponse>, 400>, ApiError> {
    let issuer = issuer(&services.oauth, &kernel, context, &request)?;
    Ok(Fails(Reply(ProtectedResourceResponse {
        authorization_servers: [issuer.clone()],
        resource: issuer,
        scopes_supported: all_scopes(),
        bearer_methods_supported: ["header", "query"],
        resource_name: "Majordomo",
    })))
}
