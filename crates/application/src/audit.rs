//! The audit log: what happened that matters to security, in a chain of hashes.
//!
//! Acts are recorded by the use cases that do them, in the transaction of the act ([`crate::Caller::record`]). What is
//! refused is counted by [`Refusals`] first, so that nobody can fill the log by asking again and again.

pub mod archive;
pub mod chain;
mod error;
mod refusals;
mod service;

pub use error::AuditError;
pub use refusals::Refusals;
pub use service::{Archived, AuditQuery, AuditService};
