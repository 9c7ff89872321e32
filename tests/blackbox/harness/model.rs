//! A model server that speaks the chat-completions protocol. Its only model, `m`, does what the last user message tells it.
//!
//! | message | answer |
//! |---|---|
//! | `ECHO text` | the text, word by word |
//! | `COUNT n ms tag` | `tag-0 tag-1 ...`, `n` pieces, `ms` milliseconds before each |
//! | `BIG n` | one piece of `n` bytes |
//! | `HANG` | one piece, then nothing for ever |
//! | `SILENT` | not even a status |
//! | `FAIL status` | an error with that status |
//! | `CUT n` | `n` pieces, then the connection is closed |
//! | `CALL name json` | a call of that tool; its result is answered with `RESULT: ...` |
//! | anything else | `you said: ...` |
//!
//! It embeds, too, by OpenAI's protocol and by Ollama's: see [`vector`].

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{PATIENCE, within};

/// What `COUNT count ms tag` is answered with.
pub(crate) fn counted(tag: &str, count: u64) -> String {
    let pieces: Vec<String> = (0..count).map(|n| format!("{tag}-{n} ")).collect();
    pieces.concat()
}

/// A running model server; it ends with this value.
pub(crate) struct ModelServer {
    /// Where it answers.
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

/// What the server has seen.
struct Seen {
    requests: Mutex<Vec<Value>>,
    keys: Mutex<Vec<String>>,
    dropped: watch::Sender<(usize, Option<Instant>)>,
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ModelServer {
    /// Starts on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen {
            requests: Mutex::default(),
            keys: Mutex::default(),
            dropped: watch::Sender::new((0, None)),
        });
        let shared = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let seen = shared.clone();
                // A client that goes away ends its own connection only.
                tokio::spawn(async move { drop(serve(socket, &seen).await) });
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    /// Settings that make it the default model, `mock/m`.
    pub(crate) fn settings(&self) -> String {
        format!(
            "\n[models]\ndefault = \"mock/m\"\n\n[[models.providers]]\nname = \"mock\"\nkind = \"openai\"\n\
             base_url = \"http://{}/v1\"\nmodels = [\"m\"]\n",
            self.address
        )
    }

    /// The same, and an embedding model that is asked by Ollama's protocol, `translated/m`.
    pub(crate) fn settings_with_embedder(&self) -> String {
        format!(
            "{}\n[[models.providers]]\nname = \"translated\"\nkind = \"ollama\"\nbase_url = \"http://{}\"\n\
             models = [\"embedder\"]\n\n[memory]\nembedder = \"translated/m\"\n",
            self.settings(),
            self.address
        )
    }

    /// The bodies of all requests so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The `Authorization` of all requests that had one.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.seen.keys.lock().unwrap().clone()
    }

    /// Waits until so many answers were abandoned by the client, and says when the last one was.
    pub(crate) async fn dropped(&self, times: usize) -> Instant {
        let mut dropped = self.seen.dropped.subscribe();
        let enough = within(
            PATIENCE,
            "abandoned answers",
            dropped.wait_for(|dropped| dropped.0 >= times),
        )
        .await;
        enough.unwrap().1.unwrap()
    }

    /// How many answers were abandoned by the client.
    pub(crate) fn dropped_so_far(&self) -> usize {
        self.seen.dropped.borrow().0
    }
}

/// Answers the requests of a connection.
async fn serve(socket: TcpStream, seen: &Seen) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut socket = BufReader::new(socket);
    while let Some((path, key, body)) = read_request(&mut socket).await? {
        seen.keys.lock().unwrap().extend(key);
        if path.ends_with("/models") {
            let models = json!({ "object": "list", "data": [{ "id": "m", "object": "model", "owned_by": "mock" }] });
            write_json(&mut socket, 200, &models).await?;
            continue;
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        seen.requests.lock().unwrap().push(body.clone());
        if path.ends_with("/embeddings") || path.ends_with("/api/embed") {
            embed(&mut socket, &path, &body).await?;
            continue;
        }
        if let Err(error) = answer(&mut socket, &body).await {
            seen.dropped
                .send_modify(|dropped| *dropped = (dropped.0 + 1, Some(Instant::now())));
            return Err(error);
        }
    }
    Ok(())
}

