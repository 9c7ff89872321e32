//! Every service path over in-memory ports: no network, no disk, a clock that stands still.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod commands;
mod models;
mod recovery;
mod sessions;
mod support;
mod turns;
