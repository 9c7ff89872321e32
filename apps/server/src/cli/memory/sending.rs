//! Sends what is imported to the server, many at a time, and keeps count.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use super::conversation::MAX_BYTES;
use super::progress::{Meter, Progress};
use super::reading::Found;
use crate::cli::output::items;
use crate::client::{Client, ClientError};

/// Memories sent at once. It decides which of equal memories in a file are one, so it never changes with anything.
const MEMORIES: usize = 1_000;
/// Conversations, or parts of them, sent at once.
const CONVERSATIONS: usize = 100;
/// Faults named at most.
const NAMED: usize = 100;

/// What became of what was read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) memories: u64,
    pub(super) conversations: u64,
    /// Conversations in which nothing was said.
    pub(super) silent: u64,
    /// Memories or messages that are new.
    pub(super) stored: u64,
    /// Memories or messages that were there already.
    pub(super) known: u64,
    /// What could not be stored.
    pub(super) broken: u64,
    /// The first of that: where, and why.
    pub(super) named: Vec<(String, String)>,
}

/// Sends what comes, until nothing comes any more.
pub(super) struct Sender<'a> {
    client: &'a Client,
    tally: Tally,
    memories: Vec<Value>,
    parts: Vec<Value>,
    bytes: usize,
}

impl<'a> Sender<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            client,
            tally: Tally::default(),
            memories: Vec::new(),
            parts: Vec::new(),
            bytes: 0,
        }
    }

    /// Sends all that comes through `found`.
    pub(super) async fn run(
        mut self,
        mut found: Receiver<Found>,
        progress: &mut Progress,
        meter: &Meter,
        length: u64,
    ) -> Result<Tally, ClientError> {
        while let Some(found) = found.recv().await {
            self.take(found).await?;
            let done = self.tally.stored + self.tally.known;
            let what = if self.tally.conversations > 0 {
                "messages"
            } else {
                "memories"
            };
            progress.show(done, what, Some((meter.bytes(), length)));
        }
        self.flush().await?;
        Ok(self.tally)
    }

    async fn take(&mut self, found: Found) -> Result<(), ClientError> {
        match found {
            Found::Memory(memory, bytes) => {
                self.make_room(bytes).await?;
                self.tally.memories += 1;
                self.memories.push(memory);
            }
            Found::Part(part) => {
                self.make_room(part.bytes).await?;
                self.tally.conversations += u64::from(part.begins);
                self.parts.push(part.body);
            }
            Found::Silence => self.tally.silent += 1,
            Found::Broken { place, why } => {
                self.tally.broken += 1;
                if self.tally.named.len() < NAMED {
                    self.tally.named.push((place, why));
                }
            }
        }
        Ok(())
    }

    /// Sends what waits where so many bytes more would be too much.
    async fn make_room(&mut self, bytes: usize) -> Result<(), ClientError> {
        let full = self.memories.len() >= MEMORIES || self.parts.len() >= CONVERSATIONS;
        if full || self.bytes + bytes > MAX_BYTES {
            self.flush().await?;
        }
        self.bytes += bytes;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ClientError> {
        self.bytes = 0;
        let memories = std::mem::take(&mut self.memories);
        if !memories.is_empty() {
            let body = json!({ "memories": memories });
            let answer = self.post("/v1/memories/import", &body).await?;
            self.count(&answer);
        }
        let parts = std::mem::take(&mut self.parts);
        if !parts.is_empty() {
            let body = json!({ "conversations": parts });
            let answer = self.post("/api/v1/sessions/import", &body).await?;
            for session in items(&answer, "sessions") {
                self.count(session);
            }
        }
        Ok(())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.client
            .json_in_turn(Method::POST, path, Some(body))
            .await
    }

    fn count(&mut self, answer: &Value) {
        let of = |name| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
        self.tally.stored += of("stored");
        self.tally.known += of("known");
    }
}
