//! The dialect over real services, with models that say what the test wrote down.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected fails at once"
)]

mod agent;
mod document;
mod embeddings;
mod failures;
mod models;
mod relay;
mod resume;
mod support;
mod translation;
