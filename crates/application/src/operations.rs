//! What the operator sees: health and status.

mod health;

pub use health::{HealthReport, HealthService, Probe};
