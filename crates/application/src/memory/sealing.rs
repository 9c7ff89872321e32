//! Memories whose content and summary are sealed in storage.

use std::sync::Arc;

use async_trait::async_trait;
use majordomo_domain::{AuditRecord, Memory, MemoryId, MemoryKind, Timestamp, UserId};

use crate::ports::{
    MemoryFilter, MemoryInsert, MemoryRepository, RepositoryError, SecretBox, SecretError,
    SecretPlace,
};

/// Seals content and summary before they are stored and opens them again. A memory that cannot be opened is an error,
/// never shown as it is stored.
pub struct SealedMemories {
    stored: Arc<dyn MemoryRepository>,
    secrets: Arc<dyn SecretBox>,
}

fn place<'a>(column: &'a str, row: &'a [&'a str]) -> SecretPlace<'a> {
    SecretPlace {
        table: "memories",
        column,
        row,
    }
}

impl SealedMemories {
    /// Memories stored in `stored`, sealed by `secrets`.
    pub fn new(stored: Arc<dyn MemoryRepository>, secrets: Arc<dyn SecretBox>) -> Self {
        Self { stored, secrets }
    }

    fn seal(&self, memory: &Memory) -> Result<Memory, RepositoryError> {
        let row = [memory.owner.as_str(), memory.id.as_str()];
        let seal = |column, text: &str| {
            let sealed = self.secrets.seal(place(column, &row), text);
            sealed.map_err(|error: SecretError| RepositoryError::Other(Box::new(error)))
        };
        Ok(Memory {
            content: seal("content", &memory.content)?,
            summary: seal("summary", &memory.summary)?,
            ..memory.clone()
        })
    }

    fn seal_all(&self, memories: &[Memory]) -> Result<Vec<Memory>, RepositoryError> {
        memories.iter().map(|memory| self.seal(memory)).collect()
    }

    fn open(&self, mut memory: Memory) -> Result<Memory, RepositoryError> {
        let row = [memory.owner.as_str(), memory.id.as_str()];
        let open = |column, sealed: &str| {
            let opened = self.secrets.open(place(column, &row), sealed);
            opened.map_err(|error| {
                tracing::error!(error = &error as &dyn std::error::Error, memory = %memory.id, "a memory cannot be opened");
                RepositoryError::Corrupt {
                    table: "memories",
                    column,
                    id: memory.id.to_string(),
                }
            })
        };
        let content = open("content", &memory.content)?;
        let summary = open("summary", &memory.summary)?;
        memory.content = content;
        memory.summary = summary;
        Ok(memory)
    }

    fn open_all(&self, memories: Vec<Memory>) -> Result<Vec<Memory>, RepositoryError> {
        memories
            .into_iter()
            .map(|memory| self.open(memory))
            .collect()
    }
}

#[async_trait]
impl MemoryRepository for SealedMemories {
    async fn insert(
        &self,
        owner: &UserId,
        memories: &[Memory],
        most: u64,
        record: Option<&AuditRecord>,
    ) -> Result<MemoryInsert, RepositoryError> {
        let sealed = self.seal_all(memories)?;
        self.stored.insert(owner, &sealed, most, record).await
    }

    async fn find(&self, owner: &UserId, ids: &[MemoryId]) -> Result<Vec<Memory>, RepositoryError> {
        self.open_all(self.stored.find(owner, ids).await?)
    }

    async fn list(
        &self,
        owner: &UserId,
        filter: MemoryFilter,
    ) -> Result<(Vec<Memory>, u64), RepositoryError> {
        let (page, total) = self.stored.list(owner, filter).await?;
        Ok((self.open_all(page)?, total))
    }

    async fn changes(
        &self,
        owner: &UserId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Memory>, RepositoryError> {
        self.open_all(self.stored.changes(owner, after, limit).await?)
    }

    async fn replace(
        &self,
        owner: &UserId,
        memories: &[Memory],
        rewritten: bool,
        record: Option<&AuditRecord>,
    ) -> Result<u64, RepositoryError> {
        let sealed = self.seal_all(memories)?;
        self.stored.replace(owner, &sealed, rewritten, record).await
    }

    async fn touch(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        at: Timestamp,
    ) -> Result<(), RepositoryError> {
        self.stored.touch(owner, ids, at).await
    }

    async fn delete(
        &self,
        owner: &UserId,
        ids: &[MemoryId],
        record: &AuditRecord,
    ) -> Result<u64, RepositoryError> {
        self.stored.delete(owner, ids, record).await
    }

    async fn counts(&self, owner: &UserId) -> Result<Vec<(MemoryKind, u64)>, RepositoryError> {
        self.stored.counts(owner).await
    }
}
