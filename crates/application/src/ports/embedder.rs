//! Models that turn texts into vectors, so that texts of like meaning can be found.

use async_trait::async_trait;

use super::ModelError;

/// What a text is: some models embed a question in another way than the texts that may answer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingRole {
    /// Something to be found.
    Document,
    /// What is searched for.
    Query,
}

/// The vectors of texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embeddings {
    /// One vector for each text, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read, where the model tells.
    pub input_tokens: Option<u64>,
}

/// One embedding model.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The model's name. Together with the length of its vectors it names their space: two embedders whose vectors
    /// cannot be compared MUST differ in it or in that length.
    fn model(&self) -> &str;

    /// Embeds texts, at most [`max_batch`](Self::max_batch) of them, in bounded time. No text, no vector.
    ///
    /// MUST answer with exactly one vector for each text, all of one length above 0, every number finite; what a model
    /// answers otherwise is `Malformed`. More texts than `max_batch` are `Invalid`. Vectors need not have the length 1.
    async fn embed(&self, texts: &[String], role: EmbeddingRole) -> Result<Embeddings, ModelError>;

    /// The most texts of one call, at least 1.
    fn max_batch(&self) -> usize;
}
