//! Every service path over in-memory ports: no network, no disk, a clock that stands still.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod asking;
mod audit;
mod bounds;
mod commands;
mod embedding;
mod embeddings;
mod events;
mod extraction;
mod fairness;
mod faults;
mod meanwhile;
mod memory;
mod models;
mod operations;
mod people;
mod recall;
mod recovery;
mod sessions;
mod settings;
mod support;
mod turns;
mod usage;