/// Path, `Authorization` and body of the next request.
pub(super) async fn read_request(
    socket: &mut BufReader<TcpStream>,
) -> io::Result<Option<(String, Option<String>, Vec<u8>)>> {
    let (mut path, mut key, mut length) = (String::new(), None, 0);
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or("/").to_owned();
        } else if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            } else if name.eq_ignore_ascii_case("authorization") {
                key = Some(value.trim().to_owned());
            }
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await?;
    Ok(Some((path, key, body)))
}

/// Does what the last message tells; an error when the client went away meanwhile.
async fn answer(socket: &mut BufReader<TcpStream>, request: &Value) -> io::Result<()> {
    if request["model"] != "m" {
        let error = json!({ "message": "no such model", "type": "invalid_request_error", "code": "model_not_found" });
        return write_json(socket, 404, &json!({ "error": error })).await;
    }
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let last = messages.last().cloned().unwrap_or_default();
    let text = text_of(&last["content"]);
    if last["role"] == "tool" {
        return say(socket, request, vec![format!("RESULT: {text}")], 0).await;
    }
    let (order, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let mut numbers = rest.split(' ').map_while(|word| word.parse::<u64>().ok());
    let mut number = |default| numbers.next().unwrap_or(default);
    match order {
        "ECHO" => {
            say(
                socket,
                request,
                rest.split_inclusive(' ').map(str::to_owned).collect(),
                0,
            )
            .await
        }
        "COUNT" => {
            let (count, delay) = (number(1), number(0));
            let tag = rest.splitn(3, ' ').nth(2).unwrap_or("n").to_owned();
            say(
                socket,
                request,
                (0..count).map(|n| format!("{tag}-{n} ")).collect(),
                delay,
            )
            .await
        }
        "BIG" => {
            say(
                socket,
                request,
                vec!["x".repeat(usize::try_from(number(1)).unwrap())],
                0,
            )
            .await
        }
        "HANG" => {
            begin_stream(socket).await?;
            write_delta(socket, &json!({ "content": "hanging " }), None).await?;
            wait_for_end(socket).await
        }
        "SILENT" => wait_for_end(socket).await,
        "FAIL" => {
            let status = number(500);
            let error = json!({ "error": { "message": "told to fail", "type": "server_error", "code": null } });
            write_json(socket, status, &error).await
        }
        "CUT" => {
            begin_stream(socket).await?;
            for n in 0..number(1) {
                write_delta(socket, &json!({ "content": format!("cut-{n} ") }), None).await?;
            }
            socket.get_mut().shutdown().await
        }
        "CALL" => {
            let (name, arguments) = rest.split_once(' ').unwrap_or((rest, "{}"));
            call(socket, request, name, arguments).await
        }
        _ => say(socket, request, vec![format!("you said: {text}")], 0).await,
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join(" "),
        _ => String::new(),
    }
}

async fn say(
    socket: &mut BufReader<TcpStream>,
    request: &Value,
    pieces: Vec<String>,
    delay: u64,
) -> io::Result<()> {
    if request["stream"] != true {
        pause(socket, delay * pieces.len() as u64).await?;
        let message = json!({ "role": "assistant", "content": pieces.concat() });
        return write_json(socket, 200, &completion(&message, "stop", pieces.len())).await;
    }
    begin_stream(socket).await?;
    for piece in &pieces {
        pause(socket, delay).await?;
        write_delta(socket, &json!({ "content": piece }), None).await?;
    }
    end_stream(socket, request, "stop", pieces.len()).await
}

async fn call(
    socket: &mut BufReader<TcpStream>,
    request: &Value,
    name: &str,
    arguments: &str,
) -> io::Result<()> {
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": name, "arguments": arguments } });
    if request["stream"] != true {
        let message = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
        return write_json(socket, 200, &completion(&message, "tool_calls", 1)).await;
    }
    begin_stream(socket).await?;
    let mut call = call;
    call["index"] = json!(0);
    write_delta(socket, &json!({ "tool_calls": [call] }), None).await?;
    end_stream(socket, request, "tool_calls", 1).await
}

fn usage(tokens: usize) -> Value {
    json!({ "prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens })
}

fn completion(message: &Value, finish: &str, tokens: usize) -> Value {
    json!({
        "id": "chatcmpl-mock", "object": "chat.completion", "created": 1, "model": "m", "usage": usage(tokens),
        "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
    })
}

pub(super) async fn write_json(
    socket: &mut BufReader<TcpStream>,
    status: u64,
    value: &Value,
) -> io::Result<()> {
    let body = value.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await
}

/// The head, and the chunk that tells who speaks.
async fn begin_stream(socket: &mut BufReader<TcpStream>) -> io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    write_delta(socket, &json!({ "role": "assistant", "content": "" }), None).await
}

async fn write_event(socket: &mut BufReader<TcpStream>, data: &str) -> io::Result<()> {
    let event = format!("data: {data}\n\n");
    socket
        .write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
        .await
}

async fn write_delta(
    socket: &mut BufReader<TcpStream>,
    delta: &Value,
    finish: Option<&str>,
) -> io::Result<()> {
    let chunk = json!({
        "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
    });
    write_event(socket, &chunk.to_string()).await
}

async fn end_stream(
    socket: &mut BufReader<TcpStream>,
    request: &Value,
    finish: &str,
    tokens: usize,
) -> io::Result<()> {
    write_delta(socket, &json!({}), Some(finish)).await?;
    if request["stream_options"]["include_usage"] == true {
        let chunk = json!({
            "id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [], "usage": usage(tokens),
        });
        write_event(socket, &chunk.to_string()).await?;
    }
    write_event(socket, "[DONE]").await?;
    socket.write_all(b"0\r\n\r\n").await
}

/// Waits; an error when the client goes away meanwhile.
async fn pause(socket: &mut BufReader<TcpStream>, milliseconds: u64) -> io::Result<()> {
    if milliseconds == 0 {
        return Ok(());
    }
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(milliseconds)) => Ok(()),
        end = wait_for_end(socket) => end,
    }
}

