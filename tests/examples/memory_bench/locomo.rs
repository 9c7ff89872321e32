//! How well memory recalls the conversations of a `LoCoMo` file: one user for each conversation and one memory for each
//! turn; every question is asked and the answer compared with the evidence turns.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use serde_json::{Value, json};

use crate::percentiles;
use crate::server::Server;

/// Hits asked for: enough that ten sessions are among them.
const HITS: usize = 100;
/// Memories stored with one request.
const BATCH: usize = 1_000;

/// A conversation as memories, the name and session of each, and its questions.
struct Conversation {
    memories: Vec<Value>,
    turns: Vec<(String, usize)>,
    questions: Vec<(String, Vec<String>)>,
}

/// `1:56 pm on 8 May, 2023`
fn time(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%I:%M %P on %d %B, %Y").unwrap()
}

fn conversation(entry: &Value) -> Conversation {
    let (mut memories, mut turns) = (Vec::new(), Vec::new());
    for number in 1.. {
        let session = &entry["conversation"][format!("session_{number}")];
        let Some(said) = session.as_array() else {
            break;
        };
        let begun = entry["conversation"][format!("session_{number}_date_time")].as_str();
        let begun = time(begun.unwrap());
        for (place, turn) in said.iter().enumerate() {
            let text = |name: &str| turn[name].as_str().unwrap_or_default();
            let mut content = format!("{}: {}", text("speaker"), text("text"));
            if !text("blip_caption").is_empty() {
                content += &format!(" [image: {}]", text("blip_caption"));
            }
            let at = begun + Duration::from_secs(u64::try_from(place).unwrap());
            memories.push(json!({
                "content": content,
                "conversation_id": format!("session-{number}"),
                "created_at": at.and_utc().to_rfc3339(),
            }));
            turns.push((text("dia_id").to_owned(), number));
        }
    }
    let questions = entry["qa"].as_array().unwrap().iter();
    let questions = questions.map(|question| {
        let evidence = question["evidence"].as_array().into_iter().flatten();
        let named = evidence.flat_map(|text| {
            let text = text.as_str().unwrap_or_default();
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':')
                .map(str::to_owned)
        });
        let mut evidence: Vec<String> = named
            .filter(|name| turns.iter().any(|turn| turn.0 == *name))
            .collect();
        evidence.sort();
        evidence.dedup();
        (question["question"].as_str().unwrap().to_owned(), evidence)
    });
    let questions = questions
        .filter(|(_, evidence)| !evidence.is_empty())
        .collect();
    Conversation {
        memories,
        turns,
        questions,
    }
}

/// The share of `wanted` among the first `most` of `found`.
fn recall<T: PartialEq>(wanted: &[T], found: &[T], most: usize) -> f64 {
    let first = &found[..most.min(found.len())];
    let hit = wanted.iter().filter(|one| first.contains(one)).count();
    hit as f64 / wanted.len() as f64
}

fn distinct(list: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut distinct = Vec::new();
    for one in list {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}

/// Measures on a fresh server with these settings.
pub(crate) async fn measure(program: &Path, file: &str, settings: &str) {
    let data: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let conversations: Vec<Conversation> =
        data.as_array().unwrap().iter().map(conversation).collect();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(program, folder.path(), conversations.len(), settings).await;
    let (mut stored, begun) = (0, Instant::now());
    let mut names: Vec<HashMap<String, usize>> = Vec::new();
    for (user, conversation) in conversations.iter().enumerate() {
        let mut places = HashMap::new();
        for batch in conversation.memories.chunks(BATCH) {
            for id in server.import(user, batch).await {
                places.insert(id, places.len());
            }
        }
        stored += conversation.memories.len();
        names.push(places);
    }
    let rate = stored as f64 / begun.elapsed().as_secs_f64();
    if !settings.is_empty() {
        for (user, places) in names.iter().enumerate() {
            server.embed_all(user, places.len()).await;
        }
    }
    let (mut sums, mut times, mut questions) = ([0.0; 4], Vec::new(), 0);
    for (user, conversation) in conversations.iter().enumerate() {
        for (question, evidence) in &conversation.questions {
            let (hits, took) = server.search(user, question, HITS).await;
            let turns: Vec<&(String, usize)> = hits
                .iter()
                .map(|id| &conversation.turns[names[user][id]])
                .collect();
            let found: Vec<String> = turns.iter().map(|turn| turn.0.clone()).collect();
            let sessions = distinct(turns.iter().map(|turn| turn.1));
            let wanted = conversation
                .turns
                .iter()
                .filter(|turn| evidence.contains(&turn.0));
            let wanted = distinct(wanted.map(|turn| turn.1));
            for (sum, value) in sums.iter_mut().zip([
                recall(evidence, &found, 5),
                recall(evidence, &found, 10),
                recall(&wanted, &sessions, 5),
                recall(&wanted, &sessions, 10),
            ]) {
                *sum += value;
            }
            times.push(took);
            questions += 1;
        }
    }
    let share = |place: usize| sums[place] / f64::from(questions);
    println!("LoCoMo: {stored} turns stored, {rate:.0}/s; {questions} questions");
    println!("turn recall@5 {:.3}, @10 {:.3}", share(0), share(1));
    println!("session recall@5 {:.3}, @10 {:.3}", share(2), share(3));
    println!("one search of {HITS} hits: {}", percentiles(times));
}
