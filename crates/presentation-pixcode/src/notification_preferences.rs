//! Of what and how a user wants to be notified.

use actix_web::web::Data;
use majordomo_presentation_http::openapi::{Body, Reply};
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The name under which the preferences are kept.
const NAME: &str = "pixcode.notifications";

/// How a user is notified, and of what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NotificationPreferences {
    /// How.
    #[serde(deserialize_with = "object")]
    channels: Channels,
    /// Of what.
    #[serde(deserialize_with = "object")]
    events: Events,
}

/// Ways to be notified; what is not named is off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Channels {
    /// In the application.
    in_app: bool,
    /// By the browser, also while the application is closed.
    web_push: bool,
}

/// What a user is notified of; what is not named is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Events {
    /// The agent waits for the user.
    action_required: bool,
    /// The agent is done.
    stop: bool,
    /// Something failed.
    error: bool,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            action_required: true,
            stop: true,
            error: true,
        }
    }
}

/// The preferences from now on.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct NotificationPreferencesRequest(
    #[serde(deserialize_with = "object")] NotificationPreferences,
);

/// Reads an object as such: a list of values in the order of the fields is none.
fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let object = Map::<String, Value>::deserialize(deserializer)?;
    T::deserialize(Value::Object(object)).map_err(D::Error::custom)
}

/// The preferences as they hold.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NotificationPreferencesResponse {
    /// Always `true`.
    success: bool,
    /// The preferences.
    preferences: NotificationPreferences,
}

fn told(preferences: NotificationPreferences) -> Reply<NotificationPreferencesResponse> {
    Reply(NotificationPreferencesResponse {
        success: true,
        preferences,
    })
}

/// GET /api/settings/notification-preferences: Get notification preferences
#[api_v2_operation(tags(Settings), operation_id = "get_notification_preferences")]
pub(crate) async fn get_notification_preferences(
    Authenticated(caller): Authenticated,
    services: Data<Services>,
    kernel: Data<Kernel>,
) -> Result<Reply<NotificationPreferencesResponse>, ApiError> {
    let kept = async move { services.settings.preference(&caller, NAME).await };
    let kept = kernel.core().run_cancellable(kept).await?;
    // What cannot be read is no preference.
    let preferences = kept.and_then(|text| serde_json::from_str(&text).ok());
    Ok(told(preferences.unwrap_or_default()))
}

/// PUT /api/settings/notification-preferences: Replace notification preferences
///
/// A channel that is not named is switched off, an event that is not named is switched on.
#[api_v2_operation(tags(Settings), operation_id = "set_notification_preferences")]
pub(crate) async fn set_notification_preferences(
    Authenticated(caller): Authenticated,
    services: Data<Services>,
    kernel: Data<Kernel>,
    body: Body<NotificationPreferencesRequest>,
) -> Result<Reply<NotificationPreferencesResponse>, ApiError> {
    let preferences = body.0.0;
    let text = serde_json::json!(preferences).to_string();
    let keep = async move { services.settings.set_preference(&caller, NAME, text).await };
    kernel.core().run(keep).await?;
    Ok(told(preferences))
}
