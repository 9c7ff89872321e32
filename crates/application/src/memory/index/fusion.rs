//! What of an index answers a question best, by its words and by its vector.
//!
//! Scores of words and of vectors cannot be compared, places can: an entry counts one part of its place in either ranking
//! (reciprocal rank fusion). In the ranking of vectors, too, an entry counts what its neighbours in the conversation mean,
//! whether it lies in the time that is asked for, its importance and its age.

use std::collections::HashMap;

use super::ranking::besides;
use super::vectors::Code;
use super::{MemoryIndex, RankingQuery, at, best};
use crate::ports::RememberedId;

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

impl MemoryIndex {
    /// The entries that answer best, best first; by words alone where no vector can be compared with the question's.
    pub(crate) fn find(&self, query: &RankingQuery<'_>, vector: Option<&[f32]>) -> Vec<FoundEntry> {
        let question = vector.and_then(|vector| self.vectors.question(vector));
        let mut places: HashMap<u32, Places> = HashMap::new();
        let depth = query.limit.max(if question.is_some() { DEPTH } else { 0 });
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
                    score: if question.is_some() {
                        part(rank)
                    } else {
                        ranked.score
                    },
                    ..Places::default()
                },
            );
        }
        if let Some(question) = &question {
            for (position, rank) in self.near(&deep, question).into_iter().zip(1..) {
                let at = places.entry(position).or_default();
                at.meaning = Some(rank);
                at.score += MEANING * part(rank);
            }
        }
        let score = |position: &u32| places.get(position).map_or(0.0, |at| at.score);
        let positions: Vec<u32> = places.keys().copied().collect();
        let found = best(&positions, query.limit, score).into_iter();
        let found = found.filter_map(|position| {
            let (entry, place) = (at(&self.entries, position)?, places.get(&position)?);
            let similarity = question.as_ref();
            Some(FoundEntry {
                id: entry.id.clone(),
                score: place.score,
                coverage: place.coverage,
                words_rank: place.words,
                meaning_rank: place.meaning,
                similarity: similarity.and_then(|q| self.vectors.similarity(entry.vector, q)),
            })
        });
        found.collect()
    }

    /// The entries that mean the nearest to a question, the nearest first.
    fn near(&self, query: &RankingQuery<'_>, question: &Code) -> Vec<u32> {
        let wanted = |position| self.is_wanted(query, position);
        let nearest = self.vectors.nearest(question, 2 * query.limit, wanted);
        let similarity = |position: u32| {
            let vector = at(&self.entries, position)?.vector;
            self.vectors.similarity(vector, question)
        };
        let score = |position: &u32| -> f32 {
            let (Some(entry), Some(place)) =
                (at(&self.entries, *position), at(&self.places, *position))
            else {
                return 0.0;
            };
            let neighbours = [place.previous, place.next].into_iter();
            let neighbours: f32 = neighbours.filter_map(similarity).map(|n| n.max(0.0)).sum();
            let own = similarity(*position).unwrap_or_default();
            own + NEIGHBOUR * neighbours + BESIDES * besides(entry, query)
        };
        let positions: Vec<u32> = nearest.into_iter().map(|(position, _)| position).collect();
        best(&positions, query.limit, score)
    }
}

/// What a place in a ranking counts.
fn part(rank: u16) -> f32 {
    1.0 / (SMOOTHING + f32::from(rank))
}
