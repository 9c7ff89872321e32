//! The apps a user lets in, and showing them out.

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::oauth::OAuthError;
use majordomo_domain::{GrantId, OAuthGrant, Scope};
use majordomo_presentation_http::openapi::{PathParams, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

use crate::wire::wire_time;

/// What a user lets an app do.
#[derive(Serialize, JsonSchema)]
pub(crate) struct GrantResponse {
    /// The grant.
    id: String,
    /// Which app.
    client_id: String,
    /// What it was called when the user agreed.
    client_name: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// When the user agreed.
    created_at: String,
    /// When it ends unless the app comes back before.
    expires_at: String,
}

/// It worked.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StatusResponse {
    /// Always `ok`.
    status: &'static str,
}

impl From<OAuthGrant> for GrantResponse {
    fn from(grant: OAuthGrant) -> Self {
        Self {
            id: grant.id.into_string(),
            client_id: grant.client.into_string(),
            client_name: grant.client_name,
            scopes: grant.scopes.iter().map(Scope::as_str).collect(),
            created_at: wire_time(grant.created_at),
            expires_at: wire_time(grant.expires_at),
        }
    }
}

/// GET /api/v1/oauth/grants: the apps the caller lets in
#[api_v2_operation(tags(OAuth), operation_id = "list_grants")]
pub(crate) async fn list_grants(
    kernel: Data<Kernel>,
    services: Data<Services>,
    Authenticated(caller): Authenticated,
) -> Result<Reply<Vec<GrantResponse>>, ApiError> {
    let oauth = Arc::clone(&services.oauth);
    let grants = kernel
        .core()
        .run(async move { oauth.grants(&caller).await })
        .await?;
    Ok(Reply(grants.into_iter().map(GrantResponse::from).collect()))
}

/// DELETE /api/v1/oauth/grants/{id}: ends all access of an app
#[api_v2_operation(tags(OAuth), operation_id = "revoke_grant")]
pub(crate) async fn revoke_grant(
    kernel: Data<Kernel>,
    services: Data<Services>,
    Authenticated(caller): Authenticated,
    PathParams(id): PathParams<String>,
) -> Result<Reply<StatusResponse>, ApiError> {
    let oauth = Arc::clone(&services.oauth);
    let revoked = async move {
        match GrantId::parse(id) {
            Ok(id) => oauth.revoke_grant(&caller, &id).await,
            Err(_) => Err(OAuthError::GrantNotFound),
        }
    };
    kernel.core().run(revoked).await?;
    Ok(Reply(StatusResponse { status: "ok" }))
}
