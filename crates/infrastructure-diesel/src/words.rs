//! Words as the full-text indexes see them: runs of letters and digits, without case and diacritics, by their stem.
//!
//! Both indexes are given [`index_text`], so that they agree on what a word is, whatever their own tables of characters
//! say. Stemming is theirs. The stems here only say where matches stand in a text, for ranking and highlights; they are
//! simpler than the indexes', so a rare match may go without a highlight.

use unicode_normalization::char::decompose_canonical;

/// Most words of a query that are used.
const MAX_QUERY_WORDS: usize = 16;
/// Longest word in characters; what is beyond is cut off, in the index and in queries.
const MAX_WORD_CHARS: usize = 64;
/// How much of a query is read, in characters.
const MAX_QUERY_CHARS: usize = 2_000;

/// How much of a message can be found, in characters.
const MAX_INDEXED_CHARS: usize = 100_000;

/// The words of a message, separated by spaces: what is put into the index.
pub(crate) fn index_text(text: &str) -> String {
    let end = text
        .char_indices()
        .nth(MAX_INDEXED_CHARS)
        .map_or(text.len(), |(end, _)| end);
    let mut words = String::with_capacity(text.len().min(end) + 1);
    each_word(text.get(..end).unwrap_or(text), |word| {
        words.push_str(cut(word.folded));
        words.push(' ');
    });
    words
}

/// The part of a word that is indexed and looked for.
fn cut(word: &str) -> &str {
    word.char_indices()
        .nth(MAX_WORD_CHARS)
        .and_then(|(end, _)| word.get(..end))
        .unwrap_or(word)
}

/// The words of a query as a person typed it, each once, in order.
pub(super) fn query_words(text: &str) -> Vec<String> {
    let text: String = text.chars().take(MAX_QUERY_CHARS).collect();
    let mut words: Vec<String> = Vec::new();
    each_word(&text, |word| {
        let folded = cut(word.folded);
        // A repeated word moves to the end: the last word is the one that may be unfinished.
        words.retain(|known| known != folded);
        words.push(folded.to_owned());
    });
    let surplus = words.len().saturating_sub(MAX_QUERY_WORDS);
    words.drain(..surplus);
    words
}

/// A word of a text. Positions count characters.
pub(super) struct Word<'a> {
    /// Lower case, without diacritics; never empty.
    pub(super) folded: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Calls `visit` with every word of `text`, in order.
pub(super) fn each_word(text: &str, mut visit: impl FnMut(Word<'_>)) {
    let mut folded = String::new();
    let mut start = 0;
    let mut position = 0;
    for c in text.chars() {
        if c.is_alphanumeric() {
            if folded.is_empty() {
                start = position;
            }
            fold(c, &mut folded);
        } else if !is_combining(c) && !folded.is_empty() {
            visit(Word {
                folded: &folded,
                start,
                end: position,
            });
            folded.clear();
        }
        position += 1;
    }
    if !folded.is_empty() {
        visit(Word {
            folded: &folded,
            start,
            end: position,
        });
    }
}

/// Whether `c` is an accent written after its letter (Unicode block Combining Diacritical Marks).
const fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

fn fold(c: char, folded: &mut String) {
    if c.is_ascii() {
        folded.push(c.to_ascii_lowercase());
        return;
    }
    for lower in c.to_lowercase() {
        decompose_canonical(lower, |part| {
            if !is_combining(part) {
                folded.push(part);
            }
        });
    }
}

/// What English forms of a word have in common: `run` for `runs` and `running`, `stor` for `store`, `stores`, `stored`
/// and `storing`. Words of other languages mostly stay as they are.
pub(super) fn stem(word: &str) -> &str {
    let Some(stem) = strip_ending(word).filter(|stem| stem.len() >= 3) else {
        return word;
    };
    stem
}

fn strip_ending(word: &str) -> Option<&str> {
    let verb = ["ing", "ed"].iter().find_map(|end| word.strip_suffix(end));
    let stem = if let Some(verb) = verb {
        let mut letters = verb.chars().rev();
        match (letters.next(), letters.next()) {
            (Some(last), Some(before)) if last == before && !matches!(last, 'l' | 's' | 'z') => {
                verb.strip_suffix(last)?
            }
            _ => verb,
        }
    } else if word.ends_with("ss") {
        word
    } else {
        word.strip_suffix("es")
            .or_else(|| word.strip_suffix('s'))
            .unwrap_or(word)
    };
    Some(stem.strip_suffix(['e', 'i', 'y']).unwrap_or(stem))
}
