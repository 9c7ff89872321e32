//! Full-text search: the index names the newest messages that match, and they are ranked and cut to snippets here, in
//! the same way for both databases.

use std::collections::HashSet;

use diesel::prelude::Queryable;
use majordomo_application::ports::{RepositoryError, SearchHit};
use majordomo_domain::{MessageId, Role, SessionId, Timestamp, UserId};

use super::error::{Outcome, corrupt};
use super::words::{each_word, stem};
use crate::backend::{self, Conn};

/// How many of the newest matching messages are ranked. Ranking all of a million matches would take seconds.
const MIN_CANDIDATES: u32 = 256;
/// Most hits of one search.
const MAX_HITS: u32 = 1_000;
/// Longest snippet, in characters.
const SNIPPET_CHARS: usize = 200;
/// How much of the text before the first match a snippet shows at most, in characters.
const LEAD_CHARS: usize = 60;
/// Okapi BM25: how fast repetitions of a word count less.
const K1: f64 = 1.2;
/// Okapi BM25: how much long texts are held back.
const B: f64 = 0.75;
/// What a word counts that only begins with the query's last word.
const PREFIX_WEIGHT: f64 = 0.5;

/// A message that matches, as the backend's query yields it, in this order.
#[derive(Queryable)]
pub(crate) struct Candidate {
    message: String,
    session: String,
    role: String,
    text: String,
    created_at: i64,
    title: String,
    channel: String,
    last_activity: i64,
}

/// The owner's messages that hold every word, best first. The last word may be the beginning of one.
pub(super) async fn run(
    conn: &mut Conn,
    owner: &UserId,
    words: &[String],
    limit: u32,
) -> Outcome<Vec<SearchHit>> {
    let limit = limit.min(MAX_HITS);
    let newest = limit.max(MIN_CANDIDATES);
    let owner = owner.as_str();
    let mut candidates = backend::candidates(conn, owner, words, false, newest).await?;
    // Whole words first: they are the better hits, and the cheaper question where very many messages match.
    if candidates.len() < limit as usize {
        let known: HashSet<String> = candidates.iter().map(|c| c.message.clone()).collect();
        let begun = backend::candidates(conn, owner, words, true, newest).await?;
        candidates.extend(begun.into_iter().filter(|c| !known.contains(&c.message)));
    }
    for candidate in &mut candidates {
        candidate.text = backend::decode_text(std::mem::take(&mut candidate.text));
    }
    let matcher = Matcher::new(words);
    let found: Vec<Found> = candidates.iter().map(|c| matcher.find(&c.text)).collect();
    let mean_words = mean(found.iter().map(|found| found.words));
    let mut ranked: Vec<(f64, Candidate, Found)> = candidates
        .into_iter()
        .zip(found)
        .map(|(candidate, found)| (found.score(mean_words), candidate, found))
        .collect();
    ranked.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then_with(|| b.1.created_at.cmp(&a.1.created_at))
            .then_with(|| b.1.message.cmp(&a.1.message))
    });
    ranked.truncate(limit as usize);
    let hits: Result<_, RepositoryError> = ranked
        .into_iter()
        .map(|(score, candidate, found)| hit(score, candidate, &found.places))
        .collect();
    Ok(hits?)
}

fn mean(counts: impl ExactSizeIterator<Item = u32>) -> f64 {
    let texts = u32::try_from(counts.len()).unwrap_or(u32::MAX).max(1);
    counts.map(f64::from).sum::<f64>() / f64::from(texts)
}

fn hit(
    score: f64,
    candidate: Candidate,
    places: &[(usize, usize)],
) -> Result<SearchHit, RepositoryError> {
    let bad = |column| corrupt("messages", column, &candidate.message);
    let (snippet, highlights) = snippet(&candidate.text, places);
    Ok(SearchHit {
        session: SessionId::parse(candidate.session).map_err(|_| bad("session_id"))?,
        title: backend::decode_text(candidate.title),
        channel: candidate.channel,
        last_activity: Timestamp::from_micros(candidate.last_activity),
        role: Role::parse(&candidate.role).ok_or_else(|| bad("role"))?,
        message: MessageId::parse(candidate.message.as_str()).map_err(|_| bad("id"))?,
        snippet,
        highlights,
        created_at: Timestamp::from_micros(candidate.created_at),
        score,
    })
}

/// Finds a query's words in texts.
struct Matcher<'a> {
    words: Vec<(&'a str, &'a str)>,
}

/// What of a query stands in a text.
struct Found {
    /// Words of the text.
    words: u32,
    /// For each word of the query, how often it stands in the text; a mere beginning counts less than one.
    frequencies: Vec<f64>,
    /// Where words of the query stand, in characters.
    places: Vec<(usize, usize)>,
}

impl<'a> Matcher<'a> {
    fn new(words: &'a [String]) -> Self {
        Self {
            words: words.iter().map(|word| (&**word, stem(word))).collect(),
        }
    }

    fn find(&self, text: &str) -> Found {
        let mut found = Found {
            words: 0,
            frequencies: vec![0.0; self.words.len()],
            places: Vec::new(),
        };
        let last = self.words.len().saturating_sub(1);
        each_word(text, |word| {
            found.words = found.words.saturating_add(1);
            let word_stem = stem(word.folded);
            let mut matches = false;
            for (index, (frequency, (text, stem))) in
                found.frequencies.iter_mut().zip(&self.words).enumerate()
            {
                if word_stem == *stem || word.folded == *text {
                    *frequency += 1.0;
                    matches = true;
                } else if index == last && word.folded.starts_with(*text) {
                    *frequency += PREFIX_WEIGHT;
                    matches = true;
                }
            }
            if matches {
                found.places.push((word.start, word.end));
            }
        });
        found
    }
}

impl Found {
    /// Okapi BM25 without the inverse document frequency: every candidate holds every word.
    fn score(&self, mean_words: f64) -> f64 {
        let length = f64::from(self.words) / mean_words.max(1.0);
        let held_back = K1 * (1.0 - B + B * length);
        self.frequencies
            .iter()
            .map(|frequency| frequency * (K1 + 1.0) / (frequency + held_back))
            .sum()
    }
}

/// Cuts the part around the first of `places` out of `text`, and moves the places with it.
fn snippet(text: &str, places: &[(usize, usize)]) -> (String, Vec<(usize, usize)>) {
    let first = places.first().map_or(0, |place| place.0);
    let total = text.chars().count();
    let latest = total.saturating_sub(SNIPPET_CHARS);
    let earliest = first.saturating_sub(LEAD_CHARS).min(latest);
    let start = word_boundary(text, earliest, first);
    let snippet: String = text.chars().skip(start).take(SNIPPET_CHARS).collect();
    let end = start + SNIPPET_CHARS;
    let highlights = places
        .iter()
        .filter(|place| place.0 >= start && place.1 <= end)
        .map(|place| (place.0 - start, place.1 - start))
        .collect();
    (snippet, highlights)
}

/// The first beginning of a word from `earliest` up to `first`.
fn word_boundary(text: &str, earliest: usize, first: usize) -> usize {
    if earliest == 0 {
        return 0;
    }
    text.chars()
        .enumerate()
        .skip(earliest.saturating_sub(1))
        .take_while(|(position, _)| *position < first)
        .find(|(_, c)| c.is_whitespace())
        .map_or(earliest, |(position, _)| position + 1)
}

#[cfg(test)]
mod tests;
