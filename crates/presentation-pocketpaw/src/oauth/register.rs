//! Apps that introduce themselves (RFC 7591).

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::oauth::RegisterClient;
use majordomo_domain::{OAuthClient, Scope, Timestamp};
use majordomo_presentation_http::openapi::{Body, Raw, Reply};
use majordomo_presentation_http::{ApiError, Kernel, RequestContext, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::{Refusable, refuse};
use super::form::Encoding;

/// What an app says about itself. What it says more is passed over.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RegisterClientRequest {
    /// Where answers may be sent, 1 to 10 addresses.
    #[serde(default)]
    redirect_uris: Vec<String>,
    /// What users will read, at most 100 characters.
    client_name: Option<String>,
    /// What it will ask for at most, with blanks between the names.
    scope: Option<String>,
    /// Only `none`.
    token_endpoint_auth_method: Option<String>,
    /// `authorization_code`, `refresh_token`.
    grant_types: Option<Vec<String>>,
    /// Only `code`.
    response_types: Option<Vec<String>>,
}

/// An app as it is known from here on.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ClientResponse {
    /// What it calls itself in requests.
    client_id: String,
    /// Seconds since 1970.
    client_id_issued_at: i64,
    /// What users read.
    client_name: String,
    /// Where answers may be sent.
    redirect_uris: Vec<String>,
    /// What it may ask for at most.
    scope: String,
    /// Always `none`.
    token_endpoint_auth_method: &'static str,
    /// `authorization_code` and `refresh_token`.
    grant_types: [&'static str; 2],
    /// `code`.
    response_types: [&'static str; 1],
}

impl From<OAuthClient> for ClientResponse {
    fn from(client: OAuthClient) -> Self {
        let scopes: Vec<_> = client.scopes.iter().map(Scope::as_str).collect();
        let uris = client.redirect_uris.iter();
        Self {
            client_id: client.id.into_string(),
            client_id_issued_at: client.registered_at.map_or(0, Timestamp::as_secs),
            client_name: client.name,
            redirect_uris: uris.map(|uri| uri.as_str().to_owned()).collect(),
            scope: scopes.join(" "),
            token_endpoint_auth_method: "none",
            grant_types: ["authorization_code", "refresh_token"],
            response_types: ["code"],
        }
    }
}

/// POST /api/v1/oauth/register: an app introduces itself, where the operator allows it
#[api_v2_operation(tags(OAuth), operation_id = "register_client")]
pub(crate) async fn register_client(
    kernel: Data<Kernel>,
    services: Data<Services>,
    context: RequestContext,
    Body(body): Body<RegisterClientRequest>,
) -> Result<Refusable<Refusable<Raw<ClientResponse, 201>, 400>, 403>, ApiError> {
    let request = RegisterClient {
        redirect_uris: body.redirect_uris,
        client_name: body.client_name,
        scope: body.scope,
        token_endpoint_auth_method: body.token_endpoint_auth_method,
        grant_types: body.grant_types,
        response_types: body.response_types,
    };
    let (oauth, source) = (Arc::clone(&services.oauth), context.source());
    let registered = kernel
        .core()
        .run(async move { Ok::<_, ApiError>(oauth.register(request, source).await) })
        .await?;
    let answer = match registered {
        Ok(client) => Raw::from(Reply(ClientResponse::from(client))),
        Err(error) => refuse(error, Encoding::Form)?.into(),
    };
    Ok(Refusable(Refusable(answer)))
}
