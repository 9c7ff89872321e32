//! What tests of every crate share: in-memory and failing ports, a clock that stands still, predictable ids, a scripted
//! model, ready-made rows, and the contract suites that every storage backend passes. A dev-dependency only.

pub mod builders;
pub mod contract;
pub mod fold;
pub mod in_memory;
