//! What tests of every crate share: in-memory and failing ports, a clock that stands still, predictable ids, a scripted
//! model, ready-made rows, and the contract suites that every storage backend passes. A dev-dependency only.

pub mod audit;
pub mod builders;
pub mod clock;
pub mod contract;
pub mod copying;
pub mod error_log;
pub mod failing;
pub mod fold;
pub mod hashing_embedder;
pub mod ids;
pub mod in_memory;
pub mod load;
pub mod memory;
pub mod oauth;
pub mod postgres;
pub mod scripted_model;
pub mod secrets;
pub mod settings;
pub mod tampering;
pub mod usage;

pub use clock::FixedClock;
pub use contract::Stores;
pub use error_log::InMemoryErrorLog;
pub use failing::FailingStore;
pub use hashing_embedder::HashingEmbedder;
pub use ids::SequentialIds;
pub use in_memory::InMemoryStore;
pub use scripted_model::{Gate, Script, ScriptedModel, StreamCounts};
pub use secrets::{InMemoryMasterTokenStore, InMemorySigningKeyStore, PlainPasswordHasher};
