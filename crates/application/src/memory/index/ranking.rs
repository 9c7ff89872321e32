//! What of an index answers a question best.
//!
//! Okapi BM25 over *windows*: an entry counts what its neighbours in the conversation say too, each by a weight, because
//! an answer rarely repeats the words of its question. To this come the whole session's own BM25, how much of the question
//! is covered at all, related words (same beginning; words of the best answers so far), who speaks, and when. The weights
//! were found on transcripts of long conversations by random search; none of them is sharp.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use majordomo_domain::Timestamp;

use super::sessions::SessionSums;
use super::{Entry, MemoryIndex, NONE, Place, Posting, at, at_mut, prefix, to_f32};
use crate::memory::words;
use crate::ports::RememberedId;

/// BM25: how soon repeating a word stops to count, and how much long texts are held back.
const K1: f32 = 1.2;
const B: f32 = 0.41;
/// What the next entries of the conversation add to an entry, and the ones before it.
const NEXT: [f32; 2] = [0.24, 0.08];
const BEFORE: [f32; 2] = [0.01, 0.25];
/// What a question adds to the entry right after it, besides.
const ANSWERED_QUESTION: f32 = 0.69;
/// What the whole session adds, against the best entry's 1.
const SESSION: f32 = 0.32;
/// What covering all of the question adds.
const COVERAGE: f32 = 0.32;
/// What being said by somebody the question names adds.
const SPEAKER: f32 = 0.26;
/// What telling a time adds where the question asks for one.
const TIME: f32 = 0.12;
/// What being said in the time that the question names adds, and what being said soon after it: people tell of what was.
const DATED: f32 = 0.9;
const SOON_AFTER: f32 = 0.6;
/// What is soon, in seconds: thirty days.
const SOON: i64 = 30 * 86_400;
/// What the most important entry has before the least important one.
const IMPORTANCE: f32 = 0.1;
/// What a new entry has before a very old one; halves every thirty days.
const RECENCY: f32 = 0.02;
const RECENCY_DAYS: f32 = 30.0;
/// What words with the same beginning count.
const RELATED: f32 = 0.63;
/// Related words of one word at most.
const MAX_RELATED: usize = 16;
/// What words of the best answers so far count, how many answers are read and how many words taken.
const FEEDBACK: f32 = 0.19;
const FEEDBACK_ENTRIES: usize = 5;
const FEEDBACK_WORDS: usize = 8;
/// Words of a question that count.
const MAX_WORDS: usize = 32;
/// The newest entries of a word that count: what stands everywhere tells little, and must not cost much.
const MAX_POSTINGS: usize = 10_000;

/// Lists kept for the next questions.
const MAX_SPARE: usize = 2;

/// A question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RankingQuery<'a> {
    /// In plain words.
    pub(crate) text: &'a str,
    /// Now.
    pub(crate) now: Timestamp,
    /// The time that the question names, from and to.
    pub(crate) dates: Option<(Timestamp, Timestamp)>,
    /// At most this many answers.
    pub(crate) limit: usize,
    /// Whether stored messages are answers too.
    pub(crate) turns: bool,
    /// The newest entries of a word that count, at most.
    pub(crate) postings: usize,
    /// Whether words of the best answers are looked for too: better and slower.
    pub(crate) feedback: bool,
}

impl RankingQuery<'_> {
    /// The same with another text.
    pub(crate) const fn asking<'a>(&self, text: &'a str) -> RankingQuery<'a> {
        RankingQuery {
            text,
            now: self.now,
            dates: self.dates,
            limit: self.limit,
            turns: self.turns,
            postings: self.postings,
            feedback: self.feedback,
        }
    }
}

/// An answer by words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RankedEntry {
    pub(super) position: u32,
    /// Larger is better; comparable within one answer only.
    pub(crate) score: f32,
    /// The share of the question's words, by what they tell, that it or its neighbours hold.
    pub(crate) coverage: f32,
}

/// Sums for each entry, and which entries have one.
#[derive(Debug, Default)]
pub(super) struct Sums {
    windows: Vec<f32>,
    in_window: Vec<u32>,
    scores: Vec<f32>,
    coverage: Vec<f32>,
    found: Vec<u32>,
    sessions: SessionSums,
}

pub(super) fn count(list_length: usize) -> f32 {
    u32::try_from(list_length).map_or(f32::MAX, |count| {
        #[expect(
            clippy::cast_precision_loss,
            clippy::as_conversions,
            reason = "statistics need no more than seven digits"
        )]
        let count = count as f32;
        count
    })
}

