//! The embedding model of the memory from settings.

use std::sync::Arc;
use std::time::Duration;

use majordomo_application::embeddings::{FittingEmbedder, OwnEmbedder, ProvidedEmbedder};
use majordomo_application::models::ModelRegistry;
use majordomo_application::ports::EmbeddingModel;
use majordomo_domain::ModelRef;
use majordomo_settings::{EmbedderChoice, MemorySettings};
use thiserror::Error;

/// The embedding model cannot be used.
#[derive(Debug, Error)]
pub enum EmbedderConfigError {
    /// This program was built without models of its own.
    #[error(
        "memory.embedder: this server was built without local models (cargo feature `local-embeddings`)"
    )]
    NoLocalModels,
}

/// The embedding model that is configured, if one is. A model of a provider is asked through `models`, so that a changed
/// key holds at once.
pub(super) fn embedder(
    settings: &MemorySettings,
    models: &Arc<ModelRegistry>,
) -> Result<Option<OwnEmbedder>, EmbedderConfigError> {
    match settings.embedder_choice() {
        None => Ok(None),
        Some(EmbedderChoice::Provider { provider, model }) => {
            let name = ModelRef::new(provider, model);
            let mut model = EmbeddingModel::new(model);
            model.dimensions = settings.embedder_dimensions;
            model.max_batch = settings.embedder_batch;
            model.timeout = Duration::from_secs(settings.embedder_timeout_secs);
            let provided = ProvidedEmbedder::new(models.clone(), provider, model);
            Ok(Some(OwnEmbedder {
                model: name,
                embedder: Arc::new(FittingEmbedder::new(Arc::new(provided))),
            }))
        }
        Some(EmbedderChoice::Local(_)) => Err(EmbedderConfigError::NoLocalModels),
    }
}
