//! What of an index answers a question best, by its words and by its vector.
//!
//! Scores of words and of vectors cannot be compared, places can: an entry counts one part of its place in either ranking
//! (reciprocal rank fusion). In the ranking of vectors, too, an entry counts what its neighbours in the conversation mean,
//! whether it lies in the time that is asked for, its importance and its age. The vectors are those of the index, or, where
//! it could not hold all of them, those that storage found the nearest.

use std::collections::HashMap;

use super::ranking::besides;
use super::vectors::Code;
use super::{MemoryIndex, RankingQuery, at, best, next_position};
use crate::ports::{NearVector, RememberedId};

/// The larger, the less the first places count before the others.
const SMOOTHING: f32 = 10.0;
/// What a place in the ranking of vectors counts against one in that of words. In conversations words in their windows find
/// answers better than small embedding models do, which is why it is less; where words find nothing, it is all there is.
const MEANING: f32 = 0.4;
/// Places of either ranking that count, at least.
const DEPTH: usize = 200;
/// What the similarity of either neighbour adds to an entry's.
const NEIGHBOUR: f32 = 0.4;
/// What importance, age and time count against a similarity.
const BESIDES: f32 = 0.1;

/// What a question means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Meaning {
    /// Nobody knows: words must do.
    Unknown,
    /// A vector, to be compared with those of the index.
    Vector(Vec<f32>),
    /// What storage found the nearest to it, the nearest first.
    Nearest(Vec<NearVector>),
}

/// An answer, and why it is one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundEntry {
    pub(crate) id: RememberedId,
    /// Larger is better; comparable within one answer only.
    pub(crate) score: f32,
    /// The share of the question's words, by what they tell, that it or its neighbours hold.
    pub(crate) coverage: f32,
    /// Its place by words, from 1.
    pub(crate) words_rank: Option<u16>,
    /// Its place by vectors, from 1.
    pub(crate) meaning_rank: Option<u16>,
    /// The cosine of the angle between its vector and the question's, where both have one.
    pub(crate) similarity: Option<f32>,
}

/// The places of an entry in both rankings.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    words: Option<u16>,
    meaning: Option<u16>,
    coverage: f32,
    score: f32,
}

/// How near entries are to a question.
enum Nearness<'a> {
    /// By the vectors of the index.
    Own(Code),
    /// By what storage said.
    Told(Told<'a>),
}

/// What storage found the nearest. What of it the index does not hold has the positions after the index's own.
struct Told<'a> {
    similarities: HashMap<u32, f32>,
    strangers: Vec<&'a RememberedId>,
}

impl RankingQuery<'_> {
    /// How many places of either ranking count.
    const fn depth(&self) -> usize {
        if self.limit > DEPTH {
            self.limit
        } else {
            DEPTH
        }
    }

    /// How many of the nearest vectors the ranking by meaning is made of.
    pub(crate) const fn nearest(&self) -> usize {
        2 * self.depth()
    }
}

impl MemoryIndex {
    /// The entries that answer best, best first; by words alone where no vector can be compared with the question's.
    pub(crate) fn find(&self, query: &RankingQuery<'_>, meaning: &Meaning) -> Vec<FoundEntry> {
        let nearness = self.nearness(meaning);
        let mut places: HashMap<u32, Places> = HashMap::new();
        let depth = if nearness.is_some() {
            query.depth()
        } else {
            query.limit
        };
        let deep = RankingQuery {
            limit: depth,
            ..*query
        };
        for (ranked, rank) in self.rank(&deep).into_iter().zip(1..) {
            places.insert(
                ranked.position,
                Places {
                    words: Some(rank),
                    coverage: ranked.coverage,
                    score: if nearness.is_some() {
                        part(rank)
                    } else {
                        ranked.score
                    },
                    ..Places::default()
                },
            );
        }
        if let Some(nearness) = &nearness {
            for (position, rank) in self.near(&deep, nearness).into_iter().zip(1..) {
                let at = places.entry(position).or_default();
                at.meaning = Some(rank);
                at.score += MEANING * part(rank);
            }
        }
        let score = |position: &u32| places.get(position).map_or(0.0, |at| at.score);
        let positions: Vec<u32> = places.keys().copied().collect();
        let found = best(&positions, query.limit, score).into_iter();
        let found = found.filter_map(|position| {
            let place = places.get(&position)?;
            Some(FoundEntry {
                id: self.id(position, nearness.as_ref())?.clone(),
                score: place.score,
                coverage: place.coverage,
                words_rank: place.words,
                meaning_rank: place.meaning,
                similarity: nearness.as_ref().and_then(|n| self.similarity(position, n)),
            })
        });
        found.collect()
    }

