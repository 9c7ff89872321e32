//! Memories whose content and summary are sealed in storage.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use majordomo_domain::{AuditRecord, Memory, MemoryId, MemoryKind, Timestamp, UserId};

use crate::ports::{
    CheckState, HealthCategory, HealthCheck, HealthCheckInfo, MemoryFilter, MemoryInsert,
    MemoryRepository, RepositoryError, SecretBox, SecretError, SecretPlace, Severity,
};

/// Memories that cannot be opened and are remembered as such, at most.
const MAX_DAMAGED: usize = 10_000;

/// Seals content and summary before they are stored and opens them again. A memory that cannot be opened is never shown as it is
/// stored: it is left out, told in the log once, and counted by the health check. It must not hold up the others.
pub struct SealedMemories {
    stored: Arc<dyn MemoryRepository>,
    secrets: Arc<dyn SecretBox>,
    damaged: Mutex<BTreeSet<MemoryId>>,
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
        Self {
            stored,
            secrets,
            damaged: Mutex::default(),
        }
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

    /// The memory as it was before it was sealed; `None` where it cannot be opened.
    fn open(&self, mut memory: Memory) -> Option<Memory> {
        let row = [memory.owner.as_str(), memory.id.as_str()];
        let opened = self.secrets.open(place("content", &row), &memory.content);
        let opened = opened.and_then(|content| {
            let summary = self.secrets.open(place("summary", &row), &memory.summary)?;
            Ok((content, summary))
        });
        match opened {
            Ok((content, summary)) => {
                memory.content = content;
                memory.summary = summary;
                Some(memory)
            }
            Err(error) => {
                self.note(&memory.id, &error);
                None
            }
        }
    }

    fn note(&self, memory: &MemoryId, error: &SecretError) {
        let mut damaged = self.damaged();
        if damaged.len() < MAX_DAMAGED && damaged.insert(memory.clone()) {
            let error: &dyn std::error::Error = error;
            tracing::error!(error, %memory, "a memory cannot be opened and is left out");
        }
    }

    fn damaged(&self) -> MutexGuard<'_, BTreeSet<MemoryId>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_all(&self, memories: Vec<Memory>) -> Vec<Memory> {
        let memories = memories.into_iter();
        memories.filter_map(|memory| self.open(memory)).collect()
    }
}

#[async_trait]
impl HealthCheck for SealedMemories {
    fn about(&self) -> HealthCheckInfo {
        HealthCheckInfo {
            id: "memories",
            name: "Sealed memories",
            category: HealthCategory::Storage,
            severity: Severity::Warning,
            fix_hint: "Restore the database from a backup, or forget these memories by their ids, which the log names",
        }
    }

    async fn run(&self) -> CheckState {
        match self.damaged().len() {
            0 => CheckState::Healthy,
            count => CheckState::Issue(
                Severity::Warning,
                format!("{count} memories cannot be opened and are left out"),
            ),
        }
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
        Ok(self.open_all(self.stored.find(owner, ids).await?))
    }

    async fn list(
        &self,
        owner: &UserId,
        filter: MemoryFilter,
    ) -> Result<(Vec<Memory>, u64), RepositoryError> {
        let (page, total) = self.stored.list(owner, filter).await?;
        Ok((self.open_all(page), total))
    }

    async fn changes(
        &self,
        owner: &UserId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Memory>, RepositoryError> {
        let (mut opened, mut after) = (Vec::new(), after);
        loop {
            // A page that is not full says that there is no other.
            let wanted = limit.saturating_sub(u32::try_from(opened.len()).unwrap_or(limit));
            let page = self.stored.changes(owner, after, wanted).await?;
            let read = u32::try_from(page.len()).unwrap_or(u32::MAX);
            if let Some(last) = page.last() {
                after = last.revision;
            }
            opened.extend(self.open_all(page));
            if read < wanted || u32::try_from(opened.len()).is_ok_and(|opened| opened >= limit) {
                return Ok(opened);
            }
        }
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
        until: Option<u64>,
        record: &AuditRecord,
    ) -> Result<u64, RepositoryError> {
        self.stored.delete(owner, ids, until, record).await
    }

    async fn counts(&self, owner: &UserId) -> Result<Vec<(MemoryKind, u64)>, RepositoryError> {
        self.stored.counts(owner).await
    }
}
