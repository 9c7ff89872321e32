//! The audit log: what happened that matters to security, in a chain of hashes.

pub mod chain;
