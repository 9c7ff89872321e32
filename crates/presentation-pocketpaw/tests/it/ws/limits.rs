//! Clients that send too much, read too slowly, or do nothing at all.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use majordomo_testkit::Script;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

use super::site::{STREAM_END, Site, Socket, said};

/// Kilobytes of memory that the process has in RAM.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

/// A client that needs no memory of its own.
fn bare_client(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let handshake = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).unwrap();
    stream
}

/// An answer of `LONG` characters.
fn long_answer() -> Script {
    let piece = "x".repeat(LONG / 200);
    vec![piece.as_str(); 200]
        .into_iter()
        .fold(Script::new(), Script::text)
}

const LONG: usize = 4_000_000;
/// Together more than the operating system keeps for a socket.
const ANSWERS: usize = 6;

/// Asks for long answers, each in a session of its own.
async fn ask_for_answers(socket: &mut Socket) {
    for session in 0..ANSWERS {
        let session = format!("s{session}");
        let chat = json!({ "type": "chat", "content": "All of it", "session_id": session });
        socket.say(&chat).await;
    }
}

#[actix_web::test]
async fn a_slow_reader_holds_nobody_up_and_loses_nothing() {
    let site = Site::playing((0..ANSWERS).map(|_| long_answer().finish())).await;
    let mut slow = site.greeted("/ws").await;
    ask_for_answers(&mut slow).await;
    let runs_end = async {
        // All runs end while nothing is read; another client is served meanwhile.
        while site.world.model.streams().ended < ANSWERS {
            let mut other = site.greeted("/ws").await;
            other.say(&json!({ "action": "ping" })).await;
            assert_eq!(other.json().await["type"], "pong");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), runs_end)
        .await
        .unwrap();
    let mut read = 0;
    for _ in 0..ANSWERS {
        read += said(&slow.until(STREAM_END).await).len();
    }
    assert_eq!(read, ANSWERS * LONG);
}

#[actix_web::test]
async fn a_client_that_does_not_read_can_still_stop() {
    let site = Site::playing((0..ANSWERS).map(|_| long_answer().hang())).await;
    let mut slow = site.greeted("/ws").await;
    ask_for_answers(&mut slow).await;
    let stopped = async {
        site.world.model.asked(ANSWERS).await;
        slow.say(&json!({ "action": "stop" })).await;
        site.world.model.cancelled(1).await;
    };
    tokio::time::timeout(Duration::from_secs(30), stopped)
        .await
        .unwrap();
}

#[actix_web::test]
async fn a_message_may_be_as_long_as_ten_megabytes() {
    let site = Site::playing([]).await;
    let mut socket = site.greeted("/ws").await;
    let long = json!({ "action": "ping", "padding": "x".repeat(9_000_000) });
    socket.say(&long).await;
    assert_eq!(socket.json().await, json!({ "type": "pong" }));
    // The length stands before the payload, so the frame is refused before it is sent.
    let mut raw = bare_client(site.address);
    raw.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    raw.write_all(&[0x81, 0xff, 0, 0, 0, 0, 0, 0xb0, 0, 0, 1, 2, 3, 4])
        .unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = Vec::new();
        let _ = raw.read_to_end(&mut answer);
        answer
    });
    let answer = answer.await.unwrap();
    let code = u16::from(CloseCode::Size).to_be_bytes();
    assert!(answer.windows(2).any(|bytes| bytes == code));
}

#[actix_web::test]
async fn a_message_in_parts_is_put_together_and_has_the_same_limit() {
    let site = Site::playing([]).await;
    let mut socket = site.greeted("/ws").await;
    let part = |code: Data, last: bool, text: Vec<u8>| {
        let header = FrameHeader {
            is_final: last,
            opcode: OpCode::Data(code),
            mask: Some([0; 4]),
            ..FrameHeader::default()
        };
        Message::Frame(Frame::from_payload(header, text.into()))
    };
    socket
        .send(part(Data::Text, false, b"{\"action\":".to_vec()))
        .await;
    socket
        .send(part(Data::Continue, true, b"\"ping\"}".to_vec()))
        .await;
    assert_eq!(socket.json().await, json!({ "type": "pong" }));
    let half = vec![b' '; 6_000_000];
    socket.send(part(Data::Text, false, half.clone())).await;
    socket.send(part(Data::Continue, false, half)).await;
    assert_eq!(socket.closed().await.unwrap().code, CloseCode::Size);
}

#[actix_web::test]
async fn closing_is_answered() {
    let site = Site::playing([]).await;
    let mut socket = site.greeted("/ws").await;
    socket.send(Message::Close(None)).await;
    assert_eq!(socket.closed().await, None);
}

#[actix_web::test]
async fn an_idle_socket_costs_little_memory() {
    const SOCKETS: usize = 1000;
    let site = Site::playing([]).await;
    // What the first ones make once and for all is not counted.
    let warm: Vec<_> = (0..100).map(|_| bare_client(site.address)).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = resident();
    let mut sockets = Vec::new();
    for batch in 0..10 {
        sockets.extend((0..SOCKETS / 10).map(|_| bare_client(site.address)));
        tokio::time::sleep(Duration::from_millis(30 + batch)).await;
    }
    let mut greeting = [0; 512];
    let mut last = sockets.pop().unwrap();
    let greeted = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        while !text.contains("connection_info") {
            let read = last.read(&mut greeting).unwrap();
            text.push_str(&String::from_utf8_lossy(&greeting[..read]));
        }
        last
    });
    sockets.push(greeted.await.unwrap());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let each = (resident().saturating_sub(before)) * 1024 / SOCKETS;
    println!("{each} bytes for each idle socket");
    assert!(each < 14_000, "{each} bytes for each idle socket");
    drop((warm, sockets));
}
