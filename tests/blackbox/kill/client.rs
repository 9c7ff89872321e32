//! Clients that talk through one door each, remember what they were told, and come back after every crash.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::random::Random;
use crate::harness::{Answer, Broken, Event, EventStream, Server, Socket, http_client};

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// `/v1/chat`.
    PiSovereign,
    /// `/v1/chat/stream`.
    PiSovereignStream,
    /// `/api/v1/chat/stream`.
    PocketPawStream,
    /// `/v1/chat/completions`.
    OpenAi,
    /// The same, streamed.
    OpenAiStream,
    /// `/ws`.
    Socket,
}

/// Every door through which something can be said.
pub(super) const DOORS: [Door; 6] = [
    Door::PiSovereign,
    Door::PiSovereignStream,
    Door::PocketPawStream,
    Door::OpenAi,
    Door::OpenAiStream,
    Door::Socket,
];

/// Messages in one session, before the next is begun.
const PER_SESSION: usize = 12;

/// Where the server is now.
#[derive(Debug, Clone)]
pub(super) struct Place {
    address: SocketAddr,
    token: String,
}

impl Place {
    pub(super) fn of(server: &Server) -> Self {
        Self {
            address: server.address,
            token: server.token.clone(),
        }
    }

    /// Address and master token.
    pub(super) fn parts(&self) -> (SocketAddr, String) {
        (self.address, self.token.clone())
    }
}

/// One message, and what was heard of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    /// What was said.
    pub(super) text: String,
    /// Whether the server has told that it has the message.
    pub(super) acknowledged: bool,
    /// The text of an answer that was told to be whole.
    pub(super) answer: Option<String>,
    /// What a stream showed, over all its resumptions: pieces as they came, each with its place.
    pub(super) seen: Vec<Seen>,
    /// Whether the stream was read to its end.
    pub(super) ended: bool,
}

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its run.
    pub(super) run: String,
    /// The event it stems from.
    pub(super) seq: u64,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// Everything said in one session.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) door: Door,
    pub(super) session: String,
    pub(super) sent: Vec<Sent>,
}

/// A client at work.
pub(super) struct Client {
    pub(super) door: Door,
    place: Arc<Mutex<Place>>,
    http: reqwest::Client,
}

/// Talks until told to stop.
pub(super) async fn talk(
    door: Door,
    number: u32,
    place: Arc<Mutex<Place>>,
    stop: watch::Receiver<bool>,
    mut random: Random,
) -> Vec<Conversation> {
    let client = Client {
        door,
        place,
        http: http_client(),
    };
    let mut conversations = Vec::new();
    while !*stop.borrow() {
        let session = format!("{door:?}-{number}-{}", conversations.len());
        let mut conversation = Conversation {
            door,
            session: session.clone(),
            sent: Vec::new(),
        };
        while !*stop.borrow() && conversation.sent.len() < PER_SESSION {
            let tag = format!("{session}-{}", conversation.sent.len());
            let text = format!("COUNT {} {} {tag}", 1 + random.below(8), random.below(15));
            conversation.sent.push(client.say(&session, text).await);
        }
        conversations.push(conversation);
    }
    conversations
}

impl Client {
    /// The client of a server that is not killed any more.
    pub(super) fn of(server: &Server, door: Door) -> Self {
        Self {
            door,
            place: Arc::new(Mutex::new(Place::of(server))),
            http: http_client(),
        }
    }

    fn place(&self) -> Place {
        self.place.lock().unwrap().clone()
    }

    /// Says something once, and listens until the answer is whole, however often the server dies meanwhile.
    async fn say(&self, session: &str, text: String) -> Sent {
        let mut sent = Sent {
            text,
            ..Sent::default()
        };
        let first = match self.door {
            Door::PiSovereign | Door::OpenAi => return self.ask(session, sent).await,
            Door::Socket => self.say_on_socket(session, &mut sent).await,
            _ => self.say_on_stream(session, &mut sent).await,
        };
        if first.is_ok() {
            return sent;
        }
        self.forget_half_an_event(&mut sent);
        while !sent.ended
            && let Some((run, seq)) = last_place(&sent)
        {
            // The server is away for a moment.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let _ = self.listen(&run, seq, &mut sent).await;
            self.forget_half_an_event(&mut sent);
        }
        if sent.seen.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sent
    }

    fn body(&self, session: &str, text: &str) -> (&'static str, Value) {
        let messages = json!([{ "role": "user", "content": text }]);
        let openai = |stream: bool| json!({ "model": "majordomo", "messages": messages, "stream": stream, "metadata": { "session_id": session } });
        match self.door {
            Door::PiSovereign => (
                "/v1/chat",
                json!({ "message": text, "conversation_id": session }),
            ),
            Door::PiSovereignStream => (
                "/v1/chat/stream",
                json!({ "message": text, "conversation_id": session }),
            ),
            Door::PocketPawStream => (
                "/api/v1/chat/stream",
                json!({ "content": text, "session_id": session }),
            ),
            Door::OpenAi => ("/v1/chat/completions", openai(false)),
            Door::OpenAiStream => ("/v1/chat/completions", openai(true)),
            Door::Socket => (
                "/ws",
                json!({ "action": "chat", "message": text, "session_id": session }),
            ),
        }
    }

