//! API keys: made, listed, revoked, rotated.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use majordomo_application::access::{AccessError, CreateApiKey, IssuedApiKey, KeyPrefix};
use majordomo_domain::{ApiKey, ApiKeyId, BudgetLimit, BudgetPeriod, Scope};
use majordomo_presentation_http::openapi::{Body, Params, PathParams, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Location, Services};
use paperclip::actix::api_v2_operation;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::budgets::limit;
use crate::fails::Fails;
use crate::wire::{check_length, fault, parse_time, wire_time};

/// Longest name, in characters.
const MAX_NAME: usize = 100;

/// A key to make.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CreateApiKeyRequest {
    /// What the user calls it.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// What it may do.
    #[serde(default = "default_scopes")]
    #[schemars(with = "Vec<ScopeName>")]
    scopes: Vec<String>,
    /// When it stops working, RFC 3339; never when missing.
    #[schemars(extend("anyOf" = [{ "type": "string", "format": "date-time" }, { "type": "null" }]))]
    expires_at: Option<String>,
    /// Where its requests must come from, as addresses or CIDR ranges; anywhere when empty.
    #[serde(default)]
    #[schemars(length(max = 32), with = "Vec<AddressText>")]
    allowed_addresses: Vec<String>,
    /// The models it may ask, as `provider/model`, `provider/*` or `model`; all when empty.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        inner(
            length(max = 200),
            regex(
                pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
            )
        )
    )]
    allowed_models: Vec<String>,
    /// How many requests it may send a minute; the server's default when missing.
    requests_per_minute: Option<NonZeroU32>,
    /// How much it may spend; the server's default when missing.
    #[serde(default)]
    budget: KeyBudget,
}

/// How much a key may spend in each period. Whoever does not administer the server sets no more than the default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct KeyBudget {
    /// In each day of UTC.
    day: Option<SpendingLimit>,
    /// In each month of UTC.
    month: Option<SpendingLimit>,
}

/// How much may be spent.
#[derive(Debug, Deserialize, JsonSchema)]
struct SpendingLimit {
    /// Most US dollars; no limit when missing.
    #[schemars(range(min = 0, max = 900_000_000))]
    max_usd: Option<f64>,
    /// Most tokens; no limit when missing. With neither, the default of the settings is lifted.
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    max_tokens: Option<u64>,
}

/// A scope's name, for the document.
struct ScopeName;

impl JsonSchema for ScopeName {
    fn schema_name() -> Cow<'static, str> {
        "ScopeName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Scope::ALL.map(Scope::as_str) })
    }
}

/// An address or CIDR range, for the document.
struct AddressText;

impl JsonSchema for AddressText {
    fn schema_name() -> Cow<'static, str> {
        "AddressRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let cidr = r"^(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])(\.(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}/(\d|[12]\d|3[0-2])$";
        json_schema!({
            "type": "string",
            "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }, { "pattern": cidr }]
        })
    }
}

/// How a key is replaced.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct RotateParams {
    /// How long the old key goes on working, in seconds, a week at most.
    #[serde(default)]
    #[schemars(range(min = 0, max = 604_800))]
    overlap_seconds: u32,
}

fn default_scopes() -> Vec<String> {
    [Scope::Chat, Scope::Sessions]
        .map(|scope| scope.as_str().to_owned())
        .into()
}

/// A key just made: the only time it is seen.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CreatedApiKeyResponse {
    /// The key itself.
    key: String,
    /// Names the key.
    id: String,
    /// What the user calls it.
    name: String,
    /// The key's first characters.
    prefix: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// When it was made.
    created_at: String,
    /// When it stops working.
    expires_at: Option<String>,
}

/// A key as it is remembered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ApiKeyResponse {
    /// Names the key.
    id: String,
    /// What the user calls it.
    name: String,
    /// The key's first characters.
    prefix: String,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// When it was made.
    created_at: String,
    /// When it was last used, to within a minute.
    last_used_at: Option<String>,
    /// When it stops working.
    expires_at: Option<String>,
    /// Whether it was revoked.
    revoked: bool,
    /// Whether it is switched on.
    enabled: bool,
    /// Where its requests must come from; anywhere when empty.
    allowed_addresses: Vec<String>,
    /// The models it may ask; all when empty.
    allowed_models: Vec<String>,
    /// How many requests it may send a minute; the server's default when missing.
    requests_per_minute: Option<NonZeroU32>,
}

/// It worked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatusResponse {
    /// Always `ok`.
    pub(crate) status: &'static str,
}

impl TryFrom<CreateApiKeyRequest> for CreateApiKey {
    type Error = ApiError;

