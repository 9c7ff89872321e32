//! How memories come from files and go to files: many at once, as they are.

use std::collections::{HashMap, HashSet};

use majordomo_domain::memory::MAX_SOURCES;
use majordomo_domain::{Memory, MemoryAuthor, MemoryId, MemorySource, Scope, Timestamp, UserId};
use sha2::{Digest as _, Sha256};

use super::drafts::{NewMemory, Problems};
use super::error::MemoryError;
use super::service::{ATTEMPTS, MemoryService};
use crate::caller::Caller;
use crate::ports::{MemoryInsert, RepositoryError};

/// Memories imported at once.
pub const MAX_IMPORT: usize = 5_000;
/// Memories exported at once.
pub const MAX_EXPORT: u32 = 500;
/// How often an imported memory may have been found at most: the largest whole number that every JSON reader keeps, 2^53 - 1.
pub const MAX_ACCESS_COUNT: u64 = 9_007_199_254_740_991;

/// Something to remember as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryImport {
    /// What it says.
    pub memory: NewMemory,
    /// What is known of it where it comes from.
    pub past: MemoryPast,
}

/// What a memory was where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryPast {
    /// Its id. Where the importing user has a memory of this id, it is that one.
    pub id: Option<MemoryId>,
    /// Its sources; those of the [`NewMemory`] where there are none.
    pub sources: Vec<MemorySource>,
    /// When it was last changed; now, where nothing is said.
    pub updated_at: Option<Timestamp>,
    /// When it was last found; now, where nothing is said.
    pub accessed_at: Option<Timestamp>,
    /// Up to when it has faded; now, where nothing is said.
    pub decayed_at: Option<Timestamp>,
    /// How often it was found.
    pub access_count: u64,
}

impl From<NewMemory> for MemoryImport {
    fn from(memory: NewMemory) -> Self {
        Self {
            memory,
            past: MemoryPast::default(),
        }
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The id of each entry, in order.
    pub ids: Vec<MemoryId>,
    /// How many are new; the others were there already.
    pub stored: usize,
}

impl MemoryService {
    /// Remembers many things as they are, [`MAX_IMPORT`] at most: nothing is merged, and what was imported before is not
    /// stored again. What a file says of its sources is kept; that it was imported is added, so none of it is trusted.
    pub async fn import(
        &self,
        caller: &Caller,
        batch: Vec<MemoryImport>,
    ) -> Result<Imported, MemoryError> {
        caller.require_change(Scope::Memory)?;
        let mut problems = Problems::default();
        if batch.len() > MAX_IMPORT {
            problems.add("memories", format!("must not be more than {MAX_IMPORT}"));
        }
        problems.check()?;
        for import in &batch {
            import.memory.validate()?;
        }
        let (owner, now) = (&caller.user, self.clock.now());
        let made = import_ids(owner, &batch);
        let made: Vec<MemoryId> = made
            .into_iter()
            .map(|id| id.unwrap_or_else(|| self.ids.memory_id()))
            .collect();
        for _ in 0..ATTEMPTS {
            if let Some(imported) = self.store_new(owner, &batch, &made, now).await? {
                return Ok(imported);
            }
        }
        Err(MemoryError::Changed)
    }

    /// Stores what of a batch is not there yet; `None` where somebody else stored some of it meanwhile. `made` are the ids
    /// of what is new.
    async fn store_new(
        &self,
        owner: &UserId,
        batch: &[MemoryImport],
        made: &[MemoryId],
        now: Timestamp,
    ) -> Result<Option<Imported>, MemoryError> {
        let named = batch.iter().filter_map(|import| import.past.id.clone());
        let asked: Vec<MemoryId> = made.iter().cloned().chain(named).collect();
        let known = self.memories.find(owner, &asked).await?;
        let known: HashSet<MemoryId> = known.into_iter().map(|memory| memory.id).collect();
        let mut ids = Vec::with_capacity(batch.len());
        let mut fresh = Vec::new();
        for (import, made) in batch.iter().zip(made) {
            match &import.past.id {
                Some(named) if known.contains(named) => ids.push(named.clone()),
                _ => {
                    if !known.contains(made) {
                        fresh.push(import.clone().into_memory(made.clone(), owner, now));
                    }
                    ids.push(made.clone());
                }
            }
        }
        let most = self.limits.memories;
        match self.memories.insert(owner, &fresh, most, None).await {
            Ok(MemoryInsert::Stored) => {
                let stored = fresh.len();
                self.tell(owner, fresh.into_iter().map(|memory| memory.id));
                Ok(Some(Imported { ids, stored }))
            }
            Ok(MemoryInsert::Full) => Err(MemoryError::Full),
            Err(RepositoryError::Conflict) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The memories behind the revision `after`, in the order of their revisions, at most [`MAX_EXPORT`]: an export goes
    /// on behind the last one it got until there are none. One that is changed meanwhile is given again. Each time is
    /// recorded: what is given may leave the server.
    pub async fn export(
        &self,
        caller: &Caller,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Memory>, MemoryError> {
        caller.require(Scope::Memory)?;
        let record = caller.record("memory.export", self.clock.now());
        let record = record.with("after", after);
        self.audit_log.append(&record).await?;
        let limit = limit.clamp(1, MAX_EXPORT);
        Ok(self.memories.changes(&caller.user, after, limit).await?)
    }
}

impl MemoryImport {
    fn into_memory(self, id: MemoryId, owner: &UserId, now: Timestamp) -> Memory {
        let Self { memory, past } = self;
        let mut sources = past.sources;
        let imported = |source: &MemorySource| source.author == MemoryAuthor::Import;
        if sources.is_empty() {
            sources.push(memory.source.clone());
        } else if !sources.iter().any(imported) {
            sources.truncate(MAX_SOURCES - 1);
            sources.push(MemorySource::of(MemoryAuthor::Import));
        }
        // The last of many sources may be the one that says it was imported.
        sources.truncate(MAX_SOURCES);
        let until_now = |at: Option<Timestamp>| at.map_or(now, |at| at.min(now));
        Memory {
            sources,
            updated_at: until_now(past.updated_at),
            accessed_at: until_now(past.accessed_at),
            decayed_at: until_now(past.decayed_at),
            access_count: past.access_count,
            ..memory.into_memory(id, owner.clone(), now)
        }
    }

    /// Where it was said.
    fn session(&self) -> &str {
        let first = self.past.sources.first().unwrap_or(&self.memory.source);
        first
            .session
            .as_ref()
            .map_or("", |session| session.as_str())
    }
}

/// Ids made of what is imported, so that importing it again finds it there. What a batch holds several times has several.
fn import_ids(owner: &UserId, batch: &[MemoryImport]) -> Vec<Option<MemoryId>> {
    let mut seen: HashMap<[u8; 32], u32> = HashMap::new();
    let id = |import: &MemoryImport| {
        let new = &import.memory;
        let at = new.created_at.map_or(0, Timestamp::as_micros);
        let mut hash = Sha256::new();
        for part in [
            owner.as_str(),
            import.session(),
            &at.to_string(),
            new.kind.as_str(),
            &new.content,
        ] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let times = seen.entry(digest).or_default();
        *times += 1;
        let (half, _) = digest.split_first_chunk::<16>()?;
        let hex = u128::from_be_bytes(*half);
        MemoryId::parse(format!("import-{hex:032x}-{times}")).ok()
    };
    batch.iter().map(id).collect()
}
