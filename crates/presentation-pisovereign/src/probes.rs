//! Whether the server lives and can work. Public, so probes are shared among those who ask at the same time.

use actix_web::web;
use majordomo_application::operations::{HealthReport, Probe};
use majordomo_presentation_http::openapi::{OneOf, Reply};
use majordomo_presentation_http::{ApiError, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

use crate::VERSION;
use crate::metrics::percentiles::{LatencyPercentiles, latency_percentiles};

/// The server lives.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HealthResponse {
    /// Always `ok`.
    status: &'static str,
    /// The server's version.
    version: &'static str,
    /// The server's time; RFC 3339, UTC.
    timestamp: String,
    /// How the server was installed: `docker`, or `runtime-dir` for a program in a folder.
    #[serde(rename = "installMode")]
    install_mode: &'static str,
}

/// GET /health: Liveness probe
///
/// 200 while the process can answer.
#[api_v2_operation(tags(Health), operation_id = "health")]
pub(crate) async fn health(services: web::Data<Services>) -> Reply<HealthResponse> {
    Reply(HealthResponse {
        status: "ok",
        version: VERSION,
        timestamp: services.health.now().to_rfc3339(),
        install_mode: if services.health.is_in_container() {
            "docker"
        } else {
            "runtime-dir"
        },
    })
}

/// Whether the server can work.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReadyResponse {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// The default model's provider.
    inference: InferenceHealth,
}

/// How the default model's provider answered.
#[derive(Serialize, JsonSchema)]
struct InferenceHealth {
    /// Whether it answered.
    healthy: bool,
    /// The default model.
    model: String,
    /// How long it took, in milliseconds.
    latency_ms: u64,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// 200 when the server can work, 503 when not, with the same body.
type Readiness<T> = OneOf<Reply<T>, Reply<T, 503>>;

fn readiness<T>(ready: bool, body: T) -> Readiness<T> {
    if ready {
        OneOf::First(Reply(body))
    } else {
        OneOf::Second(Reply(body))
    }
}

const fn status(ready: bool) -> &'static str {
    if ready { "ready" } else { "not_ready" }
}

async fn report(services: web::Data<Services>, kernel: &Kernel) -> Result<HealthReport, ApiError> {
    let check = async move { services.health.check_recent().await };
    Ok(kernel.core().join(check).await?)
}

/// GET /ready: Readiness probe
///
/// 503 while the model's provider or the database does not answer.
#[api_v2_operation(tags(Health), operation_id = "ready")]
pub(crate) async fn ready(
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
) -> Result<Readiness<ReadyResponse>, ApiError> {
    let report = report(services, &kernel).await?;
    let ready = report.is_ready();
    let body = ReadyResponse {
        status: status(ready),
        inference: InferenceHealth {
            healthy: report.inference.healthy,
            model: report.model.to_string(),
            latency_ms: milliseconds(&report.inference),
            error: report.inference.error,
        },
    };
    Ok(readiness(ready, body))
}

/// Whether the server and what it works with can work.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReadyAllResponse {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// Every part.
    services: PartsHealth,
    /// How long this server took to answer its requests.
    latency_percentiles: LatencyPercentiles,
}

/// Every part. Only the first two decide.
#[derive(Serialize, JsonSchema)]
struct PartsHealth {
    inference: PartHealth,
    database: PartHealth,
    cache: PartHealth,
    whatsapp: PartHealth,
    email: PartHealth,
    calendar: PartHealth,
    weather: PartHealth,
}

/// How one part answered.
#[derive(Serialize, JsonSchema)]
struct PartHealth {
    /// Whether it answered; a part that is not configured has nothing to answer and counts as healthy.
    healthy: bool,
    /// `false` for a part that is not configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    configured: Option<bool>,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl PartHealth {
    fn probed(probe: Probe) -> Self {
        Self {
            healthy: probe.healthy,
            configured: None,
            latency_ms: Some(milliseconds(&probe)),
            error: probe.error,
        }
    }

    const NOT_CONFIGURED: Self = Self {
        healthy: true,
        configured: Some(false),
        latency_ms: None,
        error: None,
    };
}

/// GET /ready/all: Readiness probe with every part
///
/// 503 while the model's provider or the database does not answer.
#[api_v2_operation(tags(Health), operation_id = "ready_all")]
pub(crate) async fn ready_all(
    services: web::Data<Services>,
    kernel: web::Data<Kernel>,
) -> Result<Readiness<ReadyAllResponse>, ApiError> {
    let report = report(services, &kernel).await?;
    let ready = report.is_ready();
    let body = ReadyAllResponse {
        status: status(ready),
        services: PartsHealth {
            inference: PartHealth::probed(report.inference),
            database: PartHealth::probed(report.database),
            cache: PartHealth::NOT_CONFIGURED,
            whatsapp: PartHealth::NOT_CONFIGURED,
            email: PartHealth::NOT_CONFIGURED,
            calendar: PartHealth::NOT_CONFIGURED,
            weather: PartHealth::NOT_CONFIGURED,
        },
        latency_percentiles: latency_percentiles(&kernel.metrics().snapshot()),
    };
    Ok(readiness(ready, body))
}

fn milliseconds(probe: &Probe) -> u64 {
    u64::try_from(probe.latency.as_millis()).unwrap_or(u64::MAX)
}
