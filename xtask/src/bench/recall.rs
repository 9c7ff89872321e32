//! The rows about chat of somebody who has memories.

use std::fmt::Write as _;

use super::http::Connection;
use super::load::Request;
use super::options::Group;
use super::rounds::{self, Comparison};
use super::server::{Installation, Server, USERS};
use super::table::Row;
use super::throughput::{CONNECTIONS, marker, share};
use super::{Bench, report};
use crate::failure::{Failure, Outcome};

/// What is remembered of a user.
const MEMORIES: u32 = 10_000;
/// Memories stored with one request.
const BATCH: u32 = 5_000;
/// Words of a memory, and different words.
const LENGTH: u32 = 20;
const WORDS: f64 = 20_000.0;

/// Compares chat of a user who has no memories with chat of one whose memories say nothing of what is said, and of one of
/// whose memories one fits each turn: it says the number that the turn holds.
pub(crate) fn measure(bench: &Bench) -> Outcome<Vec<Row>> {
    let installation = Installation::fresh(bench, "recall")?;
    let server = installation.start()?;
    let [nobody, other_things, numbers] = USERS;
    report::note(format_args!("==> storing {MEMORIES} memories, twice"));
    fill(&server, other_things, false)?;
    fill(&server, numbers, true)?;
    let mut rows = Vec::new();
    for (name, key) in [
        ("/v1/chat with 10,000 memories, against none", other_things),
        ("the same, where each turn recalls one", numbers),
    ] {
        let what = Comparison {
            name,
            reference: &chat(&server, nobody),
            measured: &chat(&server, key),
            connections: CONNECTIONS,
        };
        let measured = rounds::run(bench, &server.process, &what)?;
        rows.push(share(Group::Recall, &what, &measured, 90.0));
    }
    server.process.stop()?;
    Ok(rows)
}

fn chat(server: &Server, key: &str) -> Request {
    Request {
        url: format!("http://{}/v1/chat", server.address),
        body: r#"{"message":"Hello %N%"}"#.to_owned(),
        marker: marker(false),
        key: Some(key.to_owned()),
    }
}

/// Stores memories of words whose frequencies fall as Zipf's law says.
fn fill(server: &Server, key: &str, numbered: bool) -> Outcome {
    let failed = |what: String| Failure::new(format!("memories cannot be stored: {what}"));
    let mut random = Random(20_261_121);
    let mut connection =
        Connection::open(server.address).map_err(|error| failed(error.to_string()))?;
    for first in (0..MEMORIES).step_by(BATCH as usize) {
        let mut body = String::from(r#"{"memories":["#);
        for number in first..first + BATCH {
            let comma = if number == first { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(body, r#"{comma}{{"content":""#);
            if numbered {
                let _ = write!(body, "{number} ");
            }
            for _ in 0..LENGTH {
                let _ = write!(body, "w{:.0} ", random.rank());
            }
            body.push_str(r#""}"#);
        }
        body.push_str("]}");
        let answer = connection.post("/v1/memories/import", key, &body);
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        if answer.status != 200 {
            return Err(failed(String::from_utf8_lossy(&answer.body).into_owned()));
        }
    }
    Ok(())
}

/// Numbers that look random and are the same every time (`SplitMix64`; Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    /// The rank of a word: the first is twice as frequent as the second.
    fn rank(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let share = f64::from((z >> 32) as u32) / f64::from(u32::MAX);
        WORDS.powf(share).floor()
    }
}
