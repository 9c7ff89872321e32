//! Words as memory's index sees them: folded runs of letters and digits, by their English stem.

use std::collections::HashSet;
use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::char::decompose_canonical;

/// Longest word in characters; what is beyond is cut off.
const MAX_WORD_CHARS: usize = 64;
/// How much of a text is read, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Longest name that can stand before what somebody says, in bytes.
const MAX_SPEAKER: usize = 40;

/// Words that say nothing of what a question is about (the usual English function words).
const STOP_WORDS: &str = "a about above after again against all am an and any are as at be because been before being \
    below between both but by can could did do does doing down during each few for from further had has have having he \
    her here hers herself him himself his how i if in into is it its itself just me more most my myself no nor not now \
    of off on once only or other our ours out over own same she should so some such than that the their theirs them \
    then there these they this those through to too under until up very was we were what when where which while who \
    whom why will with would you your yours s t d ll m re ve don isn didn doesn wasn";

/// Words that say when something happened.
const TIME_WORDS: &str = "yesterday today tomorrow tonight last next ago since week weekend month year day night \
    morning evening monday tuesday wednesday thursday friday saturday sunday january february march april may june \
    july august september october november december";

static STEMMER: LazyLock<Stemmer> = LazyLock::new(|| Stemmer::create(Algorithm::English));
static STOPPED: LazyLock<Vec<&str>> = LazyLock::new(|| sorted(STOP_WORDS.split_whitespace()));
static TIMES: LazyLock<Vec<String>> =
    LazyLock::new(|| sorted(TIME_WORDS.split_whitespace().map(stem)));

fn sorted<T: Ord>(words: impl Iterator<Item = T>) -> Vec<T> {
    let mut words: Vec<T> = words.collect();
    words.sort();
    words
}

/// The stem of a folded word.
fn stem(word: &str) -> String {
    if word.is_ascii() {
        STEMMER.stem(word).into_owned()
    } else {
        word.to_owned()
    }
}

/// Whether a folded word says nothing of what a question is about.
fn is_stop_word(word: &str) -> bool {
    STOPPED.binary_search(&word).is_ok()
}

/// Whether a stem says when something happened: a word of time, or a year.
pub(super) fn is_time(stem: &str) -> bool {
    let is_year = stem.len() == 4
        && stem.bytes().all(|byte| byte.is_ascii_digit())
        && (stem.starts_with("19") || stem.starts_with("20"));
    is_year
        || TIMES
            .binary_search_by(|time| time.as_str().cmp(stem))
            .is_ok()
}

/// The stems of a text's words, in order, all of them.
pub(super) fn stems(text: &str) -> Vec<String> {
    let mut stems = Vec::with_capacity(text.len() / 6);
    each_word(text, |word| stems.push(stem(word)));
    stems
}

/// The stems of a question that tell what it is about, in order; of a question of nothing but function words, all.
pub(super) fn question_stems(text: &str) -> Vec<String> {
    let mut stems = Vec::new();
    each_word(text, |word| {
        if !is_stop_word(word) {
            stems.push(stem(word));
        }
    });
    if stems.is_empty() {
        return self::stems(text);
    }
    stems
}

/// A count of words, for shares.
fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// How alike two texts are: the share of their different stems that both have. 1 where both have none.
pub(super) fn likeness(one: &str, other: &str) -> f64 {
    let set = |text| stems(text).into_iter().collect::<HashSet<_>>();
    let (one, other) = (set(one), set(other));
    let all = number(one.union(&other).count());
    if all == 0.0 {
        return 1.0;
    }
    number(one.intersection(&other).count()) / all
}

/// The share of the different telling stems of `text` that `known` has too; 1 where it has none.
pub(super) fn share_known(text: &str, known: &str) -> f64 {
    let telling: HashSet<String> = question_stems(text).into_iter().collect();
    let known: HashSet<String> = stems(known).into_iter().collect();
    if telling.is_empty() {
        return 1.0;
    }
    number(telling.intersection(&known).count()) / number(telling.len())
}

/// Whether a stem tells what something is about.
pub(super) fn is_telling(stem: &str) -> bool {
    !is_stop_word(stem)
}

/// Whether a question asks when something happened.
pub(super) fn asks_when(text: &str) -> bool {
    let mut asks = false;
    each_word(text, |word| asks |= word == "when");
    asks
}

/// The stem of the first word of the name before what somebody says, as transcripts have it: `Name: what was said`.
pub(super) fn speaker(text: &str) -> Option<String> {
    let (name, said) = text.split_once(':')?;
    let is_name = name.len() <= MAX_SPEAKER
        && said.starts_with(char::is_whitespace)
        && name.starts_with(char::is_alphabetic)
        && name.split_whitespace().count() <= 3
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || " .-_'".contains(c));
    is_name.then(|| stems(name).into_iter().next()).flatten()
}

/// Calls `visit` with every word, folded: lower case, without accents and without a possessive 's. Scripts that do not
/// put spaces between words are read character by character.
fn each_word(text: &str, mut visit: impl FnMut(&str)) {
    let mut word = String::new();
    let mut length = 0;
    let end = (0..=MAX_TEXT.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let mut chars = text
        .get(..end.unwrap_or_default())
        .unwrap_or_default()
        .chars()
        .peekable();
    while let Some(c) = chars.next() {
        if is_ideographic(c) {
            flush(&mut word, &mut visit);
            fold(c, &mut word);
            flush(&mut word, &mut visit);
        } else if c.is_alphanumeric() {
            length = if word.is_empty() { 1 } else { length + 1 };
            if length <= MAX_WORD_CHARS {
                fold(c, &mut word);
            }
        } else if !is_combining(c) {
            flush(&mut word, &mut visit);
            if matches!(c, '\'' | '’') && chars.peek().is_some_and(|next| matches!(next, 's' | 'S'))
            {
                let mut rest = chars.clone();
                rest.next();
                if !rest.peek().is_some_and(|after| after.is_alphanumeric()) {
                    chars = rest;
                }
            }
        }
    }
    flush(&mut word, &mut visit);
}

fn flush(word: &mut String, visit: &mut impl FnMut(&str)) {
    if !word.is_empty() {
        visit(word);
        word.clear();
    }
}

/// Whether `c` is an accent written after its letter (Unicode block Combining Diacritical Marks).
const fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Han, Hiragana and Katakana.
const fn is_ideographic(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_stemmed() {
        assert_eq!(
            stems("Running CAFÉS, Anna's don't"),
            ["run", "cafe", "anna", "don", "t"]
        );
        assert_eq!(stems("日本"), ["日", "本"]);
        assert_eq!(
            question_stems("What did Anna's sister buy?"),
            ["anna", "sister", "buy"]
        );
        assert_eq!(question_stems("who is it"), ["who", "is", "it"]);
    }

    #[test]
    fn a_name_before_a_colon_is_who_speaks() {
        assert_eq!(speaker("Anna: hello").as_deref(), Some("anna"));
        assert_eq!(speaker("Mr. J. Smith: hello").as_deref(), Some("mr"));
        for none in [
            "hello",
            "http://x",
            "12: x",
            "I said so to her and him: x",
            ": x",
        ] {
            assert_eq!(speaker(none), None, "{none}");
        }
    }

    #[test]
    fn times_are_known() {
        assert!(is_time(&stem("weeks")) && is_time("2023") && !is_time("3023") && !is_time("tea"));
        assert!(asks_when("Since when?") && !asks_when("whenever"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_words_or_none(text in "(?s).{0,200}") {
            for stem in stems(&text) {
                proptest::prop_assert!(!stem.is_empty());
            }
        }
    }
}
