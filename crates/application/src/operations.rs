//! What the operator sees: health and status.

mod health;
mod status;

pub use health::{HealthReport, HealthService, Probe};
pub use status::SystemStatus;
