//! An embedding model in this very process: a BERT sentence-transformer from a local directory, behind the `Embedder`
//! port. Nothing is ever fetched.
//!
//! [`directory`] reads the files, [`bert`] is the network, [`sentences`] turns texts into vectors with both, and
//! [`embedder`] does that on threads of its own.

#[cfg(feature = "bert")]
mod bert;
#[cfg(feature = "bert")]
mod directory;
#[cfg(feature = "bert")]
mod embedder;
#[cfg(feature = "bert")]
mod sentences;

#[cfg(feature = "bert")]
pub use directory::ModelDirectoryError;
#[cfg(feature = "bert")]
pub use embedder::{LocalEmbedder, LocalEmbedderConfig, LocalEmbedderError};
