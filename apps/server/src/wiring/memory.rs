//! Memory from storage.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use majordomo_application::memory::{
    Embedding, EmbeddingPorts, MemoryLimits, MemoryPorts, MemoryService, SealedMemories,
};
use majordomo_application::ports::{Clock, Embedder, IdGenerator, SecretText};
use majordomo_domain::AuditRecord;
use majordomo_infrastructure_system::{SecretKeys, XChaChaSecretBox};

use super::settings::{LiveSettings, LiveSettingsError};
use super::storage::Storage;

/// The key that seals memories, itself sealed among the settings: changing the server's key leaves memories alone.
const MEMORY_KEY: &str = "memory.key";

/// What is remembered, sealed at rest, and embedded where there is a model for it.
pub(crate) async fn memory(
    storage: &Storage,
    live: &LiveSettings,
    limits: MemoryLimits,
    embedder: Option<Arc<dyn Embedder>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
) -> Result<Arc<MemoryService>, LiveSettingsError> {
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
    .within(limits);
    let service = match embedder {
        Some(embedder) => service.with_embedding(Embedding::new(EmbeddingPorts {
            embedder,
            vectors: storage.memory_vectors.clone(),
            memories,
            turns: storage.turns.clone(),
            clock,
        })),
        None => service,
    };
    Ok(Arc::new(service))
}
