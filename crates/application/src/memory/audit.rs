//! What is wrong with what is remembered: said twice, hardly ever needed, without its origin.

mod alike;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use majordomo_domain::{Memory, MemoryId, MessageId, Scope, SessionId, Timestamp, UserId};
use sha2::{Digest as _, Sha256};

use super::error::MemoryError;
use super::service::{MemoryService, PAGE};
use super::words;
use crate::caller::Caller;
use crate::ports::RepositoryError;
use alike::{Comparison, Entry};

/// Memories examined at most: the first stored or longest unchanged.
const MAX_EXAMINED: usize = 200_000;
/// Different words of all of them, so that the examination takes no more than about 100 MB.
const MAX_WORDS: usize = 20_000_000;
/// Findings named of each sort at most.
const MAX_NAMED: u32 = 500;

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryAuditQuery {
    /// What was neither changed nor found for so long is stale.
    pub stale_after: Duration,
    /// Findings named of each sort; above 500 counts as 500.
    pub limit: u32,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryAudit {
    /// Memories examined.
    pub examined: u64,
    /// Whether that is all of them, and each was compared with every other.
    pub whole: bool,
    /// They say, but for white space and capitals, what an older memory of the same kind says.
    pub duplicates: Findings,
    /// They say nearly what an older memory of the same kind says: storing them now would merge them.
    pub near_duplicates: Findings,
    /// They were neither changed nor found for long.
    pub stale: Findings,
    /// Every conversation and message they came from is gone.
    pub orphaned: Findings,
}

/// Findings of one sort.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub named: Vec<Finding>,
}

/// A memory that something is wrong with.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The memory.
    pub id: MemoryId,
    /// It in one line.
    pub summary: String,
    /// When it was last changed or found.
    pub used_at: Timestamp,
    /// The memory it is like, where that is what is wrong.
    pub like: Option<Likeness>,
}

/// Another memory that says the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Likeness {
    /// The older one.
    pub id: MemoryId,
    /// The share of the different words of both that both have.
    pub share: f64,
}

impl Findings {
    fn add(&mut self, memory: &Memory, like: Option<Likeness>, limit: usize) {
        self.count += 1;
        if self.named.len() < limit {
            self.named.push(Finding {
                id: memory.id.clone(),
                summary: memory.summary.clone(),
                used_at: memory.used_at(),
                like,
            });
        }
    }
}

/// What is gathered while the memories are read.
#[derive(Default)]
struct Reading {
    entries: Vec<Entry>,
    ids: Vec<MemoryId>,
    /// The first memory that says each thing.
    first: HashMap<[u8; 32], usize>,
    vocabulary: HashMap<String, u32>,
    words: usize,
}

impl Reading {
    fn is_full(&self) -> bool {
        self.ids.len() >= MAX_EXAMINED || self.words >= MAX_WORDS
    }

    /// Takes a memory in, and names the older one that says exactly the same.
    fn take(&mut self, memory: &Memory) -> Option<MemoryId> {
        let number = self.ids.len();
        let earlier = *self.first.entry(said(memory)).or_insert(number);
        let repeats = earlier < number;
        let mut words: Vec<u32> = Vec::new();
        // What repeats an older one is not compared again.
        if !repeats {
            for stem in words::stems(&memory.content) {
                let next = u32::try_from(self.vocabulary.len()).unwrap_or(u32::MAX);
                words.push(*self.vocabulary.entry(stem).or_insert(next));
            }
            words.sort_unstable();
            words.dedup();
            words.shrink_to_fit();
        }
        self.words += words.len();
        self.entries.push(Entry {
            kind: memory.kind,
            words,
        });
        self.ids.push(memory.id.clone());
        repeats.then(|| self.ids.get(earlier).cloned()).flatten()
    }
}

/// What a memory says, without regard to white space and capitals.
fn said(memory: &Memory) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(memory.kind.as_str());
    for word in memory.content.split_whitespace() {
        hash.update(" ");
        hash.update(word.to_lowercase());
    }
    hash.finalize().into()
}