    fn try_from(request: CreateApiKeyRequest) -> Result<Self, ApiError> {
        check_length("name", &request.name, MAX_NAME)?;
        let expires_at = match request.expires_at {
            None => None,
            Some(text) => Some(parse_time(&text).ok_or_else(|| {
                let words = "Input should be a time such as 2026-02-07T10:30:00Z";
                fault(Location::Body, "expires_at", "datetime_parsing", words)
            })?),
        };
        Ok(Self {
            name: request.name,
            scopes: request.scopes,
            expires_at,
            prefix: KeyPrefix::PocketPaw,
            allowed_addresses: request.allowed_addresses,
            allowed_models: request.allowed_models,
            requests_per_minute: request.requests_per_minute,
            budgets: request.budget.read()?,
        })
    }
}

impl KeyBudget {
    fn read(self) -> Result<Vec<(BudgetPeriod, BudgetLimit)>, ApiError> {
        [
            (BudgetPeriod::Day, self.day),
            (BudgetPeriod::Month, self.month),
        ]
        .into_iter()
        .filter_map(|(period, given)| Some((period, given?)))
        .map(|(period, given)| {
            let place = format!("budget.{period}.");
            Ok((period, limit(&place, given.max_usd, given.max_tokens)?))
        })
        .collect()
    }
}

fn scopes_of(key: &ApiKey) -> Vec<&'static str> {
    key.scopes.iter().map(Scope::as_str).collect()
}

impl From<IssuedApiKey> for CreatedApiKeyResponse {
    fn from(IssuedApiKey { secret, key }: IssuedApiKey) -> Self {
        Self {
            key: secret,
            scopes: scopes_of(&key),
            id: key.id.into_string(),
            name: key.name,
            prefix: key.prefix,
            created_at: wire_time(key.created_at),
            expires_at: key.expires_at.map(wire_time),
        }
    }
}

impl From<ApiKey> for ApiKeyResponse {
    fn from(key: ApiKey) -> Self {
        Self {
            scopes: scopes_of(&key),
            id: key.id.into_string(),
            name: key.name,
            prefix: key.prefix,
            created_at: wire_time(key.created_at),
            last_used_at: key.last_used_at.map(wire_time),
            expires_at: key.expires_at.map(wire_time),
            revoked: key.revoked_at.is_some(),
            enabled: key.enabled,
            allowed_addresses: key
                .limits
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect(),
            allowed_models: key.limits.models.clone(),
            requests_per_minute: key.limits.requests_per_minute,
        }
    }
}

/// An id that cannot be one names no key.
fn key_id(text: &str) -> Result<ApiKeyId, AccessError> {
    ApiKeyId::parse(text).map_err(|_| AccessError::KeyNotFound)
}

/// POST /api/v1/auth/api-keys: makes a key, which is shown this once
#[api_v2_operation(tags(Auth), operation_id = "create_api_key")]
pub(crate) async fn create_api_key(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<CreateApiKeyRequest>,
) -> Result<Fails<Reply<CreatedApiKeyResponse>, 400>, ApiError> {
    let request = CreateApiKey::try_from(body.0)?;
    let access = Arc::clone(&services.access);
    let issued = kernel
        .core()
        .run(async move { access.create_key(&caller, request).await })
        .await
        .map_err(|error| match error.code() {
            "invalid_scopes" => error.with_status(StatusCode::BAD_REQUEST),
            _ => error,
        })?;
    Ok(Fails(Reply(issued.into())))
}

/// GET /api/v1/auth/api-keys: the caller's keys, revoked ones included
#[api_v2_operation(tags(Auth), operation_id = "list_api_keys")]
pub(crate) async fn list_api_keys(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<Vec<ApiKeyResponse>>, ApiError> {
    let access = Arc::clone(&services.access);
    let keys = kernel
        .core()
        .run(async move { access.list_keys(&caller).await })
        .await?;
    Ok(Reply(keys.into_iter().map(Into::into).collect()))
}

/// DELETE /api/v1/auth/api-keys/{id}: revokes a key
#[api_v2_operation(tags(Auth), operation_id = "revoke_api_key")]
pub(crate) async fn revoke_api_key(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
) -> Result<Reply<StatusResponse>, ApiError> {
    let access = Arc::clone(&services.access);
    kernel
        .core()
        .run(async move { access.revoke_key(&caller, &key_id(&id.0)?).await })
        .await?;
    Ok(Reply(StatusResponse { status: "ok" }))
}

/// POST /api/v1/auth/api-keys/{id}/rotate: replaces a key by a new one with the same name, scopes, expiry and limits
#[api_v2_operation(tags(Auth), operation_id = "rotate_api_key")]
pub(crate) async fn rotate_api_key(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    id: PathParams<String>,
    params: Params<RotateParams>,
) -> Result<Reply<CreatedApiKeyResponse>, ApiError> {
    let overlap = Duration::from_secs(u64::from(params.0.overlap_seconds));
    let access = Arc::clone(&services.access);
    let issued = kernel
        .core()
        .run(async move { access.rotate_key(&caller, &key_id(&id.0)?, overlap).await })
        .await?;
    Ok(Reply(issued.into()))
}
