//! An OpenTelemetry collector that keeps the spans it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{PATIENCE, within};

/// A running collector; it ends with this value.
pub(crate) struct Collector {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    messages: Arc<Mutex<Vec<Value>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Collector {
    /// Starts on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let messages = Arc::<Mutex<Vec<Value>>>::default();
        let shared = messages.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let messages = shared.clone();
                tokio::spawn(async move { drop(serve(socket, &messages).await) });
            }
        });
        Self {
            address,
            messages,
            task,
        }
    }

    /// What was sent so far.
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.messages.lock().unwrap().clone()
    }

    /// The spans that were sent so far.
    pub(crate) fn spans(&self) -> Vec<Value> {
        let messages = self.messages();
        let spans = messages.iter().map(|message| {
            let spans = &message["resourceSpans"][0]["scopeSpans"][0]["spans"];
            spans.as_array().unwrap().clone()
        });
        spans.flatten().collect()
    }

    /// Waits until there are spans of so many turns.
    pub(crate) async fn turns(&self, count: usize) -> Vec<Value> {
        let come = async {
            loop {
                let spans = self.spans();
                let turns = spans.iter().filter(|span| span["parentSpanId"].is_null());
                if turns.count() >= count {
                    return spans;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        within(PATIENCE, "spans", come).await
    }
}

async fn serve(socket: TcpStream, messages: &Mutex<Vec<Value>>) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(told) = line.strip_prefix("content-length:") {
                length = told.trim().parse().unwrap();
            }
            head.push(line);
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        assert!(head.contains(&"content-type: application/json".to_owned()));
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await?;
        let message = serde_json::from_slice(&body).unwrap();
        messages.lock().unwrap().push(message);
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        socket.get_mut().write_all(answer.as_bytes()).await?;
    }
}
