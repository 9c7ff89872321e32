//! Which model answers: the configured providers, the fallback chain, and what was used.

mod chain;
mod closing;
mod completion;
mod cooldown;
mod error;
mod lists;
mod metrics;
mod registry;
mod tokens;
mod told;

pub(crate) use completion::must_ask;
pub use completion::{CompletionError, CompletionService, NamedModel, OutputLimit, PassedRequest};
pub use error::ModelsError;
pub use metrics::{InferenceCounts, InferenceMetrics};
pub use registry::{CatalogEntry, ModelRegistry, Opened, Provider, RegistryConfig};
pub use tokens::{
    estimate_message_tokens, estimate_prompt_tokens, estimate_tokens, estimate_tokens_of_length,
    estimate_tool_tokens,
};
pub(crate) use told::ToldUsage;
