//! The in-memory store against the contract suites, and the other doubles against what they promise.

mod contract;
mod failing;
mod hashing_embedder;
mod scripted_model;
mod small_doubles;
