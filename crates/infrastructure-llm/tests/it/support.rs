//! A raw TCP server that writes exactly the bytes it is told to, and helpers around it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use majordomo_application::ports::{ChatModel, ModelDelta, ModelError, ModelMessage, ModelRequest};
use majordomo_infrastructure_llm::{AnswerParser, ProviderConfig, ProviderKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The key that must never show up in an error.
pub(crate) const KEY: &str = "sk-test-0123456789abcdef";

/// What the server does once it has read a request.
#[derive(Clone)]
pub(crate) enum Step {
    /// Writes these bytes and gives the client time to read them.
    Write(Vec<u8>),
    /// Waits until the client closes the connection.
    Hang,
}

/// One request as it arrived.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// The server. Every request of every connection gets the answer that its path selects.
pub(crate) struct Upstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Received>>>,
    connections: watch::Receiver<usize>,
    closed: watch::Receiver<usize>,
}

impl Upstream {
    /// Answers every request by the same steps and closes the connection after them.
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        Self::start_with(false, move |_| steps.clone()).await
    }

    /// Answers by what `script` says to the request, and keeps the connection open after it if told to.
    pub(crate) async fn start_with(
        keep_alive: bool,
        script: impl Fn(&Received) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (opened, connections) = watch::channel(0);
        let (closing, closed) = watch::channel(0);
        let (seen, closing, script) = (requests.clone(), Arc::new(closing), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                opened.send_modify(|count| *count += 1);
                socket.set_nodelay(true).expect("a socket");
                let (seen, closing, script) = (seen.clone(), closing.clone(), script.clone());
                tokio::spawn(async move {
                    while let Some(request) = read_request(&mut socket).await {
                        seen.lock().expect("a lock").push(request.clone());
                        if !play(&mut socket, script(&request)).await || !keep_alive {
                            break;
                        }
                    }
                    closing.send_modify(|count| *count += 1);
                });
            }
        });
        Self {
            address,
            requests,
            connections,
            closed,
        }
    }

    pub(crate) fn config(&self) -> ProviderConfig {
        let url = format!("http://{}/base", self.address);
        ProviderConfig::new("acme", url).with_api_key(ProviderKey::new(KEY))
    }

    pub(crate) fn request(&self, at: usize) -> Received {
        self.requests.lock().expect("a lock")[at].clone()
    }

    pub(crate) fn request_count(&self) -> usize {
        self.requests.lock().expect("a lock").len()
    }

    pub(crate) fn connection_count(&self) -> usize {
        *self.connections.borrow()
    }

    /// Waits until the server has seen the end of one connection.
    pub(crate) async fn closed(&mut self) {
        self.closed
            .wait_for(|count| *count > 0)
            .await
            .expect("a server");
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("an ASCII head");
    let length = head
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().expect("a length"))
        })
        .unwrap_or(0);
    while bytes.len() < end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received {
        head,
        body: bytes[end..].to_vec(),
    })
}

/// Whether the connection is still of use afterwards.
async fn play(socket: &mut TcpStream, steps: Vec<Step>) -> bool {
    for step in steps {
        match step {
            Step::Write(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Step::Hang => {
                let mut rest = Vec::new();
                let _ = socket.read_to_end(&mut rest).await;
                return false;
            }
        }
    }
    true
}

/// The head of a streamed answer whose body ends with the connection's chunks.
pub(crate) fn stream_head(content_type: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n")
        .into_bytes()
}

/// One chunk of the chunked transfer coding; an empty one ends the body.
pub(crate) fn chunk(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// A whole streamed answer in one write.
pub(crate) fn streamed(body: &[u8]) -> Vec<u8> {
    [stream_head("text/event-stream"), chunk(body), chunk(b"")].concat()
}

/// A whole answer with a length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub(crate) fn hello(model: &str) -> ModelRequest {
    ModelRequest::new(
        model,
        vec![ModelMessage::User {
            text: "Hello".to_owned(),
            images: Vec::new(),
        }],
    )
}

/// All deltas of an answer, and the error that ended it.
pub(crate) async fn ask(
    model: &dyn ChatModel,
    request: ModelRequest,
) -> (Vec<ModelDelta>, Option<ModelError>) {
    let mut stream = match model.stream(request).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut deltas = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(delta) => deltas.push(delta),
            Err(error) => {
                assert!(stream.next().await.is_none(), "an error ends the stream");
                return (deltas, Some(error));
            }
        }
    }
    (deltas, None)
}

/// What the parser makes of the pieces.
pub(crate) fn parse(
    mut parser: AnswerParser,
    pieces: &[&[u8]],
) -> Result<Vec<ModelDelta>, ModelError> {
    let mut deltas = Vec::new();
    for piece in pieces {
        parser.push(piece)?;
        deltas.extend(std::iter::from_fn(|| parser.next_delta()));
    }
    parser.finish()?;
    deltas.extend(std::iter::from_fn(|| parser.next_delta()));
    Ok(deltas)
}

