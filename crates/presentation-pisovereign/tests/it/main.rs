//! The dialect over real services with ports in memory: exact answers, failures, streams.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is not as expected fails the test"
)]

mod chat;
mod documents;
mod failures;
mod memories;
mod metrics;
mod probes;
mod streams;
mod support;
mod system;
