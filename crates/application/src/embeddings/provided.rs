//! An embedding model of a configured provider.

use std::sync::Arc;

use async_trait::async_trait;
use majordomo_domain::ModelRef;

use crate::models::ModelRegistry;
use crate::ports::{
    Embedder, EmbeddingModel, EmbeddingRole, Embeddings, ModelError, ModelErrorKind,
};

/// An embedding model of a configured provider, asked through whatever adapter is configured when it is asked: a key that
/// is changed while the server runs holds for the next call.
pub struct ProvidedEmbedder {
    models: Arc<ModelRegistry>,
    provider: String,
    called: String,
    model: EmbeddingModel,
}

impl ProvidedEmbedder {
    /// `model` of the provider of this name.
    pub fn new(
        models: Arc<ModelRegistry>,
        provider: impl Into<String>,
        model: EmbeddingModel,
    ) -> Self {
        let provider = provider.into();
        Self {
            models,
            called: ModelRef::new(&provider, &model.name).to_string(),
            provider,
            model,
        }
    }

    fn current(&self) -> Option<Arc<dyn Embedder>> {
        let provider = self.models.provider(&self.provider)?;
        let embeddings = provider.model.embeddings()?;
        Some(embeddings.embedder(self.model.clone()))
    }
}

#[async_trait]
impl Embedder for ProvidedEmbedder {
    fn model(&self) -> &str {
        &self.called
    }

    async fn embed(&self, texts: &[String], role: EmbeddingRole) -> Result<Embeddings, ModelError> {
        let Some(embedder) = self.current() else {
            let what = format!("{}: the provider offers no embedding models", self.provider);
            return Err(ModelError::new(ModelErrorKind::Unavailable, what));
        };
        embedder.embed(texts, role).await
    }

    fn max_batch(&self) -> usize {
        self.current().map_or(1, |embedder| embedder.max_batch())
    }
}
