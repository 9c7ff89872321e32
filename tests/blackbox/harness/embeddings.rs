//! An embedding model server that speaks OpenAI's protocol: a vector counts the words of a text.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::model::{read_request, write_json};

/// Numbers in a vector.
const DIMENSION: usize = 16;

/// A running server; it and its connections end with this value.
pub(crate) struct EmbeddingServer {
    address: SocketAddr,
    /// Whether it is slow and fails now and then.
    pub(crate) is_moody: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for EmbeddingServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl EmbeddingServer {
    /// Starts on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_moody = Arc::new(AtomicBool::new(false));
        let (moody, asked) = (is_moody.clone(), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (moody, asked) = (moody.clone(), asked.clone());
                // A client that goes away ends its own connection only.
                connections.spawn(async move { drop(serve(socket, &moody, &asked).await) });
            }
        });
        Self {
            address,
            is_moody,
            task,
        }
    }

    /// Settings that make it the memory's embedding model.
    pub(crate) fn settings(&self) -> String {
        format!(
            "\n[models]\ndefault = \"builtin/assistant\"\n\n[[models.providers]]\nname = \"vectors\"\nkind = \"openai\"\nbase_url = \"http://{}/v1\"\nmodels = []\n\
             \n[memory]\nembedder = \"vectors/words\"\n",
            self.address
        )
    }

    /// The vector of a text. Whole numbers, which every way of writing them down keeps.
    pub(crate) fn vector(text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; DIMENSION];
        for word in text.split_whitespace() {
            let hash = word.bytes().fold(7_usize, |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(usize::from(byte))
            });
            vector[hash % DIMENSION] += 1.0;
        }
        vector
    }
}

async fn serve(socket: TcpStream, moody: &AtomicBool, asked: &AtomicU64) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut socket = BufReader::new(socket);
    while let Some((_, _, body)) = read_request(&mut socket).await? {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        if moody.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(number % 5 * 7)).await;
            if number % 9 == 8 {
                let error = json!({ "error": { "message": "moody", "type": "server_error" } });
                write_json(&mut socket, 503, &error).await?;
                continue;
            }
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let texts = body["input"].as_array().cloned().unwrap_or_default();
        let vectors = texts.iter().zip(0..).map(|(text, index)| {
            let vector = EmbeddingServer::vector(text.as_str().unwrap_or_default());
            json!({ "object": "embedding", "index": index, "embedding": vector })
        });
        let answer = json!({
            "object": "list", "model": "words", "data": vectors.collect::<Vec<_>>(),
            "usage": { "prompt_tokens": 1, "total_tokens": 1 },
        });
        write_json(&mut socket, 200, &answer).await?;
    }
    Ok(())
}
