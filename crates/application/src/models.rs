//! Which model answers: the configured providers, the fallback chain, and what was used.

mod completion;
mod cooldown;
mod error;
mod metrics;
mod registry;
mod tokens;

pub use completion::{CompletionError, CompletionService, NamedModel};
pub use error::ModelsError;
pub use metrics::{InferenceCounts, InferenceMetrics};
pub use registry::{CatalogEntry, ModelRegistry, Opened, Provider, RegistryConfig};
pub use tokens::{estimate_message_tokens, estimate_tokens};
