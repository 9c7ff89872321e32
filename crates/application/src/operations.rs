//! What the operator sees: health, errors, status, and what the agent does.

mod activity;
mod errors;
mod health;
mod machine;
mod status;

pub use activity::{ActivityState, AgentActivity, SessionActivity};
pub use errors::{DisabledErrorLog, ErrorLogError, ErrorQuery};
pub use health::{CheckResult, HealthReport, HealthService, HealthStatus, Probe};
pub use machine::{MachineLoad, MachineStatus};
pub use status::SystemStatus;
