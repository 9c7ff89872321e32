//! What answers a question, and why.

use std::collections::HashMap;
use std::sync::Arc;

use majordomo_domain::{Memory, MemoryTurn, Scope, UserId};

use super::dates::named_time;
use super::drafts::Problems;
use super::error::MemoryError;
use super::index::{FoundEntry, Meaning, RankingQuery};
use super::indexes::OwnerIndex;
use super::service::{MAX_LIMIT, MemoryService};
use crate::caller::Caller;
use crate::ports::RememberedId;

/// Longest question, in characters.
const MAX_QUERY: usize = 1_000;
/// Hits that no longer exist, for each that is wanted: so many more are ranked.
const SPARE: usize = 2;
/// How often more is ranked, twice as much each time, where too many no longer exist.
const ROUNDS: u32 = 6;
/// Where more than this can be found, finding takes a thread of its own: others must not wait for it.
const LARGE: usize = 20_000;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A memory.
    Memory(Box<Memory>),
    /// A stored message.
    Turn(MemoryTurn),
}

/// A hit of a search, and why it is one.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryHit {
    /// What was found.
    pub found: Found,
    /// Larger is better; comparable within one answer only.
    pub score: f64,
    /// The share of the question's words, weighted by what they tell, that it or what was said around it holds: 0 to 1.
    pub coverage: f64,
    /// Its place in the ranking by words, from 1; `None` where its words do not tell.
    pub words_rank: Option<u16>,
    /// Its place in the ranking by meaning, from 1; `None` where its meaning does not tell or is not known.
    pub meaning_rank: Option<u16>,
    /// The cosine of the angle between its vector and the question's, where both are known.
    pub similarity: Option<f64>,
}

/// A question to the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemorySearch {
    /// In plain words.
    pub text: String,
    /// At most this many hits.
    pub limit: u32,
    /// Whether stored messages are searched too.
    pub turns: bool,
}

impl MemoryService {
    /// What answers a question best, best first. What is found counts as accessed.
    pub async fn search(
        &self,
        caller: &Caller,
        search: &MemorySearch,
    ) -> Result<Vec<MemoryHit>, MemoryError> {
        caller.require(Scope::Memory)?;
        let mut problems = Problems::default();
        if search.text.trim().is_empty() {
            problems.add("q", "cannot be empty");
        } else if search.text.chars().count() > MAX_QUERY {
            problems.add(
                "q",
                format!("must not be longer than {MAX_QUERY} characters"),
            );
        }
        problems.check()?;
        let vector = match &self.embedding {
            Some(embedding) => embedding.question(&search.text).await,
            None => None,
        };
        let index = self.indexes.caught_up(&caller.user).await?;
        let limit = usize::try_from(search.limit.clamp(1, MAX_LIMIT)).unwrap_or(1);
        let now = self.clock.now();
        let mut query = RankingQuery {
            text: &search.text,
            now,
            dates: named_time(&search.text, now),
            limit: limit.saturating_mul(SPARE),
            turns: search.turns,
            postings: usize::MAX,
            feedback: true,
        };
        let meaning = self.meaning(&caller.user, &index, vector, &query).await;
        let mut hits = Vec::new();
        for _ in 0..ROUNDS {
            let ranked = find(&index, &query, &meaning).await;
            let many = ranked.len();
            hits = self.read(&caller.user, &index, ranked, limit).await?;
            if hits.len() >= limit || many < query.limit {
                break;
            }
            query.limit = query.limit.saturating_mul(2);
        }
        self.touch(&caller.user, &hits);
        Ok(hits)
    }

    /// Reads what was ranked. What does not exist any more is taken out of the index.
    pub(super) async fn read(
        &self,
        owner: &UserId,
        index: &OwnerIndex,
        ranked: Vec<FoundEntry>,
        limit: usize,
    ) -> Result<Vec<MemoryHit>, MemoryError> {
        let mut hits = Vec::with_capacity(limit.min(ranked.len()));
        let mut gone = Vec::new();
        for part in ranked.chunks(limit.max(1)) {
            let mut found = self.fetch(owner, part).await?;
            for entry in part {
                match found.remove(&entry.id) {
                    Some(found) => hits.push(MemoryHit {
                        found,
                        score: f64::from(entry.score),
                        coverage: f64::from(entry.coverage),
                        words_rank: entry.words_rank,
                        meaning_rank: entry.meaning_rank,
                        similarity: entry.similarity.map(f64::from),
                    }),
                    None => gone.push(&entry.id),
                }
            }
            if hits.len() >= limit {
                break;
            }
        }
        hits.truncate(limit);
        if !gone.is_empty() {
            let mut index = index.write();
            for id in gone {
                index.remove(id);
            }
        }
        Ok(hits)
    }

    async fn fetch(
        &self,
        owner: &UserId,
        entries: &[FoundEntry],
    ) -> Result<HashMap<RememberedId, Found>, MemoryError> {
        let (mut memories, mut turns) = (Vec::new(), Vec::new());
        for entry in entries {
            match &entry.id {
                RememberedId::Memory(id) => memories.push(id.clone()),
                RememberedId::Turn(id) => turns.push(id.clone()),
            }
        }
        let mut found = HashMap::with_capacity(entries.len());
        if !memories.is_empty() {
            for memory in self.memories.find(owner, &memories).await? {
                found.insert(
                    RememberedId::Memory(memory.id.clone()),
                    Found::Memory(Box::new(memory)),
                );
            }
        }
        if !turns.is_empty() {
            for turn in self.turns.find(owner, &turns).await? {
                found.insert(RememberedId::Turn(turn.message.clone()), Found::Turn(turn));
            }
        }
        Ok(found)
    }

    /// Notes that these were found. Nobody waits for it.
    pub(super) fn touch(&self, owner: &UserId, hits: &[MemoryHit]) {
        let ids = hits.iter().filter_map(|hit| match &hit.found {
            Found::Memory(memory) => Some(memory.id.clone()),
            Found::Turn(_) => None,
        });
        self.touches.note(owner, ids);
    }
}

/// Finds where it hinders nobody.
pub(super) async fn find(
    index: &Arc<OwnerIndex>,
    query: &RankingQuery<'_>,
    meaning: &Meaning,
) -> Vec<FoundEntry> {
    {
        let index = index.read();
        if index.len() < LARGE {
            return index.find(query, meaning);
        }
    }
    let (index, text, query) = (Arc::clone(index), query.text.to_owned(), query.asking(""));
    let meaning = meaning.clone();
    let finding = tokio::task::spawn_blocking(move || {
        let index = index.read();
        index.find(&query.asking(&text), &meaning)
    });
    // A panic was reported where it happened.
    finding.await.unwrap_or_default()
}