/// Waits until the client goes away, which is an error.
async fn wait_for_end(socket: &mut BufReader<TcpStream>) -> io::Result<()> {
    // A client sends nothing while it waits for an answer.
    socket.fill_buf().await?;
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// The vector of a text: its length in bytes, its words, 1; so many of these numbers as are wanted.
pub(crate) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let count = |number: usize| f32::from(u16::try_from(number).unwrap());
    let mut vector = vec![
        count(text.len()),
        count(text.split_whitespace().count()),
        1.0,
    ];
    vector.truncate(dimensions);
    vector
}

/// Answers with vectors; `FAIL status` among the texts does so.
async fn embed(socket: &mut BufReader<TcpStream>, path: &str, request: &Value) -> io::Result<()> {
    if request["model"] != "m" {
        let error = json!({ "message": "no such model", "type": "invalid_request_error", "code": "model_not_found" });
        return write_json(socket, 404, &json!({ "error": error })).await;
    }
    let inputs = match &request["input"] {
        Value::Array(inputs) if !inputs.iter().all(Value::is_number) => inputs.clone(),
        one => vec![one.clone()],
    };
    let texts: Vec<String> = inputs
        .iter()
        .map(|input| {
            input
                .as_str()
                .map_or_else(|| input.to_string(), str::to_owned)
        })
        .collect();
    if let Some(status) = texts.iter().find_map(|text| text.strip_prefix("FAIL ")) {
        let error =
            json!({ "error": { "message": "told to fail", "type": "server_error", "code": null } });
        return write_json(socket, status.parse().unwrap(), &error).await;
    }
    let dimensions = request["dimensions"]
        .as_u64()
        .map_or(3, |d| usize::try_from(d).unwrap());
    let vectors = texts.iter().map(|text| vector(text, dimensions));
    if path.ends_with("/api/embed") {
        let vectors: Vec<_> = vectors.collect();
        let answer = json!({ "model": "m", "embeddings": vectors, "prompt_eval_count": 7 });
        return write_json(socket, 200, &answer).await;
    }
    let data = vectors.enumerate().map(|(index, vector)| {
        let embedding = if request["encoding_format"] == "base64" {
            let bytes: Vec<u8> = vector.iter().flat_map(|n| n.to_le_bytes()).collect();
            json!(STANDARD.encode(bytes))
        } else {
            json!(vector)
        };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    });
    let answer = json!({
        "object": "list", "model": "m", "data": data.collect::<Vec<_>>(),
        "usage": { "prompt_tokens": 7, "total_tokens": 7 },
    });
    write_json(socket, 200, &answer).await
}