impl MemoryService {
    /// Examines the caller's memories; audits wait for each other.
    pub async fn audit(
        &self,
        caller: &Caller,
        query: MemoryAuditQuery,
    ) -> Result<MemoryAudit, MemoryError> {
        caller.require(Scope::Memory)?;
        let _one_at_a_time = self.auditing.lock().await;
        let (owner, now) = (&caller.user, self.clock.now());
        let limit = usize::try_from(query.limit.min(MAX_NAMED)).unwrap_or_default();
        let mut reading = Reading::default();
        let (mut duplicates, mut stale, mut orphaned) = <(Findings, Findings, Findings)>::default();
        let mut after = 0;
        let whole = loop {
            let page = self.memories.changes(owner, after, PAGE).await?;
            let Some(last) = page.last() else {
                break true;
            };
            if reading.is_full() {
                break false;
            }
            after = last.revision;
            let origins = self.origins(owner, &page).await?;
            for memory in &page {
                if let Some(id) = reading.take(memory) {
                    duplicates.add(memory, Some(Likeness { id, share: 1.0 }), limit);
                }
                if now.since(memory.used_at()) >= query.stale_after {
                    stale.add(memory, None, limit);
                }
                if origins.are_gone(memory) {
                    orphaned.add(memory, None, limit);
                }
            }
            tokio::task::yield_now().await;
        };
        let examined = u64::try_from(reading.ids.len()).unwrap_or(u64::MAX);
        let (near_duplicates, compared) = self.near_duplicates(owner, reading, limit).await?;
        Ok(MemoryAudit {
            examined,
            whole: whole && compared,
            duplicates,
            near_duplicates,
            stale,
            orphaned,
        })
    }

    /// Compares what was read, and says whether all of it could be.
    async fn near_duplicates(
        &self,
        owner: &UserId,
        reading: Reading,
        limit: usize,
    ) -> Result<(Findings, bool), MemoryError> {
        let Reading {
            entries,
            ids,
            vocabulary,
            ..
        } = reading;
        let compare = move || alike::compare(entries, vocabulary.len());
        let Comparison { alike, whole } = tokio::task::spawn_blocking(compare)
            .await
            .map_err(|error| RepositoryError::Other(Box::new(error)))?;
        let mut findings = Findings {
            count: u64::try_from(alike.len()).unwrap_or(u64::MAX),
            named: Vec::new(),
        };
        let named: Vec<(&MemoryId, Likeness)> = alike
            .iter()
            .take(limit)
            .filter_map(|pair| {
                let like = Likeness {
                    id: ids.get(pair.older)?.clone(),
                    share: pair.share,
                };
                Some((ids.get(pair.newer)?, like))
            })
            .collect();
        let asked: Vec<MemoryId> = named.iter().map(|(id, _)| (*id).clone()).collect();
        let found = self.memories.find(owner, &asked).await?;
        let found: HashMap<&MemoryId, &Memory> =
            found.iter().map(|memory| (&memory.id, memory)).collect();
        for (id, like) in named {
            match found.get(id) {
                Some(memory) => findings.named.push(Finding {
                    id: id.clone(),
                    summary: memory.summary.clone(),
                    used_at: memory.used_at(),
                    like: Some(like),
                }),
                // It was forgotten meanwhile.
                None => findings.count = findings.count.saturating_sub(1),
            }
        }
        Ok((findings, whole))
    }

    /// Which of the conversations and messages these memories come from exist.
    async fn origins(&self, owner: &UserId, page: &[Memory]) -> Result<Origins, MemoryError> {
        let sources = || page.iter().flat_map(|memory| &memory.sources);
        let distinct = |ids: HashSet<SessionId>| ids.into_iter().collect::<Vec<_>>();
        let sessions = distinct(sources().filter_map(|s| s.session.clone()).collect());
        let messages: HashSet<MessageId> = sources().filter_map(|s| s.message.clone()).collect();
        let messages: Vec<MessageId> = messages.into_iter().collect();
        let turns = self.turns.find(owner, &messages).await?;
        Ok(Origins {
            sessions: self
                .turns
                .existing(owner, &sessions)
                .await?
                .into_iter()
                .collect(),
            messages: turns.into_iter().map(|turn| turn.message).collect(),
        })
    }
}

/// What exists of what memories come from.
struct Origins {
    sessions: HashSet<SessionId>,
    messages: HashSet<MessageId>,
}

impl Origins {
    /// Whether the memory names where it comes from, and nothing of that exists.
    fn are_gone(&self, memory: &Memory) -> bool {
        let mut named = memory
            .sources
            .iter()
            .filter(|source| source.session.is_some() || source.message.is_some())
            .peekable();
        named.peek().is_some()
            && named.all(|source| match (&source.message, &source.session) {
                (Some(message), _) => !self.messages.contains(message),
                (None, Some(session)) => !self.sessions.contains(session),
                (None, None) => false,
            })
    }
}
