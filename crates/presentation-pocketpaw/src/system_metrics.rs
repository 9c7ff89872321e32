//! What of the machine is in use.

use std::sync::Arc;

use actix_web::web::Data;
use majordomo_application::operations::{MachineLoad, MachineStatus};
use majordomo_application::ports::{Battery, Capacity};
use majordomo_presentation_http::openapi::Reply;
use majordomo_presentation_http::{ApiError, Authenticated, Kernel, Services};
use paperclip::actix::api_v2_operation;
use schemars::JsonSchema;
use serde::Serialize;

use crate::wire::wire_time;

/// The machine.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum SystemMetricsResponse {
    /// What is in use.
    Measured(Box<Measured>),
    /// Where the system does not tell.
    Unmeasured(Unmeasured),
}

/// A machine whose system tells nothing.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Unmeasured {
    /// Always false.
    available: bool,
    /// The operating system.
    os: &'static str,
    /// The processor's family.
    arch: &'static str,
    /// Why nothing is told.
    error: &'static str,
}

/// What of the machine is in use.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Measured {
    /// Always true.
    available: bool,
    /// The operating system.
    os: &'static str,
    /// The processor's family.
    arch: &'static str,
    /// The processors.
    cpu: Processors,
    /// Memory; what caches hold counts as free.
    memory: Space,
    /// The file system the server stores in.
    disk: Space,
    /// Time since the machine started, in seconds.
    uptime_seconds: u64,
    /// Null where there is none.
    battery: Option<BatteryStatus>,
    /// When it was read.
    timestamp: String,
}

/// The processors.
#[derive(Debug, Serialize, JsonSchema)]
struct Processors {
    /// Use of all of them since this was last asked, in percent.
    percent: f64,
    /// How many there are.
    cores: u32,
    /// Clock rate of the first; null where the system does not tell.
    freq_mhz: Option<u32>,
}

/// Bytes in use, of so many.
#[derive(Debug, Serialize, JsonSchema)]
struct Space {
    /// In use.
    used_bytes: u64,
    /// All there are.
    total_bytes: u64,
    /// Share in use, in percent.
    percent: f64,
}

/// The battery.
#[derive(Debug, Serialize, JsonSchema)]
struct BatteryStatus {
    /// How full it is.
    percent: u8,
    /// Whether the machine is on mains.
    plugged: bool,
    /// How long it lasts, in seconds; null while it is charged or where the system does not tell.
    secs_left: Option<u64>,
}

impl From<Capacity> for Space {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share to one place needs no more than 53 bits of each number"
    )]
    fn from(capacity: Capacity) -> Self {
        let share = capacity.used_bytes as f64 / capacity.total_bytes.max(1) as f64;
        Self {
            used_bytes: capacity.used_bytes,
            total_bytes: capacity.total_bytes,
            percent: rounded(share * 100.0),
        }
    }
}

impl From<Battery> for BatteryStatus {
    fn from(battery: Battery) -> Self {
        Self {
            percent: battery.percent,
            plugged: battery.plugged,
            secs_left: battery.left.map(|left| left.as_secs()),
        }
    }
}

/// To one place.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn response(machine: MachineStatus) -> SystemMetricsResponse {
    let MachineStatus { os, arch, at, load } = machine;
    let Some(MachineLoad { usage, cpu_percent }) = load else {
        return SystemMetricsResponse::Unmeasured(Unmeasured {
            available: false,
            os,
            arch,
            error: "this operating system does not tell",
        });
    };
    SystemMetricsResponse::Measured(Box::new(Measured {
        available: true,
        os,
        arch,
        cpu: Processors {
            percent: rounded(cpu_percent),
            cores: usage.cores,
            freq_mhz: usage.freq_mhz,
        },
        memory: usage.memory.into(),
        disk: usage.disk.into(),
        uptime_seconds: usage.uptime.as_secs(),
        battery: usage.battery.map(Into::into),
        timestamp: wire_time(at),
    }))
}

/// GET /api/v1/metrics/system: what of the machine is in use
#[api_v2_operation(tags(System), operation_id = "system_metrics")]
pub(crate) async fn system_metrics(
    Authenticated(caller): Authenticated,
    kernel: Data<Kernel>,
    services: Data<Services>,
) -> Result<Reply<SystemMetricsResponse>, ApiError> {
    let health = Arc::clone(&services.health);
    let machine = kernel
        .core()
        .run(async move { health.machine(&caller) })
        .await?;
    Ok(Reply(response(machine)))
}