/// Asserts that the bytes mean `expected`, wherever they are cut in two, and cut into single bytes.
pub(crate) fn assert_every_split(
    parser: &dyn Fn() -> AnswerParser,
    wire: &[u8],
    expected: &[ModelDelta],
) {
    let whole = parse(parser(), &[wire]).expect("a whole answer");
    assert_eq!(with_known_ids(whole), expected);
    for at in 0..=wire.len() {
        let (left, right) = wire.split_at(at);
        let split = parse(parser(), &[left, right]).expect("a whole answer");
        assert_eq!(with_known_ids(split), expected, "cut at byte {at}");
    }
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    let split = parse(parser(), &bytes).expect("a whole answer");
    assert_eq!(with_known_ids(split), expected, "cut at every byte");
    for ending in ["\r\n", "\r"] {
        let other = String::from_utf8(wire.to_vec())
            .expect("text")
            .replace('\n', ending);
        let bytes: Vec<&[u8]> = other.as_bytes().chunks(1).collect();
        let split = parse(parser(), &bytes).expect("a whole answer");
        assert_eq!(with_known_ids(split), expected, "lines end with {ending:?}");
    }
}

/// Asserts the same over TCP, cut at some places into two writes, chunk headers included.
pub(crate) async fn assert_splits_over_tcp<M: ChatModel>(
    make: impl Fn(&ProviderConfig) -> M,
    wire: &[u8],
    expected: &[ModelDelta],
) {
    let bytes = streamed(wire);
    let step = (bytes.len() / 24).max(1);
    for at in (1..bytes.len()).step_by(step) {
        let (left, right) = bytes.split_at(at);
        let steps = vec![Step::Write(left.to_vec()), Step::Write(right.to_vec())];
        let upstream = Upstream::start(steps).await;
        let model = make(&upstream.config());
        let (deltas, error) = ask(&model, hello("m")).await;
        assert_eq!(error, None, "cut at byte {at}");
        assert_eq!(with_known_ids(deltas), expected, "cut at byte {at}");
    }
}

/// Replaces ids that the adapter made up (`call_` and 32 hexadecimal digits) by `made-up-INDEX`.
pub(crate) fn with_known_ids(mut deltas: Vec<ModelDelta>) -> Vec<ModelDelta> {
    let mut seen = std::collections::HashSet::new();
    for delta in &mut deltas {
        if let ModelDelta::ToolCallStarted { index, id, .. } = delta {
            assert!(seen.insert(id.clone()), "ids are unique");
            let made_up = id.strip_prefix("call_").is_some_and(|rest| {
                rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit())
            });
            if made_up {
                *id = format!("made-up-{index}");
            }
        }
    }
    deltas
}

pub(crate) fn text(text: &str) -> ModelDelta {
    ModelDelta::Text(text.to_owned())
}

pub(crate) fn reasoning(text: &str) -> ModelDelta {
    ModelDelta::Reasoning(text.to_owned())
}

pub(crate) fn call(index: usize, id: &str, name: &str) -> ModelDelta {
    ModelDelta::ToolCallStarted {
        index,
        id: id.to_owned(),
        name: name.to_owned(),
    }
}

pub(crate) fn arguments(index: usize, fragment: &str) -> ModelDelta {
    ModelDelta::ToolCallArguments {
        index,
        fragment: fragment.to_owned(),
    }
}

pub(crate) fn usage(input_tokens: u64, output_tokens: u64, cached_input_tokens: u64) -> ModelDelta {
    ModelDelta::Usage(majordomo_domain::Usage {
        input_tokens,
        output_tokens,
        cached_input_tokens,
    })
}

/// A request that uses everything a request can hold.
pub(crate) fn rich_request(model: &str) -> ModelRequest {
    use majordomo_application::ports::ToolSpec;
    use majordomo_domain::{Image, ImageSource, ToolCall};
    let tool_call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    let result = |id: &str, name: &str, content: &str, is_error| ModelMessage::Tool {
        call_id: id.to_owned(),
        name: name.to_owned(),
        content: content.to_owned(),
        is_error,
    };
    let mut request = ModelRequest::new(
        model,
        vec![
            ModelMessage::System("Be brief.".to_owned()),
            ModelMessage::User {
                text: "What is this?".to_owned(),
                images: vec![Image {
                    source: ImageSource::Base64 {
                        media_type: "image/png".to_owned(),
                        data: "iVBORw0K".to_owned(),
                    },
                }],
            },
            ModelMessage::Assistant {
                text: String::new(),
                tool_calls: vec![
                    tool_call("c1", "weather", r#"{"city":"Zürich"}"#),
                    tool_call("c2", "clock", ""),
                ],
            },
            result("c1", "weather", "12 °C", false),
            result("c2", "clock", "broken", true),
        ],
    );
    request.tools = Arc::new([ToolSpec {
        name: "weather".to_owned(),
        description: "Tells the weather".to_owned(),
        parameters: serde_json::json!({"type": "object", "properties": {"city": {"type": "string"}}}),
    }]);
    request.temperature = Some(0.5);
    request.top_p = Some(0.9);
    request.max_tokens = Some(100);
    request.stop = vec!["END".to_owned()];
    request
}
