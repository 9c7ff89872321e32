//! Makes a provider's words safe to show.

/// Longest message shown, in characters.
const MAX_CHARS: usize = 300;

/// Beginnings of well-known keys: OpenAI and Anthropic, Google, Groq, xAI, Hugging Face.
const KEY_PREFIXES: [&str; 5] = ["sk-", "AIza", "gsk_", "xai-", "hf_"];

/// One line of at most [`MAX_CHARS`] characters without our key, things that look like keys, and addresses with
/// credentials.
pub(crate) fn scrub(message: &str, key: Option<&str>) -> String {
    let without_key = match key {
        Some(key) if !key.is_empty() => message.replace(key, "***"),
        _ => message.to_owned(),
    };
    let mut clean = String::new();
    for word in without_key.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(if looks_secret(word) { "***" } else { word });
    }
    match clean.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => {
            clean.truncate(end);
            clean.push('…');
            clean
        }
        None => clean,
    }
}

fn looks_secret(word: &str) -> bool {
    let inner = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    KEY_PREFIXES.iter().any(|prefix| inner.starts_with(prefix))
        || word
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains('@'))
}
