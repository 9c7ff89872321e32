//! Ranking and snippets.

use super::*;
use crate::repositories::words::query_words;

fn find(query: &str, text: &str) -> (String, Vec<String>) {
    let words = query_words(query);
    let found = Matcher::new(&words).find(text);
    let (snippet, highlights) = snippet(text, &found.places);
    let marked = highlights
        .iter()
        .map(|(start, end)| snippet.chars().skip(*start).take(end - start).collect())
        .collect();
    (snippet, marked)
}

#[test]
fn highlights_point_at_forms_of_the_words() {
    let (_, marked) = find("store ÜBER rust", "Über stored things: RUSTACEANS store");
    assert_eq!(marked, ["Über", "stored", "RUSTACEANS", "store"]);
}

#[test]
fn only_the_last_word_may_be_a_beginning() {
    let (_, marked) = find("rust sto", "rustacean storage rust");
    assert_eq!(marked, ["storage", "rust"]);
}

#[test]
fn a_snippet_is_cut_on_characters_and_holds_the_match() {
    let text = format!("{} needle {}", "日本語 ".repeat(200), "ß".repeat(500));
    let (snippet, marked) = find("needle", &text);
    assert!(snippet.chars().count() <= SNIPPET_CHARS);
    assert_eq!(marked, ["needle"]);
    let (whole, _) = find("absent", "a short text");
    assert_eq!(whole, "a short text");
}

#[test]
fn repetition_and_brevity_rank_higher() {
    let words = query_words("rust");
    let matcher = Matcher::new(&words);
    let score = |text: &str| matcher.find(text).score(8.0);
    assert!(score("rust and rust again") > score("rust and more again"));
    assert!(score("rust") > score("rust with very many other words around it"));
    assert!(score("rust") > score("rustic"));
}

#[test]
fn a_query_is_bounded() {
    let many: Vec<String> = (0..100).map(|n| format!("word{n}")).collect();
    assert_eq!(query_words(&many.join(" ")).len(), 16);
    assert!(query_words("\" * ( ) : ^ - \u{1F600}").is_empty());
    assert_eq!(query_words("a B a"), ["b", "a"]);
    assert_eq!(query_words(&"x".repeat(10_000)), ["x".repeat(64)]);
}
