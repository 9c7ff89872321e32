//! Sends what is imported to the server, many at a time, and keeps count.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use super::conversation::MAX_BYTES;
use super::progress::{Meter, Progress};
use super::reading::{self, Found, Line};
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
    memories: Vec<Line>,
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
            Found::Memory(line) => {
                self.make_room(line.bytes).await?;
                self.memories.push(line);
            }
            Found::Part(part) => {
                self.make_room(part.bytes).await?;
                self.tally.conversations += u64::from(part.begins);
                self.parts.push(part.body);
            }
            Found::Silence => self.tally.silent += 1,
            Found::Broken { place, why } => self.pass_over(place, why),
        }
        Ok(())
    }

    /// Notes what cannot be stored.
    fn pass_over(&mut self, place: String, why: String) {
        self.tally.broken += 1;
        if self.tally.named.len() < NAMED {
            self.tally.named.push((place, why));
        }
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
            self.send_memories(memories).await?;
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

    /// Sends memories together; where the server refuses them, in halves, until the one that it refuses stands alone.
    async fn send_memories(&mut self, lines: Vec<Line>) -> Result<(), ClientError> {
        let mut waiting = vec![lines];
        while let Some(mut lines) = waiting.pop() {
            let memories: Vec<&Value> = lines.iter().map(|line| &line.body).collect();
            let body = json!({ "memories": memories });
            match self.post("/v1/memories/import", &body).await {
                Ok(answer) => {
                    self.tally.memories += u64::try_from(lines.len()).unwrap_or_default();
                    self.count(&answer);
                }
                Err(error) if !refuses_content(&error) => return Err(error),
                Err(error) => {
                    if let [line] = lines.as_slice() {
                        self.pass_over(reading::place(line.number), error.to_string());
                    } else {
                        let later = lines.split_off(lines.len() / 2);
                        waiting.extend([later, lines]);
                    }
                }
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

/// Whether the server finds fault with what it was sent.
fn refuses_content(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Refused {
            status: StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY,
            ..
        }
    )
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, HttpServer, web};
    use tokio::sync::mpsc;

    use super::*;

    /// Stores all of a batch, or nothing where one of its memories is bad.
    async fn store(body: web::Json<Value>) -> HttpResponse {
        let memories = items(&body, "memories");
        if memories.iter().any(|memory| memory["content"] == "bad") {
            let body = json!({ "error": { "message": "one is bad" } });
            return HttpResponse::UnprocessableEntity().json(body);
        }
        HttpResponse::Ok().json(json!({ "stored": memories.len(), "known": 0 }))
    }

    #[actix_web::test]
    async fn what_the_server_refuses_is_found_and_the_rest_is_stored() {
        let server =
            HttpServer::new(|| App::new().route("/v1/memories/import", web::post().to(store)));
        let server = server
            .workers(1)
            .disable_signals()
            .bind(("127.0.0.1", 0))
            .unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let client = Client::new(base, "token".to_owned()).unwrap();
        let (sink, found) = mpsc::channel(100);
        for number in 1..=50 {
            let bad = matches!(number, 1 | 17 | 18 | 50);
            let line = Line {
                number,
                body: json!({ "content": if bad { "bad" } else { "good" } }),
                bytes: 20,
            };
            sink.send(Found::Memory(line)).await.unwrap();
        }
        drop(sink);
        let tally = Sender::new(&client)
            .run(found, &mut Progress::new(), &Meter::default(), 0)
            .await
            .unwrap();
        assert_eq!((tally.memories, tally.stored, tally.broken), (46, 46, 4));
        let named = [1, 17, 18, 50].map(|line| (format!("line {line}"), "one is bad".to_owned()));
        assert_eq!(tally.named, named);
        handle.stop(false).await;
    }
}
