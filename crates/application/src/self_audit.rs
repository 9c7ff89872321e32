//! The server examines how safely it is set up: on demand, and once a day.

mod checks;
mod service;

pub use checks::{AuditChainCheck, BackupCheck, KeyCheck};
pub use service::{SelfAuditError, SelfAuditService};
