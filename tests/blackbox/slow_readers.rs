//! A thousand clients that open a stream and do not read it: memory stays bounded, and everyone else is served.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{ModelServer, Server};

const READERS: usize = 1000;
/// Pieces of the stream, a kilobyte each: far more than a connection that is not read takes in.
const PIECES: usize = 6000;
/// What a reader may cost the server: a connection with its buffers, and a few batches of events on their way. The whole
/// stream is eighteen times as long.
const BYTES_PER_READER: u64 = 320 * 1024;

/// Opens the stream and reads nothing. The system's own buffers for it are kept small.
async fn open_and_ignore(server: &Server, target: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(server.address).await.unwrap();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        server.token
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// The memory the server holds once every connection is full: when it has nothing to do any more.
async fn settled(server: &Server) -> u64 {
    for _ in 0..90 {
        let before = processor_ticks(server);
        tokio::time::sleep(Duration::from_secs(1)).await;
        // A tenth of one processor: a tick is 10 ms.
        if processor_ticks(server) - before < 10 {
            return server.resident_bytes();
        }
    }
    panic!("the server is still busy");
}

/// Processor time the server has used (proc(5), `utime` and `stime`).
fn processor_ticks(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

async fn ignored_by_a_thousand(model: &ModelServer, text: &str, finished: bool) {
    let server = Server::with_model(model).await;
    let body = json!({ "message": text, "conversation_id": "s" });
    let mut stream = server.stream("/v1/chat/stream", &body).await;
    let first = stream.next().await.unwrap().unwrap();
    let (run, _) = first.id.as_deref().unwrap().rsplit_once('.').unwrap();
    let target = format!("/v1/chat/stream?run={run}&after=0");
    if finished {
        stream.rest().await;
    } else {
        drop(stream);
    }
    let before = server.resident_bytes();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(open_and_ignore(&server, &target).await);
    }
    let grown = settled(&server).await.saturating_sub(before);
    assert!(
        grown < READERS as u64 * BYTES_PER_READER,
        "grown by {} KiB a reader",
        grown / 1024 / READERS as u64
    );
    for session in ["a", "b"] {
        let begin = Instant::now();
        let body = json!({ "message": "ECHO prompt", "conversation_id": session });
        assert_eq!(
            server.post("/v1/chat", &body).await.ok()["content"],
            "prompt"
        );
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "others wait {:?}",
            begin.elapsed()
        );
    }
    drop(readers);
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.get("/health").await.ok();
}

#[tokio::test]
async fn a_stored_stream_that_nobody_reads() {
    let model = ModelServer::start().await;
    let tag = "x".repeat(1000);
    ignored_by_a_thousand(&model, &format!("COUNT {PIECES} 0 {tag}"), true).await;
}

#[tokio::test]
async fn a_live_stream_that_nobody_reads() {
    let model = ModelServer::start().await;
    let tag = "x".repeat(1000);
    ignored_by_a_thousand(&model, &format!("COUNT {PIECES} 1 {tag}"), false).await;
}
