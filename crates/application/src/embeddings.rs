//! Vectors of texts: for callers who ask for them, and for the server's own search.

mod error;
mod fitting;
mod provided;
mod service;

pub use error::EmbeddingError;
pub use fitting::FittingEmbedder;
pub use provided::ProvidedEmbedder;
pub use service::{EmbeddingService, NamedEmbedder, OwnEmbedder};