    /// `None` where there is nothing to compare.
    fn nearness<'a>(&self, meaning: &'a Meaning) -> Option<Nearness<'a>> {
        match meaning {
            Meaning::Unknown => None,
            Meaning::Vector(vector) => self.vectors.question(vector).map(Nearness::Own),
            Meaning::Nearest(nearest) => Some(Nearness::Told(self.told(nearest))),
        }
    }

    fn told<'a>(&self, nearest: &'a [NearVector]) -> Told<'a> {
        let mut told = Told {
            similarities: HashMap::with_capacity(nearest.len()),
            strangers: Vec::new(),
        };
        for near in nearest {
            let position = self.by_id.get(&near.of).copied().unwrap_or_else(|| {
                let behind = next_position(&told.strangers);
                told.strangers.push(&near.of);
                next_position(&self.entries).saturating_add(behind)
            });
            told.similarities.insert(position, near.similarity);
        }
        told
    }

    fn id<'a>(
        &'a self,
        position: u32,
        nearness: Option<&Nearness<'a>>,
    ) -> Option<&'a RememberedId> {
        if let Some(entry) = at(&self.entries, position) {
            return Some(&entry.id);
        }
        let Some(Nearness::Told(told)) = nearness else {
            return None;
        };
        let behind = position.checked_sub(next_position(&self.entries))?;
        at(&told.strangers, behind).copied()
    }

    fn similarity(&self, position: u32, nearness: &Nearness<'_>) -> Option<f32> {
        match nearness {
            Nearness::Own(question) => {
                let vector = at(&self.entries, position)?.vector;
                self.vectors.similarity(vector, question)
            }
            Nearness::Told(told) => told.similarities.get(&position).copied(),
        }
    }

    /// The entries that mean the nearest to a question, the nearest first.
    fn near(&self, query: &RankingQuery<'_>, nearness: &Nearness<'_>) -> Vec<u32> {
        let positions: Vec<u32> = match nearness {
            Nearness::Own(question) => {
                let wanted = |position| self.is_wanted(query, position);
                let nearest = self.vectors.nearest(question, query.nearest(), wanted);
                nearest.into_iter().map(|(position, _)| position).collect()
            }
            Nearness::Told(told) => told.similarities.keys().copied().collect(),
        };
        let score = |position: &u32| -> f32 {
            let own = self.similarity(*position, nearness).unwrap_or_default();
            let besides = at(&self.entries, *position).map(|entry| besides(entry, query));
            own + NEIGHBOUR * self.neighbours(*position, nearness)
                + BESIDES * besides.unwrap_or_default()
        };
        best(&positions, query.limit, score)
    }

    /// How near an entry's neighbours in its conversation are.
    fn neighbours(&self, position: u32, nearness: &Nearness<'_>) -> f32 {
        let Some(place) = at(&self.places, position) else {
            return 0.0;
        };
        let neighbours = [place.previous, place.next].into_iter();
        let neighbours = neighbours.filter_map(|neighbour| self.similarity(neighbour, nearness));
        neighbours.map(|similarity| similarity.max(0.0)).sum()
    }
}

/// What a place in a ranking counts.
fn part(rank: u16) -> f32 {
    1.0 / (SMOOTHING + f32::from(rank))
}