/// What holding a word tells, when `holders` of `all` hold it.
pub(super) fn inverse_frequency(all: f32, holders: f32) -> f32 {
    (1.0 + (all - holders + 0.5).max(0.0) / (holders + 0.5)).ln()
}

pub(super) fn saturated(frequency: f32, length: f32, b: f32) -> f32 {
    frequency * (K1 + 1.0) / (frequency + K1 * (1.0 - b + b * length))
}

/// A word to look for.
pub(super) struct Wanted {
    pub(super) word: u32,
    pub(super) weight: f32,
    /// Whether it stands in the question itself.
    pub(super) is_asked: bool,
}

impl MemoryIndex {
    /// The entries that answer best, best first.
    pub(crate) fn rank(&self, query: &RankingQuery<'_>) -> Vec<RankedEntry> {
        if query.limit == 0 || self.len() == 0 {
            return Vec::new();
        }
        let asked = self.asked(query.text);
        let mut wanted = self.with_related(&asked);
        if wanted.is_empty() {
            return Vec::new();
        }
        let mut sums = self.take_sums();
        for word in &wanted {
            self.add_word(word, query.postings, &mut sums);
        }
        if query.feedback {
            let told = self.told_by_best(&sums, &wanted);
            for word in &told {
                self.add_word(word, query.postings, &mut sums);
            }
            wanted.extend(told);
        }
        self.add_sessions(&wanted, query.postings, &mut sums.sessions);
        let ranked = self.weigh_up(query, &asked, &sums);
        self.keep_sums(sums);
        ranked
    }

    /// Whether the question may be answered by such an entry.
    pub(super) fn is_wanted(&self, query: &RankingQuery<'_>, position: u32) -> bool {
        let is_there = at(&self.places, position).is_some_and(|place| !place.is_removed);
        let is_memory = |entry: &Entry| matches!(entry.id, RememberedId::Memory(_));
        is_there && (query.turns || at(&self.entries, position).is_some_and(is_memory))
    }

    /// Sums that are all zero, one for each entry.
    fn take_sums(&self) -> Sums {
        let mut sums = self
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default();
        for list in [&mut sums.windows, &mut sums.scores, &mut sums.coverage] {
            list.resize(self.entries.len(), 0.0);
        }
        sums.sessions.resize(self.sessions.len());
        sums
    }

    /// Keeps the lists for the next question: making them anew costs more than most questions.
    fn keep_sums(&self, mut sums: Sums) {
        for position in sums.found.drain(..) {
            for list in [&mut sums.scores, &mut sums.coverage] {
                if let Some(sum) = at_mut(list, position) {
                    *sum = 0.0;
                }
            }
        }
        sums.sessions.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE {
            spare.push(sums);
        }
    }

    /// The words of a question that stand anywhere, each once; of many those that tell the most.
    fn asked(&self, text: &str) -> Vec<u32> {
        let mut seen = HashSet::new();
        let stems = words::question_stems(text).into_iter();
        let known = stems.filter_map(|stem| self.by_stem.get(stem.as_str()).copied());
        let known: Vec<u32> = known.filter(|word| seen.insert(*word)).collect();
        if known.len() > MAX_WORDS {
            return best(&known, MAX_WORDS, |word| self.tells(*word));
        }
        known
    }

    fn with_related(&self, asked: &[u32]) -> Vec<Wanted> {
        let mut wanted: Vec<Wanted> = asked
            .iter()
            .map(|word| Wanted {
                word: *word,
                weight: 1.0,
                is_asked: true,
            })
            .collect();
        let mut seen: HashSet<u32> = asked.iter().copied().collect();
        for word in asked {
            let stem = at(&self.words, *word).map(|word| &*word.stem);
            let related = stem.and_then(prefix).and_then(|p| self.by_prefix.get(&p));
            for word in related.into_iter().flatten().take(MAX_RELATED) {
                if seen.insert(*word) {
                    wanted.push(Wanted {
                        word: *word,
                        weight: RELATED,
                        is_asked: false,
                    });
                }
            }
        }
        wanted
    }

    pub(super) fn postings(&self, word: u32, most: usize) -> &[Posting] {
        let postings = at(&self.words, word).map_or(&[][..], |word| &word.postings);
        let older = postings.len().saturating_sub(most.min(MAX_POSTINGS));
        postings.get(older..).unwrap_or_default()
    }

