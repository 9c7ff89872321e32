//! The running server and its models.

use actix_web::web;
use majordomo_application::models::CatalogEntry;
use majordomo_presentation_http::openapi::Reply;
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

use crate::VERSION;
use crate::metrics::{rounded, share};

const BYTES_PER_MB: u64 = 1024 * 1024;

/// The running server.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SystemStatusResponse {
    /// The server's version.
    version: &'static str,
    /// How long it has run, in seconds.
    uptime_seconds: u64,
    /// `production`, or `development` for a build with debug checks.
    environment: &'static str,
    /// What it uses.
    resources: Resources,
    /// What it has done since its start.
    statistics: Statistics,
}

/// What the server uses; `null` where the system does not tell.
#[derive(Serialize, JsonSchema)]
struct Resources {
    /// Memory held, in MiB, rounded up.
    memory_used_mb: Option<u64>,
    /// Use of the processors since this was last asked, in percent; 100 is one processor.
    cpu_percent: Option<f64>,
    /// Size of the database, in MiB, rounded up.
    database_size_mb: Option<u64>,
}

/// What the server has done since its start.
#[derive(Serialize, JsonSchema)]
struct Statistics {
    /// HTTP requests answered.
    requests_total: u64,
    /// Model calls.
    inference_requests: u64,
    /// Share of the tokens read that model providers had cached, 0.0 to 1.0.
    cache_hit_rate: f64,
}

/// GET /v1/system/status: System status and resource usage
#[api_v2_operation(tags(System), operation_id = "system_status")]
pub(crate) async fn system_status(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
) -> Result<Reply<SystemStatusResponse>, ApiError> {
    let inference = services.inference.read();
    let status = async move { services.health.status(&caller).await };
    let status = kernel.core().run(status).await?;
    let in_mb = |bytes: u64| bytes.div_ceil(BYTES_PER_MB);
    Ok(Reply(SystemStatusResponse {
        version: VERSION,
        uptime_seconds: status.uptime.as_secs(),
        environment: status.environment,
        resources: Resources {
            memory_used_mb: status.resident_bytes.map(in_mb),
            cpu_percent: status.cpu_percent.map(rounded),
            database_size_mb: status.database_bytes.map(in_mb),
        },
        statistics: Statistics {
            requests_total: kernel.metrics().snapshot().total,
            inference_requests: inference.succeeded + inference.failed,
            cache_hit_rate: share(inference.cached_input_tokens, inference.input_tokens),
        },
    }))
}

/// The models on offer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SystemModelsResponse {
    models: Vec<SystemModel>,
}

/// A model.
#[derive(Serialize, JsonSchema)]
struct SystemModel {
    /// What `/v1/chat` takes as `model`: `provider/model`.
    id: String,
    /// Its name at its provider.
    name: String,
    /// Number of parameters as its provider words it; `null` where it does not tell.
    parameters: Option<String>,
    /// Context window in tokens; `null` where it is not known.
    context_length: Option<u64>,
    /// Whether it answers when no model is named.
    default: bool,
}

impl From<CatalogEntry> for SystemModel {
    fn from(entry: CatalogEntry) -> Self {
        Self {
            id: entry.model.to_string(),
            name: entry.model.model,
            parameters: entry.info.parameters,
            context_length: entry.info.context_length,
            default: entry.is_default,
        }
    }
}

/// GET /v1/system/models: List available models
#[api_v2_operation(tags(System), operation_id = "list_system_models")]
pub(crate) async fn list_system_models(
    Authenticated(caller): Authenticated,
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
) -> Result<Reply<SystemModelsResponse>, ApiError> {
    let models = async move { services.models.offered(&caller).await };
    let models = kernel.core().run_cancellable(models).await?;
    Ok(Reply(SystemModelsResponse {
        models: models.into_iter().map(SystemModel::from).collect(),
    }))
}
