//! Settings: read as one flat object, changed in any part. Secrets are set and never shown.

mod catalogue;
mod change;
mod fields;
mod model_choice;
mod shown;

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::settings::{
    SettingsError, SettingsService, SettingsUpdate, SettingsView, UpdateReport,
};
use majordomo_application::{Caller, FieldError};
use majordomo_domain::Scope;
use majordomo_presentation_http::openapi::{Body, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, ErrorClass, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::fails::Fails;
use change::{CheckedChange, in_client_words, issue};

/// Every setting by its name.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SettingsResponse(
    /// Settings by name, without secrets; `settings_status` tells what waits for a restart, what the environment decides
    /// and which secrets are set.
    Map<String, Value>,
);

/// Settings to change, by name, or the same under `settings`.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ChangeSettingsRequest(#[schemars(with = "Map<String, Value>")] Value);

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SettingsChangedResponse {
    /// Always `ok`.
    status: &'static str,
    /// What the user should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    warnings: Vec<String>,
    /// Changed settings that take effect when the server starts again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    restart_required: Vec<String>,
}

/// GET /api/v1/settings: all settings, without secrets
#[api_v2_operation(tags(Settings), operation_id = "get_settings")]
pub(crate) async fn get_settings(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<SettingsResponse>, ApiError> {
    let shown = shown_to(&kernel, &services, caller, Reach::All).await?;
    Ok(Reply(SettingsResponse(shown)))
}

/// What a caller is shown.
async fn shown_to(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    reach: Reach,
) -> Result<Map<String, Value>, ApiError> {
    let settings = Arc::clone(&services.settings);
    let view = kernel
        .core()
        .run(async move { reach.view(&settings, &caller).await })
        .await?;
    Ok(shown::shown(&view))
}

/// Which settings a request is about.
#[derive(Debug, Clone, Copy)]
enum Reach {
    /// All of them, with their own scopes.
    All,
    /// Those kept for clients, with this scope.
    Kept(Scope),
}

impl Reach {
    async fn view(
        self,
        settings: &SettingsService,
        caller: &Caller,
    ) -> Result<SettingsView, SettingsError> {
        match self {
            Self::All => settings.view(caller).await,
            Self::Kept(scope) => settings.kept(caller, scope).await,
        }
    }

    async fn update(
        self,
        settings: &SettingsService,
        caller: &Caller,
        update: SettingsUpdate,
    ) -> Result<UpdateReport, SettingsError> {
        match self {
            Self::All => settings.update(caller, update).await,
            Self::Kept(scope) => settings.keep(caller, scope, update).await,
        }
    }

    fn may_update(self, settings: &SettingsService, caller: &Caller) -> Result<(), SettingsError> {
        match self {
            Self::All => settings.may_update(caller),
            Self::Kept(scope) => Ok(caller.require_change(scope)?),
        }
    }
}

/// What a caller with `scope` is shown of the settings named `names`, which are kept for clients.
pub(crate) async fn some_shown_to(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    scope: Scope,
    names: &[&str],
) -> Result<Map<String, Value>, ApiError> {
    let mut shown = shown_to(kernel, services, caller, Reach::Kept(scope)).await?;
    shown.retain(|name, _| names.contains(&name.as_str()));
    Ok(shown)
}

/// Changes settings that are kept for clients, of those named `names` only: others are ignored like unknown ones.
pub(crate) async fn change_some(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    request: ChangeSettingsRequest,
    scope: Scope,
    names: &[&str],
) -> Result<Fails<Reply<SettingsChangedResponse>, 403>, ApiError> {
    let mut body = request.0;
    if let Some(settings) = body.as_object_mut() {
        settings.retain(|name, _| names.contains(&name.as_str()));
    }
    change_all(kernel, services, caller, Reach::Kept(scope), body).await
}

/// PUT /api/v1/settings: changes settings, all that are named or none
///
/// Values of the wrong kind are refused with 422, settings that protect the server with 403. Unknown settings are ignored
/// and named in `warnings`.
#[api_v2_operation(tags(Settings), operation_id = "change_settings")]
pub(crate) async fn change_settings(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
    body: Body<ChangeSettingsRequest>,
) -> Result<Fails<Reply<SettingsChangedResponse>, 403>, ApiError> {
    change_all(&kernel, &services, caller, Reach::All, body.0.0).await
}

async fn change_all(
    kernel: &Kernel,
    services: &Services,
    caller: Caller,
    reach: Reach,
    body: Value,
) -> Result<Fails<Reply<SettingsChangedResponse>, 403>, ApiError> {
    let settings = Arc::clone(&services.settings);
    let changed = kernel
        .core()
        .run(async move {
            // Who may change nothing is not told what is wrong with the body.
            reach
                .may_update(&settings, &caller)
                .map_err(ApiError::from)?;
            let change = CheckedChange::parse(body)?;
            change_as(&settings, &caller, reach, change).await
        })
        .await?;
    Ok(Fails(Reply(changed)))
}

async fn change_as(
    settings: &SettingsService,
    caller: &Caller,
    reach: Reach,
    change: CheckedChange,
) -> Result<SettingsChangedResponse, ApiError> {
    let view = reach.view(settings, caller).await?;
    let (update, mut warnings) = change.into_update(&view);
    let updated = reach.update(settings, caller, update).await;
    let report = updated.map_err(told)?;
    let told = report.warnings.iter().map(|words| in_client_words(words));
    warnings.extend(told);
    let restart = report.after_restart.iter();
    Ok(SettingsChangedResponse {
        status: "ok",
        warnings,
        restart_required: restart
            .map(|key| catalogue::name_of(key).to_owned())
            .collect(),
    })
}

/// A failure with the settings' names as clients know them.
fn told(error: SettingsError) -> ApiError {
    match error {
        SettingsError::Invalid(fields) => {
            let issues = fields.iter().map(|FieldError { field, error }| {
                issue(catalogue::name_of(field), "value_error", error.as_str())
            });
            ApiError::invalid(ErrorClass::Invalid, issues.collect())
        }
        error => error.into(),
    }
}
