//! Providers that offer embedding models by name.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Embedder, ModelError};

/// One of a provider's embedding models, and how it is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingModel {
    /// The model's name at its provider.
    pub name: String,
    /// Numbers wanted in a vector. `None`: as many as the model gives by itself.
    pub dimensions: Option<u32>,
    /// The most texts of one request; providers may allow fewer.
    pub max_batch: usize,
    /// Longest wait for the answer to one request.
    pub timeout: Duration,
}

impl EmbeddingModel {
    /// A model with vectors of its own length, asked for 64 texts at a time and for at most a minute.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            dimensions: None,
            max_batch: 64,
            timeout: Duration::from_mins(1),
        }
    }
}

/// A provider that offers embedding models.
pub trait EmbeddingProvider: Send + Sync {
    /// One of its models, called `PROVIDER/NAME`. Whether there is such a model, the first call tells.
    fn embedder(&self, model: EmbeddingModel) -> Arc<dyn Embedder>;

    /// The provider's own embeddings endpoint, where it speaks OpenAI's protocol.
    fn embedding_relay(&self) -> Option<&dyn EmbeddingRelay> {
        None
    }
}

/// A provider that speaks OpenAI's embeddings protocol, so that a request can be passed on unchanged.
#[async_trait]
pub trait EmbeddingRelay: Send + Sync {
    /// Passes the body of an embeddings request on and gives the body of the answer. An upstream status other than 2xx
    /// comes back as a typed error.
    async fn relay_embeddings(&self, body: Bytes) -> Result<Bytes, ModelError>;
}
