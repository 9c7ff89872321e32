//! API keys of the user who asks.

use std::sync::Arc;

use actix_web::web;
use majordomo_application::access::{AccessError, CreateApiKey, KeyPrefix};
use majordomo_domain::{ApiKey, ApiKeyId, Scope, Timestamp};
use majordomo_presentation_http::openapi::{Body, PathParams, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::bad_request;

/// A key to make.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CreateApiKeyRequest {
    /// What the user calls it.
    #[serde(rename = "keyName")]
    #[schemars(required, with = "String", length(max = 100), regex(pattern = r"\S"))]
    key_name: Option<String>,
    /// The same under another name.
    #[schemars(skip)]
    name: Option<String>,
}

/// Whether a key is to work.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ToggleApiKeyRequest {
    /// Whether it works.
    #[serde(rename = "isActive")]
    #[schemars(required, with = "bool")]
    camel: Option<bool>,
    /// The same under another name.
    #[serde(rename = "is_active")]
    #[schemars(skip)]
    snake: Option<bool>,
}

/// A key just made, in the words of newer clients.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CreatedApiKey {
    /// Names the key.
    id: String,
    /// What the user calls it.
    #[serde(rename = "keyName")]
    key_name: String,
    /// The key itself.
    #[serde(rename = "apiKey")]
    api_key: String,
}

/// A key just made: the only time it is seen.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CreatedApiKeyResponse {
    /// Always `true`.
    success: bool,
    /// Names the key.
    id: String,
    /// What the user calls it.
    key_name: String,
    /// The key itself.
    api_key: String,
    /// When it was made.
    created_at: String,
    /// When it was last used: never.
    last_used: Option<String>,
    /// Always 1.
    is_active: u8,
    #[serde(rename = "apiKey")]
    created: CreatedApiKey,
}

/// A key as it is remembered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ApiKeyResponse {
    /// Names the key.
    id: String,
    /// What the user calls it.
    key_name: String,
    /// The key's first characters.
    api_key: String,
    /// When it was made.
    created_at: String,
    /// When it was last used, to within a minute.
    last_used: Option<String>,
    /// 1 when it works, else 0.
    is_active: u8,
}

/// The keys of the user who asks, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ApiKeysResponse {
    #[serde(rename = "apiKeys")]
    api_keys: Vec<ApiKeyResponse>,
}

/// It worked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SuccessResponse {
    /// Always `true`.
    success: bool,
}

/// Characters of a key that are shown.
const SHOWN: usize = 10;

impl From<ApiKey> for ApiKeyResponse {
    fn from(key: ApiKey) -> Self {
        let shown: String = key.prefix.chars().take(SHOWN).collect();
        Self {
            id: key.id.into_string(),
            key_name: key.name,
            api_key: format!("{shown}..."),
            created_at: key.created_at.to_rfc3339(),
            last_used: key.last_used_at.map(Timestamp::to_rfc3339),
            is_active: u8::from(key.enabled),
        }
    }
}

/// An id that cannot be one names no key.
fn key_id(text: &str) -> Result<ApiKeyId, AccessError> {
    ApiKeyId::parse(text).map_err(|_| AccessError::KeyNotFound)
}

fn in_own_words(error: ApiError) -> ApiError {
    match error.code() {
        "api_key_not_found" => error.with_message("API key not found"),
        _ => error,
    }
}

/// GET /api/settings/api-keys: the keys of the user who asks
#[api_v2_operation(tags(Authentication), operation_id = "list_api_keys")]
pub(crate) async fn list_api_keys(
    Authenticated(caller): Authenticated,
    kernel: web::Data<Kernel>,
    services: web::Data<Services>,
) -> Result<Reply<ApiKeysResponse>, ApiError> {
    let access = Arc::clone(&services.access);
    let keys = kernel
        .core()
        .run(async move { access.list_keys(&caller).await })
        .await?;
    let kept = keys.into_iter().filter(|key| key.revoked_at.is_none());
    Ok(Reply(ApiKeysResponse {
        api_keys: kept.map(ApiKeyResponse::from).collect(),
    }))
}

/// POST /api/settings/api-keys: makes a key, which is shown this once
///
/// The key may do what the user who asks may do, but never administer.
#[api_v2_operation(tags(Authentication), operation_id = "create_api_key")]
pub(crate) async fn create_api_key(
    Authenticated(caller): Authenticated,
    kernel: web::Data<Kernel>,
    services: web::Data<Services>,
    body: Body<CreateApiKeyRequest>,
) -> Result<Reply<CreatedApiKeyResponse>, ApiError> {
    let name = body.0.key_name.or(body.0.name).unwrap_or_default();
    if name.trim().is_empty() {
        return Err(bad_request("Key name is required"));
    }
    let own = caller.scopes;
    let scopes = Scope::ALL
        .into_iter()
        .filter(|scope| *scope != Scope::Admin && own.allows(*scope));
    let request = CreateApiKey {
        name,
        scopes: scopes.map(|scope| scope.as_str().to_owned()).collect(),
        prefix: KeyPrefix::Pixcode,
        ..CreateApiKey::default()
    };
    let access = Arc::clone(&services.access);
    let issued = kernel
        .core()
        .run(async move { access.create_key(&caller, request).await })
        .await?;
    let (secret, key) = (issued.secret, issued.key);
    Ok(Reply(CreatedApiKeyResponse {
        success: true,
        id: key.id.as_str().to_owned(),
        key_name: key.name.clone(),
        api_key: secret.clone(),
        created_at: key.created_at.to_rfc3339(),
        last_used: None,
        is_active: 1,
        created: CreatedApiKey {
            id: key.id.into_string(),
            key_name: key.name,
            api_key: secret,
        },
    }))
}

/// DELETE /api/settings/api-keys/{id}: ends a key for good
#[api_v2_operation(tags(Authentication), operation_id = "delete_api_key")]
pub(crate) async fn delete_api_key(
    Authenticated(caller): Authenticated,
    kernel: web::Data<Kernel>,
    services: web::Data<Services>,
    id: PathParams<String>,
) -> Result<Reply<SuccessResponse>, ApiError> {
    let access = Arc::clone(&services.access);
    kernel
        .core()
        .run(async move { access.revoke_key(&caller, &key_id(&id.0)?).await })
        .await
        .map_err(in_own_words)?;
    Ok(Reply(SuccessResponse { success: true }))
}

/// PATCH /api/settings/api-keys/{id}/toggle: switches a key on or off
#[api_v2_operation(tags(Authentication), operation_id = "toggle_api_key")]
pub(crate) async fn toggle_api_key(
    Authenticated(caller): Authenticated,
    kernel: web::Data<Kernel>,
    services: web::Data<Services>,
    id: PathParams<String>,
    body: Body<ToggleApiKeyRequest>,
) -> Result<Reply<SuccessResponse>, ApiError> {
    let enabled = body.0.camel.or(body.0.snake);
    let enabled = enabled.ok_or_else(|| bad_request("isActive must be a boolean"))?;
    let access = Arc::clone(&services.access);
    kernel
        .core()
        .run(async move {
            let id = key_id(&id.0)?;
            access.set_key_enabled(&caller, &id, enabled).await
        })
        .await
        .map_err(in_own_words)?;
    Ok(Reply(SuccessResponse { success: true }))
}
