//! The files that say who the agent is.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use majordomo_application::settings::{IdentityFile, IdentityFiles};
use majordomo_presentation_http::openapi::{Body, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, ErrorClass, Kernel, Services};
use paperclip::actix::{OperationModifier, api_v2_operation};
use paperclip::v2::models::DefaultOperationRaw;
use paperclip::v2::schema::Apiv2Schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fails::Fails;

/// The files, as the agent is told of them in conversations with the caller.
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct IdentityResponse {
    /// `IDENTITY.md`: the agent's instructions.
    identity_file: String,
    /// `SOUL.md`: its character and values.
    soul_file: String,
    /// `STYLE.md`: how it writes.
    style_file: String,
    /// `INSTRUCTIONS.md`: rules of work.
    instructions_file: String,
    /// `USER.md`: what it knows of the caller.
    user_file: String,
}

/// Files to replace.
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ChangeIdentityRequest {
    /// `IDENTITY.md`; empty for the text of the configuration.
    #[schemars(length(max = 20_000))]
    identity_file: Option<String>,
    /// `SOUL.md`.
    #[schemars(length(max = 20_000))]
    soul_file: Option<String>,
    /// `STYLE.md`.
    #[schemars(length(max = 20_000))]
    style_file: Option<String>,
    /// `INSTRUCTIONS.md`.
    #[schemars(length(max = 20_000))]
    instructions_file: Option<String>,
    /// `USER.md`.
    #[schemars(length(max = 20_000))]
    user_file: Option<String>,
}

/// As [`ChangeIdentityRequest`]; for the dashboard what is no JSON is a 400.
pub(crate) struct DashboardBody(ChangeIdentityRequest);

impl FromRequest for DashboardBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = Body::<ChangeIdentityRequest>::from_request(request, payload);
        Box::pin(async move {
            body.await
                .map(|Body(body)| Self(body))
                .map_err(|error| match error.class() {
                    class @ ErrorClass::Malformed => {
                        ApiError::new(class, "bad_request", "Invalid JSON payload")
                            .with_status(StatusCode::BAD_REQUEST)
                    }
                    _ => error,
                })
        })
    }
}

impl Apiv2Schema for DashboardBody {}

impl OperationModifier for DashboardBody {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        Body::<ChangeIdentityRequest>::update_parameter(operation);
    }
}

/// What was replaced.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct IdentityChangedResponse {
    /// Always `true`.
    ok: bool,
    /// Names of the replaced files.
    updated: Vec<&'static str>,
    /// What the user should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    warnings: Vec<String>,
}

impl From<IdentityFiles> for IdentityResponse {
    fn from(mut files: IdentityFiles) -> Self {
        let mut take = |file| files.remove(&file).unwrap_or_default();
        Self {
            identity_file: take(IdentityFile::Identity),
            soul_file: take(IdentityFile::Soul),
            style_file: take(IdentityFile::Style),
            instructions_file: take(IdentityFile::Instructions),
            user_file: take(IdentityFile::User),
        }
    }
}

impl From<ChangeIdentityRequest> for IdentityFiles {
    fn from(request: ChangeIdentityRequest) -> Self {
        let files = [
            (IdentityFile::Identity, request.identity_file),
            (IdentityFile::Soul, request.soul_file),
            (IdentityFile::Style, request.style_file),
            (IdentityFile::Instructions, request.instructions_file),
            (IdentityFile::User, request.user_file),
        ];
        files
            .into_iter()
            .filter_map(|(file, text)| Some((file, text?)))
            .collect()
    }
}

async fn read(
    Authenticated(caller): Authenticated,
    kernel: &Kernel,
    services: &Services,
) -> Result<Reply<IdentityResponse>, ApiError> {
    let settings = Arc::clone(&services.settings);
    let files = kernel
        .core()
        .run(async move { settings.identity(&caller) })
        .await?;
    Ok(Reply(files.into()))
}

async fn replace(
    Authenticated(caller): Authenticated,
    kernel: &Kernel,
    services: &Services,
    request: ChangeIdentityRequest,
) -> Result<Reply<IdentityChangedResponse>, ApiError> {
    let settings = Arc::clone(&services.settings);
    let files = IdentityFiles::from(request);
    let updated = files.keys().map(|file| file.file_name()).collect();
    let report = kernel
        .core()
        .run(async move { settings.set_identity(&caller, files).await })
        .await?;
    Ok(Reply(IdentityChangedResponse {
        ok: true,
        updated,
        warnings: report.warnings,
    }))
}

/// GET /api/v1/identity: who the agent is
#[api_v2_operation(tags(Identity), operation_id = "get_identity")]
pub(crate) async fn get_identity(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<IdentityResponse>, ApiError> {
    read(caller, &kernel, &services).await
}

/// PUT /api/v1/identity: replaces some of the files, with effect from the next turn on
#[api_v2_operation(tags(Identity), operation_id = "change_identity")]
pub(crate) async fn change_identity(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<ChangeIdentityRequest>,
) -> Result<Reply<IdentityChangedResponse>, ApiError> {
    replace(caller, &kernel, &services, body.0).await
}

/// GET /api/identity: who the agent is
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_get_identity")]
pub(crate) async fn dashboard_identity(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<IdentityResponse>, ApiError> {
    read(caller, &kernel, &services).await
}

/// PUT /api/identity: replaces some of the files
#[api_v2_operation(tags(Dashboard), operation_id = "dashboard_change_identity")]
pub(crate) async fn dashboard_change_identity(
    caller: Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: DashboardBody,
) -> Result<Fails<Reply<IdentityChangedResponse>, 400>, ApiError> {
    Ok(Fails(replace(caller, &kernel, &services, body.0).await?))
}
