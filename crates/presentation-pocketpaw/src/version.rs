//! Which server this is.

use majordomo_presentation_http::openapi::Reply;
use majordomo_presentation_http::{ApiError, Authenticated};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

/// What this server is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VersionResponse {
    /// The server's version.
    version: &'static str,
    /// Empty: nothing here runs on Python.
    python: &'static str,
    /// What answers chats.
    agent_backend: &'static str,
}

/// Whether a newer server is known.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UpdateResponse {
    /// The server's version.
    current: &'static str,
    /// The newest version known. This server asks nobody, so it is its own.
    latest: &'static str,
    /// Always false, for the same reason.
    update_available: bool,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// GET /api/v1/version: the server's version
#[api_v2_operation(tags(System), operation_id = "version")]
pub(crate) async fn version(_caller: Authenticated) -> Result<Reply<VersionResponse>, ApiError> {
    Ok(Reply(VersionResponse {
        version: VERSION,
        python: "",
        agent_backend: "majordomo",
    }))
}

/// GET /api/version: whether a newer server is known
#[api_v2_operation(tags(System), operation_id = "dashboard_version")]
pub(crate) async fn dashboard_version(
    _caller: Authenticated,
) -> Result<Reply<UpdateResponse>, ApiError> {
    Ok(Reply(UpdateResponse {
        current: VERSION,
        latest: VERSION,
        update_available: false,
    }))
}
