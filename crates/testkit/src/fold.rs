//! Text as search compares it: without case and without diacritics, cut into words.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// `text` in lower case without combining marks: `Café` and `CAFE` become `cafe`.
pub fn fold(text: &str) -> String {
    text.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .collect()
}

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word folded.
    pub folded: String,
    /// Where it stands, in characters.
    pub chars: Range<usize>,
}

/// The words of `text`: runs of letters, digits and combining marks.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut current = String::new();
    let mut start = 0;
    for (position, c) in text.chars().chain([' ']).enumerate() {
        if c.is_alphanumeric() || is_combining_mark(c) {
            if current.is_empty() {
                start = position;
            }
            current.push(c);
        } else if !current.is_empty() {
            let folded = fold(&std::mem::take(&mut current));
            if !folded.is_empty() {
                let chars = start..position;
                words.push(Word { folded, chars });
            }
        }
    }
    words
}
