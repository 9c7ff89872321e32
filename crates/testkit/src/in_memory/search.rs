//! Search by reading every message.

use majordomo_application::ports::SearchHit;
use majordomo_domain::{Message, Session};

use crate::fold::{Word, words};

/// Longest snippet, in characters.
const SNIPPET_CHARS: usize = 200;
/// Most characters of a snippet before the first match.
const LEAD_CHARS: usize = 60;

/// The words of a query.
pub(super) struct Words {
    whole: Vec<String>,
    /// The last word, which matches as a prefix.
    prefix: String,
}

impl Words {
    /// The words of `text`, or `None` when it holds none.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut whole: Vec<String> = words(text).into_iter().map(|word| word.folded).collect();
        let prefix = whole.pop()?;
        Some(Self { whole, prefix })
    }

    fn matches(&self, word: &Word) -> bool {
        self.whole.contains(&word.folded) || word.folded.starts_with(&self.prefix)
    }

    /// The message as a hit, if it holds every word.
    pub(super) fn hit(&self, session: &Session, message: &Message) -> Option<SearchHit> {
        let said = words(&message.text);
        let has = |word: &String| said.iter().any(|one| one.folded == *word);
        let has_prefix = said.iter().any(|one| one.folded.starts_with(&self.prefix));
        if !has_prefix || !self.whole.iter().all(has) {
            return None;
        }
        let matched: Vec<&Word> = said.iter().filter(|word| self.matches(word)).collect();
        let shown = excerpt(&message.text, &matched);
        let score = density(matched.len(), said.len());
        Some(SearchHit::of(session, message, shown, score))
    }
}

/// The share of words that match.
fn density(matched: usize, all: usize) -> f64 {
    let as_f64 = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    as_f64(matched) / as_f64(all.max(1))
}

/// The part of `text` around the first match, and where the matches stand in it.
fn excerpt(text: &str, matched: &[&Word]) -> (String, Vec<(usize, usize)>) {
    let first = matched.first().map_or(0, |word| word.chars.start);
    let total = text.chars().count();
    let start = first
        .saturating_sub(LEAD_CHARS)
        .min(total.saturating_sub(SNIPPET_CHARS));
    let snippet: String = text.chars().skip(start).take(SNIPPET_CHARS).collect();
    let end = start + snippet.chars().count();
    let highlights = matched
        .iter()
        .map(|word| (word.chars.start, word.chars.end.min(end)))
        .filter(|&(from, to)| from >= start && from < to)
        .map(|(from, to)| (from - start, to - start))
        .collect();
    (snippet, highlights)
}
