//! Memory from storage.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use majordomo_application::embeddings::OwnEmbedder;
use majordomo_application::memory::{
    Embedding, EmbeddingPorts, MemoryLimits, MemoryPorts, MemoryService, SealedMemories,
};
use majordomo_application::ports::{Clock, HealthCheck, IdGenerator, SecretText};
use majordomo_domain::AuditRecord;
use majordomo_infrastructure_system::{SecretKeys, XChaChaSecretBox};
use majordomo_settings::Settings;

use super::settings::{LiveSettings, LiveSettingsError};
use super::storage::Storage;

/// The key that seals memories, itself sealed among the settings: changing the server's key leaves memories alone.
const MEMORY_KEY: &str = "memory.key";

/// Bytes.
const MEGABYTE: usize = 1_000_000;

/// The memory, and what looks at its health.
pub(super) type Memory = (Arc<MemoryService>, Vec<Arc<dyn HealthCheck>>);

/// What is remembered, sealed at rest, and embedded where there is a model for it.
pub(super) async fn memory(
    settings: &Settings,
    storage: &Storage,
    live: &LiveSettings,
    embedder: Option<&OwnEmbedder>,
    clock: &Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
) -> Result<Memory, LiveSettingsError> {
    let fresh = SecretText::new(STANDARD.encode(ids.secret()));
    let record = AuditRecord::of_system("memory.key.create", clock.now());
    let key = live.secrets().own(MEMORY_KEY, fresh, &record).await?;
    let keys = SecretKeys::parse(key.expose()).map_err(LiveSettingsError::MemoryKey)?;
    let secrets = Arc::new(XChaChaSecretBox::new(keys));
    let memories = Arc::new(SealedMemories::new(storage.memories.clone(), secrets));
    let service = MemoryService::new(MemoryPorts {
        memories: memories.clone(),
        turns: storage.turns.clone(),
        audit_log: storage.audit.clone(),
        clock: clock.clone(),
        ids,
    })
    .within(MemoryLimits {
        memories: settings.memory.max_per_user,
        vector_bytes: settings.memory.vector_memory_mb.saturating_mul(MEGABYTE),
        recall_tokens: settings.memory.recall_tokens,
    });
    let mut checks: Vec<Arc<dyn HealthCheck>> = vec![memories.clone()];
    let service = match embedder {
        Some(own) => {
            let embedding = Embedding::new(EmbeddingPorts {
                embedder: own.embedder.clone(),
                vectors: storage.memory_vectors.clone(),
                memories,
                turns: storage.turns.clone(),
                clock: clock.clone(),
            });
            checks.push(embedding.clone());
            service.with_embedding(embedding)
        }
        None => service,
    };
    Ok((Arc::new(service), checks))
}
