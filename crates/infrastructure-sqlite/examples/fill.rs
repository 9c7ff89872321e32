//! Fills a database with conversations, as a server would store them, and writes queries that find some of them.
//!
//! `fill DATABASE MESSAGES QUERIES`: makes the file `DATABASE` with as many messages of the operator, and the file
//! `QUERIES` with one query a line: its kind, a tab, its words. The same numbers make the same texts.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "ranks and counts of words are far below the limits of their types"
)]

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, TryStreamExt};
use majordomo_application::ports::{RepositoryError, RunJournal};
use majordomo_domain::UserId;
use majordomo_infrastructure_sqlite::{SqliteConfig, SqliteStore};
use majordomo_testkit::builders::{answer, turn};

/// Conversations that are written at once.
const CONCURRENT: usize = 256;
/// Turns of one conversation; each is two messages.
const TURNS: u32 = 10;
/// Different words.
const VOCABULARY: u32 = 60_000;
/// Words of a question and of an answer.
const QUESTION: u32 = 12;
const ANSWER: u32 = 60;
/// Queries of each kind.
const QUERIES: u32 = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, messages, queries] = arguments.as_slice() else {
        return Err("usage: fill DATABASE MESSAGES QUERIES".into());
    };
    let sessions = messages.parse::<u32>()?.div_ceil(TURNS * 2);
    let store = SqliteStore::open(&SqliteConfig::new(database))?;
    let journal = store.journal();
    stream::iter(0..sessions)
        .map(Ok)
        .try_for_each_concurrent(CONCURRENT, |session| {
            converse(Arc::clone(&journal), session)
        })
        .await?;
    store.close();
    std::fs::write(queries, all_queries())?;
    Ok(())
}

async fn converse(journal: Arc<dyn RunJournal>, session: u32) -> Result<(), RepositoryError> {
    let owner = UserId::operator();
    let mut words = Words::new(u64::from(session));
    for number in 1..=TURNS {
        let question = words.sentence(QUESTION);
        let mut turn = turn(
            owner.as_str(),
            &format!("session-{session}"),
            number,
            &question,
        );
        turn.session.title = majordomo_domain::SessionTitle::untitled();
        journal.accept(turn.clone()).await?;
        journal
            .finish(answer(&turn, &words.sentence(ANSWER)))
            .await?;
    }
    Ok(())
}

/// Words as often as in a language: the word of rank `n` is about `n` times as rare as the first.
struct Words(u64);

impl Words {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// xorshift64*, by Vigna: all that is asked of it is that it is fast and always the same.
    fn random(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }

    /// A rank from `low` to `high`; each tenfold of ranks is as likely as the next, as Zipf's law has it.
    fn rank(&mut self, low: u32, high: u32) -> u32 {
        let (low, high) = (f64::from(low), f64::from(high) + 1.0);
        (low * (high / low).powf(self.random())) as u32
    }

    fn sentence(&mut self, words: u32) -> String {
        let mut text = String::new();
        for _ in 0..words {
            // Writing to a String cannot fail.
            let _ = write!(text, "{} ", word(self.rank(1, VOCABULARY)));
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// The word of a rank: two to four syllables, so that words share their beginnings as in a language.
fn word(rank: u32) -> String {
    const FIRST: &[u8] = b"bdfgklmnprstvz";
    const SECOND: &[u8] = b"aeiou";
    let syllables = (FIRST.len() * SECOND.len()) as u32;
    // Scattered, so that neighbours in rank do not share their beginning.
    let mut rest = rank.wrapping_mul(40_503) % (syllables * syllables * syllables);
    let mut text = String::new();
    for _ in 0..3 {
        let syllable = (rest % syllables) as usize;
        let letters = [
            FIRST.get(syllable / SECOND.len()),
            SECOND.get(syllable % SECOND.len()),
        ];
        text.extend(
            letters
                .into_iter()
                .flatten()
                .map(|letter| char::from(*letter)),
        );
        rest /= syllables;
    }
    text
}

/// Every kind of query in turn.
fn all_queries() -> String {
    let mut words = Words::new(u64::MAX / 3);
    let mut text = String::new();
    for _ in 0..QUERIES {
        let common = word(words.rank(1, 30));
        let common_too = word(words.rank(1, 30));
        let usual = word(words.rank(100, 3_000));
        let rare = word(words.rank(20_000, VOCABULARY));
        let beginning: String = usual.chars().take(3).collect();
        let queries = [
            ("common word", common.clone()),
            ("usual word", usual.clone()),
            ("rare word", rare.clone()),
            ("two common words", format!("{common} {common_too}")),
            ("common and rare word", format!("{common} {rare}")),
            ("beginning of a word", beginning),
        ];
        for (kind, query) in queries {
            let _ = writeln!(text, "{kind}\t{query}");
        }
    }
    text
}
