//! What the assistant says to what.

use majordomo_domain::Timestamp;

use super::{arithmetic, time_zone};

/// How to configure a model, as it must stand in the file.
const HOW_TO_CONFIGURE: &str = r#"To talk to a real model, add one to config.toml in the data directory:

[models]
default = "openai/gpt-5-mini"

[[models.providers]]
name = "openai"
kind = "openai"
api_key_env = "OPENAI_API_KEY"

For a model on this machine with Ollama (https://ollama.com):

[models]
default = "ollama/llama3.2"

[[models.providers]]
name = "ollama"
kind = "ollama"

The kinds are openai (and every compatible server, with base_url), anthropic, gemini and ollama. Without a config.toml it is enough to set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY before the start, or to have Ollama running. Then restart the server."#;

/// The answer to what a person said.
pub(super) fn reply(text: &str, now: Timestamp) -> String {
    if let Some(result) = arithmetic::answer(text) {
        return result;
    }
    let words = Words::of(text);
    if words.ask_for_time() {
        return time(text, now);
    }
    if words.ask_for_help() {
        return help();
    }
    if words.any(&["thanks", "thank", "thx", "cheers"]) {
        return "You are welcome!".to_owned();
    }
    if words.len() <= 4 && words.any(&["bye", "goodbye", "farewell", "cya"]) {
        return "Goodbye! This conversation is kept; come back to it whenever you like.".to_owned();
    }
    if words.phrase(&["how", "are", "you"]) {
        return "I am well, thank you, and ready. Without a model there is little I can talk about, \
                though: say \"help\" to see what I can do and how to add a model."
            .to_owned();
    }
    if words.phrase(&["who", "are", "you"]) || words.phrase(&["what", "are", "you"]) {
        return format!("I am Majordomo's built-in assistant. {}", no_model());
    }
    if words.len() <= 4
        && (words.any(&["hello", "hi", "hey", "hallo", "greetings", "howdy"])
            || words.phrase(&["good", "morning"])
            || words.phrase(&["good", "evening"]))
    {
        return greeting();
    }
    format!(
        "I cannot answer that: {}\n\n{HOW_TO_CONFIGURE}",
        no_model_clause()
    )
}

/// Hello, and what this is.
pub(super) fn greeting() -> String {
    "Hello! I am Majordomo's built-in assistant. No model is configured, so I can only tell the time and date and do \
     small sums. Say \"help\" to see how to add a model."
        .to_owned()
}

/// The answer to a picture without a word.
pub(super) fn cannot_see() -> String {
    format!(
        "I cannot see pictures: {}\n\n{HOW_TO_CONFIGURE}",
        no_model_clause()
    )
}

const fn no_model_clause() -> &'static str {
    "no model is configured, and I am only the built-in assistant."
}

fn no_model() -> String {
    "No model is configured, so I am no language model and can only tell the time and date, do small sums, and explain \
     how to add a model."
        .to_owned()
}

fn help() -> String {
    format!(
        "I am Majordomo's built-in assistant. {} Commands such as /help, /new and /sessions work as always.\n\n\
         Ask me for example:\n\
         - What time is it? What time is it in UTC+2?\n\
         - What is 12 * (3 + 4)?\n\n{HOW_TO_CONFIGURE}",
        no_model()
    )
}

fn time(text: &str, now: Timestamp) -> String {
    let zone = time_zone::offset_in(text);
    let (seconds, name) = zone.unwrap_or((0, "UTC".to_owned()));
    let local = Timestamp::from_micros(
        now.as_micros()
            .saturating_add(i64::from(seconds) * 1_000_000),
    )
    .to_utc();
    let told = local.format("It is %A, %-d %B %Y, %H:%M:%S");
    let elsewhere = if zone_is_named(text) && seconds == 0 && name == "UTC" {
        " I know no places by name; give me an offset such as UTC+2."
    } else {
        ""
    };
    format!("{told} ({name}).{elsewhere}")
}

/// Whether the question names a place: `... in Tokyo`.
fn zone_is_named(text: &str) -> bool {
    let words = Words::of(text);
    let after_in = words.0.iter().skip_while(|word| *word != "in").nth(1);
    after_in.is_some_and(|place| !["utc", "gmt", "z", "the"].contains(&place.as_str()))
}

/// The words of a text in lower case without punctuation.
struct Words(Vec<String>);

impl Words {
    fn of(text: &str) -> Self {
        let lower = text.to_lowercase().replace(['\'', '’'], "");
        let words = lower.split(|c: char| !c.is_alphanumeric());
        Self(
            words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn any(&self, wanted: &[&str]) -> bool {
        self.0.iter().any(|word| wanted.contains(&word.as_str()))
    }

    fn phrase(&self, wanted: &[&str]) -> bool {
        self.0
            .windows(wanted.len())
            .any(|window| window.iter().zip(wanted).all(|(word, want)| word == want))
    }

    fn ask_for_time(&self) -> bool {
        const PHRASES: [&[&str]; 11] = [
            &["what", "time"],
            &["whats", "the", "time"],
            &["what", "is", "the", "time"],
            &["tell", "me", "the", "time"],
            &["current", "time"],
            &["the", "date"],
            &["todays", "date"],
            &["current", "date"],
            &["what", "day"],
            &["what", "date"],
            &["which", "day"],
        ];
        let alone = matches!(self.0.first().map(String::as_str), Some("time" | "date"))
            && (self.len() == 1 || self.0.get(1).is_some_and(|word| word == "in"));
        alone || PHRASES.iter().any(|phrase| self.phrase(phrase))
    }

    fn ask_for_help(&self) -> bool {
        const PHRASES: [&[&str]; 6] = [
            &["what", "can", "you", "do"],
            &["what", "do", "you", "do"],
            &["set", "up"],
            &["api", "key"],
            &["add", "a", "model"],
            &["which", "model"],
        ];
        (self.len() <= 4 && self.any(&["help", "usage"]))
            || self.any(&["configure", "configuration", "config", "setup"])
            || PHRASES.iter().any(|phrase| self.phrase(phrase))
    }
}