    fn tells(&self, word: u32) -> f32 {
        let holders = at(&self.words, word).map_or(0, |word| word.postings.len());
        inverse_frequency(count(self.entries.len()), count(holders))
    }

    /// Adds what one word says for each entry and its window.
    fn add_word(&self, wanted: &Wanted, most: usize, sums: &mut Sums) {
        let tells = self.tells(wanted.word);
        for posting in self.postings(wanted.word, most) {
            let Some(place) = at(&self.places, posting.entry).filter(|place| !place.is_removed)
            else {
                continue;
            };
            let times = f32::from(posting.count);
            sums.add_to_window(posting.entry, times);
            // To its predecessors this is what comes next; to its successors what came before.
            let [previous, earlier] = self.before(place);
            sums.add_to_window(previous, NEXT[0] * times);
            sums.add_to_window(earlier, NEXT[1] * times);
            let [next, later] = self.behind(place);
            sums.add_to_window(next, (BEFORE[0] + answers(place)) * times);
            sums.add_to_window(later, BEFORE[1] * times);
        }
        let mean = to_f32(self.mean_window());
        let in_window = std::mem::take(&mut sums.in_window);
        for position in &in_window {
            let Some(place) = at(&self.places, *position) else {
                continue;
            };
            let times = at_mut(&mut sums.windows, *position).map_or(0.0, std::mem::take);
            if place.is_removed {
                continue;
            }
            let score = wanted.weight * tells * saturated(times, place.window / mean, B);
            if let Some(sum) = at_mut(&mut sums.scores, *position) {
                if *sum == 0.0 {
                    sums.found.push(*position);
                }
                *sum += score;
            }
            if wanted.is_asked
                && let Some(covered) = at_mut(&mut sums.coverage, *position)
            {
                *covered += tells;
            }
        }
        sums.in_window = in_window;
        sums.in_window.clear();
    }

    fn before(&self, place: &Place) -> [u32; 2] {
        let earlier = at(&self.places, place.previous).map_or(NONE, |place| place.previous);
        [place.previous, earlier]
    }

    fn behind(&self, place: &Place) -> [u32; 2] {
        let later = at(&self.places, place.next).map_or(NONE, |place| place.next);
        [place.next, later]
    }

    /// Words of the entry at `position` and, by their weights, of its neighbours.
    pub(super) fn window_length(&self, position: u32) -> f32 {
        let Some(place) = at(&self.places, position) else {
            return 0.0;
        };
        let length = |position| at(&self.entries, position).map_or(0.0, |entry| entry.length);
        let [next, later] = self.behind(place);
        let [previous, earlier] = self.before(place);
        let answer = at(&self.places, previous).map_or(0.0, answers);
        length(position)
            + NEXT[0] * length(next)
            + NEXT[1] * length(later)
            + (BEFORE[0] + answer) * length(previous)
            + BEFORE[1] * length(earlier)
    }

    /// The mean length of a window, as if all entries had all neighbours.
    fn mean_window(&self) -> f64 {
        let entries = f64::from(u32::try_from(self.entries.len()).unwrap_or(NONE)).max(1.0);
        let weights = if self.sessions.is_empty() {
            0.0
        } else {
            f64::from(NEXT[0] + NEXT[1] + BEFORE[0] + BEFORE[1])
        };
        (self.total_length / entries * (1.0 + weights)).max(1.0)
    }

    /// Words that tell what the best answers so far are about.
    fn told_by_best(&self, sums: &Sums, wanted: &[Wanted]) -> Vec<Wanted> {
        let score = |position: &u32| at(&sums.scores, *position).copied().unwrap_or(0.0);
        let best = best(&sums.found, FEEDBACK_ENTRIES, score);
        let known: HashSet<u32> = wanted.iter().map(|wanted| wanted.word).collect();
        let mut told: HashMap<u32, f32> = HashMap::new();
        for position in best {
            let words = at(&self.entries, position).map_or(&[][..], |entry| &entry.words);
            for occurrence in words.iter().filter(|o| !known.contains(&o.word)) {
                let telling = at(&self.words, occurrence.word)
                    .is_some_and(|word| words::is_telling(&word.stem));
                if telling {
                    *told.entry(occurrence.word).or_default() +=
                        self.tells(occurrence.word) * score(&position);
                }
            }
        }
        let candidates: Vec<u32> = told.keys().copied().collect();
        best_words(&candidates, &told)
    }

