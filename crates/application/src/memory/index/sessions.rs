//! Scores each session as one long text.

use super::ranking::{Wanted, count, inverse_frequency, saturated};
use super::{MemoryIndex, at, at_mut};

/// BM25: how much long sessions are held back.
const B: f32 = 0.7;
/// How much of a session's score all words looked for decide, and not only those of the question.
const ALL_WORDS: f32 = 0.45;

/// Sums for each session, and which sessions have one.
#[derive(Debug, Default)]
pub(super) struct SessionSums {
    /// How often the word at hand stands in a session.
    times: Vec<f32>,
    holders: Vec<u32>,
    /// By the words of the question, and by all words looked for; at the end what both make.
    asked: Vec<f32>,
    all: Vec<f32>,
    found: Vec<u32>,
}

impl SessionSums {
    /// Makes room for so many sessions.
    pub(super) fn resize(&mut self, sessions: usize) {
        for list in [&mut self.times, &mut self.asked, &mut self.all] {
            list.resize(sessions, 0.0);
        }
    }

    /// The score of a session, if there is one.
    pub(super) fn score(&self, session: u32) -> f32 {
        at(&self.all, session).copied().unwrap_or(0.0)
    }

    /// The best score.
    pub(super) fn top(&self) -> f32 {
        top(&self.all, &self.found)
    }

    /// Makes all sums zero again.
    pub(super) fn clear(&mut self) {
        for session in self.found.drain(..) {
            for list in [&mut self.asked, &mut self.all] {
                if let Some(sum) = at_mut(list, session) {
                    *sum = 0.0;
                }
            }
        }
    }

    fn hold(&mut self, session: u32, times: f32) {
        if let Some(sum) = at_mut(&mut self.times, session) {
            if *sum == 0.0 {
                self.holders.push(session);
            }
            *sum += times;
        }
    }

    fn add(&mut self, session: u32, score: f32, wanted: &Wanted) {
        if let Some(sum) = at_mut(&mut self.all, session) {
            if *sum == 0.0 {
                self.found.push(session);
            }
            *sum += wanted.weight * score;
        }
        if wanted.is_asked
            && let Some(sum) = at_mut(&mut self.asked, session)
        {
            *sum += score;
        }
    }
}

fn top(scores: &[f32], found: &[u32]) -> f32 {
    let scores = found.iter().filter_map(|session| at(scores, *session));
    scores.copied().fold(f32::MIN_POSITIVE, f32::max)
}

impl MemoryIndex {
    /// Scores the sessions: once by the words of the question, once by all words looked for.
    pub(super) fn add_sessions(&self, wanted: &[Wanted], most: usize, sums: &mut SessionSums) {
        let sessions = count(self.sessions.len());
        let mean = (self.sessions_length / sessions.max(1.0)).max(1.0);
        for word in wanted {
            for posting in self.postings(word.word, most) {
                if let Some(place) = at(&self.places, posting.entry) {
                    sums.hold(place.session, f32::from(posting.count));
                }
            }
            let tells = inverse_frequency(sessions, count(sums.holders.len()));
            let mut holders = std::mem::take(&mut sums.holders);
            for session in holders.drain(..) {
                let times = at_mut(&mut sums.times, session).map_or(0.0, std::mem::take);
                let length = at(&self.sessions, session).map_or(0.0, |session| session.length);
                let score = tells * saturated(times, length / mean, B);
                sums.add(session, score, word);
            }
            sums.holders = holders;
        }
        let (top_asked, top_all) = (top(&sums.asked, &sums.found), sums.top());
        for session in &sums.found {
            let asked = at(&sums.asked, *session).copied().unwrap_or(0.0) / top_asked;
            if let Some(sum) = at_mut(&mut sums.all, *session) {
                *sum = (1.0 - ALL_WORDS) * asked + ALL_WORDS * *sum / top_all;
            }
        }
    }
}