    /// Sends a request; a server that is not there, or is going, gives none.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        after: Option<&str>,
    ) -> Option<reqwest::Response> {
        let Place { address, token } = self.place();
        let mut request = self
            .http
            .request(method, format!("http://{address}{path}"))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        request.send().await.ok()
    }

    /// Waits for a whole answer. It is acknowledged when it comes.
    async fn ask(&self, session: &str, mut sent: Sent) -> Sent {
        let (path, body) = self.body(session, &sent.text);
        if let Some(response) = self.send(Method::POST, path, Some(&body), None).await {
            let answer = Answer::of(response).await;
            // The body may have been cut by a kill.
            if let (200, Ok(value)) = (answer.status, serde_json::from_str::<Value>(&answer.text)) {
                let text = value["content"]
                    .as_str()
                    .or(value["choices"][0]["message"]["content"].as_str());
                sent.answer = Some(text.unwrap().to_owned());
            }
            // 503 tells that the server had to interrupt the answer or was full; nothing else is right.
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
            sent.acknowledged = answer.status == 200;
        }
        if sent.answer.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sent
    }

    async fn say_on_stream(&self, session: &str, sent: &mut Sent) -> Result<(), Broken> {
        let (path, body) = self.body(session, &sent.text);
        let response = self
            .send(Method::POST, path, Some(&body), None)
            .await
            .ok_or(Broken)?;
        match EventStream::of(response).await {
            Ok(stream) => {
                sent.acknowledged = true;
                read_stream(stream, sent).await
            }
            Err(answer) => {
                assert_eq!(answer.status, 503, "{answer:?}");
                Err(Broken)
            }
        }
    }

    async fn say_on_socket(&self, session: &str, sent: &mut Sent) -> Result<(), Broken> {
        let mut socket = self.socket("/ws?").await?;
        let (_, body) = self.body(session, &sent.text);
        socket.send(&body).await?;
        read_socket(socket, sent).await
    }

    async fn socket(&self, path: &str) -> Result<Socket, Broken> {
        let Place { address, token } = self.place();
        Socket::connect(&format!("ws://{address}{path}token={token}"), &[])
            .await
            .map_err(|_| Broken)
    }

    /// Goes on with a run after a place in it.
    pub(super) async fn listen(&self, run: &str, seq: u64, sent: &mut Sent) -> Result<(), Broken> {
        if self.door == Door::Socket {
            let socket = self
                .socket(&format!("/ws?resume_run={run}&after={seq}&"))
                .await?;
            return read_socket(socket, sent).await;
        }
        let (path, _) = self.body("", "");
        let place = format!("{run}.{seq}");
        let response = self
            .send(Method::GET, path, None, Some(&place))
            .await
            .ok_or(Broken)?;
        match EventStream::of(response).await {
            Ok(stream) => read_stream(stream, sent).await,
            Err(answer) => panic!("what a stream has shown cannot be resumed: {place} {answer:?}"),
        }
    }

    /// One event is several frames on a socket. The frames of the last one may not all have come: it is asked for again.
    fn forget_half_an_event(&self, sent: &mut Sent) {
        if self.door == Door::Socket
            && !sent.ended
            && let Some((run, last)) = last_place(sent)
        {
            sent.seen
                .retain(|piece| piece.run != run || piece.seq < last);
            if sent.seen.is_empty() {
                // The place before the first event of the run.
                sent.seen.push(Seen {
                    run,
                    seq: 0,
                    bytes: Vec::new(),
                });
            }
        }
    }
}

fn last_place(sent: &Sent) -> Option<(String, u64)> {
    sent.seen.last().map(|piece| (piece.run.clone(), piece.seq))
}

async fn read_stream(mut stream: EventStream, sent: &mut Sent) -> Result<(), Broken> {
    while let Some(Event { id, raw, .. }) = stream.next().await? {
        let id = id.expect("every event has an id");
        let (run, seq) = id.rsplit_once('.').unwrap();
        sent.seen.push(Seen {
            run: run.to_owned(),
            seq: seq.parse().unwrap(),
            bytes: raw,
        });
    }
    sent.ended = true;
    Ok(())
}

async fn read_socket(mut socket: Socket, sent: &mut Sent) -> Result<(), Broken> {
    loop {
        let text = socket.next_text().await?;
        let frame: Value = serde_json::from_str(&text).unwrap();
        let Some(run) = frame["run_id"].as_str() else {
            assert_ne!(frame["type"], "error", "{frame}");
            continue;
        };
        sent.acknowledged = true;
        let seq = frame["seq"].as_u64().unwrap();
        sent.seen.push(Seen {
            run: run.to_owned(),
            seq,
            bytes: text.clone().into_bytes(),
        });
        if frame["event_type"] == "agent_end" {
            sent.ended = true;
            return Ok(());
        }
    }
}
