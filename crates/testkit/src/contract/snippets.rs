//! What a search hit must show of its message.

use super::Stores;
use super::search::{highlighted, hits, number_of, say};
use crate::fold::fold;

/// The snippet is a part of the text, and the match is in it.
pub async fn a_snippet_is_short_and_holds_the_match(stores: Stores) {
    let filler = "many words that lead nowhere ".repeat(40);
    let (start, middle, end) = (
        format!("harbour {filler}"),
        format!("{filler}harbour {filler}"),
        format!("{filler}harbour"),
    );
    say(&stores, &[&start, &middle, &end]).await;
    let hits = hits(&stores, "harbour").await;
    assert_eq!(hits.len(), 3);
    for hit in hits {
        let text = match number_of(&hit) {
            1 => &start,
            2 => &middle,
            _ => &end,
        };
        assert!(text.contains(hit.snippet.trim_matches('…')), "{hit:?}");
        assert_eq!(highlighted(&hit), ["harbour"]);
    }
}

/// Lengths are counted in characters, and none is cut in two.
pub async fn a_snippet_of_wide_characters_is_cut_between_them(stores: Stores) {
    let filler = "ünïcödé 🦀🏛 слово ".repeat(30);
    let text = format!("{filler}harbour {filler}");
    let glued = format!("{}harbour", "🦀".repeat(500));
    say(&stores, &[&text, &glued]).await;
    let hits = hits(&stores, "harbour").await;
    assert_eq!(hits.len(), 2);
    for hit in hits {
        let text = if number_of(&hit) == 1 { &text } else { &glued };
        assert!(text.contains(hit.snippet.trim_matches('…')), "{hit:?}");
        assert_eq!(highlighted(&hit), ["harbour"]);
    }
}

/// Every occurrence of a query word in the snippet is highlighted, as it is written there.
pub async fn highlights_point_at_the_words(stores: Stores) {
    say(
        &stores,
        &["Äpfel: a Lantern, the HARBOUR & a harbour's lantern"],
    )
    .await;
    let hits = hits(&stores, "harbour lantern").await;
    let [hit] = hits.as_slice() else {
        panic!("expected one hit, got {hits:?}");
    };
    let words = highlighted(hit);
    assert_eq!(words.len(), 4, "{words:?}");
    for (word, expected) in words
        .iter()
        .zip(["lantern", "harbour", "harbour", "lantern"])
    {
        assert!(fold(word).starts_with(expected), "{words:?}");
    }
    let hits = super::search::hits(&stores, "apf").await;
    let words: Vec<_> = hits.iter().flat_map(highlighted).collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(
        words.iter().all(|word| word.starts_with("Äpf")),
        "{words:?}"
    );
}
