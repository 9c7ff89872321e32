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
    /// There is no model in the directory, or it cannot be run.
    #[error("memory.embedder: {0}")]
    Local(String),
}

/// The embedding model that is configured, if one is. A model of a provider is asked through `models`, so that a changed
/// key holds at once.
pub(super) async fn embedder(
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
        Some(EmbedderChoice::Local(directory)) => local::embedder(directory, settings).await,
    }
}

#[cfg(feature = "local-embeddings")]
mod local {
    use std::path::Path;
    use std::sync::Arc;
    use std::thread::available_parallelism;
    use std::time::Duration;

    use majordomo_application::embeddings::OwnEmbedder;
    use majordomo_domain::ModelRef;
    use majordomo_infrastructure_embedding::{LocalEmbedder, LocalEmbedderConfig};
    use majordomo_settings::MemorySettings;

    use super::EmbedderConfigError;
    use crate::startup::with_causes;
    use crate::wiring::BUILTIN_PROVIDER;

    /// The model in `directory`, called `builtin/NAME` after it. It takes half of the processors; the other half is for
    /// chats.
    pub(super) async fn embedder(
        directory: &Path,
        settings: &MemorySettings,
    ) -> Result<Option<OwnEmbedder>, EmbedderConfigError> {
        let model = ModelRef::new(BUILTIN_PROVIDER, LocalEmbedder::name_of(directory));
        let config = LocalEmbedderConfig {
            directory: directory.to_owned(),
            name: model.to_string(),
            threads: available_parallelism().map_or(1, usize::from).div_ceil(2),
            max_batch: settings.embedder_batch,
            timeout: Duration::from_secs(settings.embedder_timeout_secs),
        };
        let opening = tokio::task::spawn_blocking(move || LocalEmbedder::open(config));
        let opened = opening
            .await
            .map_err(|error| EmbedderConfigError::Local(error.to_string()))?;
        let embedder = opened.map_err(|error| EmbedderConfigError::Local(with_causes(&error)))?;
        Ok(Some(OwnEmbedder {
            model,
            embedder: Arc::new(embedder),
        }))
    }
}

#[cfg(not(feature = "local-embeddings"))]
mod local {
    use std::path::Path;

    use majordomo_application::embeddings::OwnEmbedder;
    use majordomo_settings::MemorySettings;

    use super::EmbedderConfigError;

    /// None: this program was built without.
    pub(super) async fn embedder(
        _: &Path,
        _: &MemorySettings,
    ) -> Result<Option<OwnEmbedder>, EmbedderConfigError> {
        Err(EmbedderConfigError::NoLocalModels)
    }
}