    /// Puts all signals together.
    fn weigh_up(&self, query: &RankingQuery<'_>, asked: &[u32], sums: &Sums) -> Vec<RankedEntry> {
        let top = sums
            .found
            .iter()
            .filter_map(|position| at(&sums.scores, *position));
        let top = top.copied().fold(f32::MIN_POSITIVE, f32::max);
        let top_session = sums.sessions.top();
        let all_tell: f32 = asked.iter().map(|word| self.tells(*word)).sum();
        let all_tell = all_tell.max(f32::MIN_POSITIVE);
        let asks_when = words::asks_when(query.text);
        let score = |position: &u32| -> f32 {
            let (Some(entry), Some(place)) =
                (at(&self.entries, *position), at(&self.places, *position))
            else {
                return 0.0;
            };
            let sum = |sums: &[f32]| at(sums, *position).copied().unwrap_or(0.0);
            let session = sums.sessions.score(place.session);
            let when = |holds: bool, weight: f32| if holds { weight } else { 0.0 };
            sum(&sums.scores) / top
                + SESSION * session / top_session
                + COVERAGE * sum(&sums.coverage) / all_tell
                + when(asked.contains(&entry.speaker), SPEAKER)
                + when(asks_when && entry.tells_time, TIME)
                + besides(entry, query)
        };
        let found = sums.found.iter().copied();
        let wanted: Vec<u32> = found.filter(|at| self.is_wanted(query, *at)).collect();
        let ranked = best(&wanted, query.limit, score);
        let ranked = ranked.into_iter().filter_map(|position| {
            Some(RankedEntry {
                position,
                score: score(&position),
                coverage: at(&sums.coverage, position).copied()? / all_tell,
            })
        });
        ranked.collect()
    }
}

impl Sums {
    fn add_to_window(&mut self, position: u32, times: f32) {
        if let Some(sum) = at_mut(&mut self.windows, position) {
            if *sum == 0.0 {
                self.in_window.push(position);
            }
            *sum += times;
        }
    }
}

/// What a question adds to the entry right after it.
fn answers(place: &Place) -> f32 {
    if place.is_question {
        ANSWERED_QUESTION
    } else {
        0.0
    }
}

/// What an entry has by itself, whatever it says: lying in the time that is asked for, importance, age.
pub(super) fn besides(entry: &Entry, query: &RankingQuery<'_>) -> f32 {
    let dated = query.dates.map(|dates| dated(dates, entry.created_at));
    dated.unwrap_or_default()
        + IMPORTANCE * entry.importance
        + RECENCY * recency(entry.created_at, query.now)
}

/// What the time `at` adds where the question names the time between the other two.
fn dated((from, to): (Timestamp, Timestamp), at: Timestamp) -> f32 {
    if at < from {
        0.0
    } else if at < to {
        DATED
    } else if at.as_secs().saturating_sub(to.as_secs()) < SOON {
        SOON_AFTER
    } else {
        0.0
    }
}

/// 1 for now, one half after thirty days.
fn recency(at: Timestamp, now: Timestamp) -> f32 {
    let age = now.as_secs().saturating_sub(at.as_secs()).max(0) / 86_400;
    let days = f32::from(u16::try_from(age).unwrap_or(u16::MAX));
    (-days / RECENCY_DAYS).exp2()
}

/// The `most` positions with the largest scores, the largest first; of equal ones the newest.
pub(super) fn best(positions: &[u32], most: usize, score: impl Fn(&u32) -> f32) -> Vec<u32> {
    let mut scored: Vec<(f32, u32)> = positions.iter().map(|p| (score(p), *p)).collect();
    let better = |a: &(f32, u32), b: &(f32, u32)| -> Ordering {
        b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1))
    };
    if scored.len() > most {
        scored.select_nth_unstable_by(most, better);
        scored.truncate(most);
    }
    scored.sort_unstable_by(better);
    scored.into_iter().map(|(_, position)| position).collect()
}

fn best_words(candidates: &[u32], told: &HashMap<u32, f32>) -> Vec<Wanted> {
    let score = |word: &u32| told.get(word).copied().unwrap_or(0.0);
    let words = best(candidates, FEEDBACK_WORDS, score);
    let wanted = words.into_iter().map(|word| Wanted {
        word,
        weight: FEEDBACK,
        is_asked: false,
    });
    wanted.collect()
}
