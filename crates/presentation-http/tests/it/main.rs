//! The rules of the web kernel, each through the front door where there is one.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is not as expected fails the test"
)]

mod addresses;
mod bodies;
mod bypass;
mod core;
mod credentials;
mod documents;
mod failures;
mod head;
mod headers;
mod origins;
mod positions;
mod rate_limits;
mod streams;
mod support;
