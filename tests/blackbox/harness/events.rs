//! Server-sent events, with the bytes they came as.

use super::Answer;

/// The stream broke off: the server died or closed before the end of the body.
#[derive(Debug)]
pub(crate) struct Broken;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// What a client that resumes sends back.
    pub(crate) id: Option<String>,
    /// Its name; empty when it has none.
    pub(crate) name: String,
    /// Its data.
    pub(crate) data: String,
    /// The bytes of it, with the blank line that ends it.
    pub(crate) raw: Vec<u8>,
}

impl Event {
    /// Its data as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.data))
    }
}

/// A stream of events that is being read.
pub(crate) struct EventStream {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl EventStream {
    /// Reads a response that must be an event stream; any other is given back.
    pub(crate) async fn of(response: reqwest::Response) -> Result<Self, Answer> {
        let kind = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        if response.status().as_u16() != 200
            || !kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
        {
            return Err(Answer::of(response).await);
        }
        Ok(Self {
            response,
            buffer: Vec::new(),
        })
    }

    /// The next event; `None` at the regular end. Comments are passed over. What came of an event that is not whole is
    /// dropped, as browsers do.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Broken> {
        loop {
            if let Some(event) = take_event(&mut self.buffer) {
                return Ok(Some(event));
            }
            match self.response.chunk().await {
                Ok(Some(piece)) => self.buffer.extend_from_slice(&piece),
                Ok(None) if self.buffer.is_empty() => return Ok(None),
                Ok(None) | Err(_) => return Err(Broken),
            }
        }
    }

    /// All events up to the regular end.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await.expect("the stream broke off") {
            events.push(event);
        }
        events
    }
}

fn take_event(buffer: &mut Vec<u8>) -> Option<Event> {
    loop {
        let end = buffer.windows(2).position(|pair| pair == b"\n\n")? + 2;
        let rest = buffer.split_off(end);
        let block = std::mem::replace(buffer, rest);
        if let Some(event) = parse(block) {
            return Some(event);
        }
    }
}

/// The events of a whole body.
pub(crate) fn parse_events(body: &str) -> Vec<Event> {
    let mut buffer = body.as_bytes().to_vec();
    std::iter::from_fn(|| take_event(&mut buffer)).collect()
}

fn parse(raw: Vec<u8>) -> Option<Event> {
    let text = String::from_utf8(raw.clone()).expect("events are UTF-8");
    let (mut event, mut data) = (
        Event {
            raw,
            ..Event::default()
        },
        Vec::new(),
    );
    for line in text.lines() {
        let (field, value) = line.split_once(": ").unwrap_or((line, ""));
        match field {
            "id" => event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut event.name),
            "data" => data.push(value),
            _ => {}
        }
    }
    event.data = data.join("\n");
    (!data.is_empty()).then_some(event)
}
