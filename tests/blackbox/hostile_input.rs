//! Bodies that are too long, too deep or no text at all: refused with a 4xx, at a bounded cost, and nobody else notices.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Answer, ModelServer, Server, Socket, within};

const MEBIBYTE: usize = 1024 * 1024;

/// Every route that takes a body to chat, and how its text is called.
const CHATS: [(&str, &str); 5] = [
    ("/api/v1/chat", "content"),
    ("/api/v1/chat/stream", "content"),
    ("/v1/chat", "message"),
    ("/v1/chat/stream", "message"),
    ("/v1/chat/completions", "model"),
];

async fn post(server: &Server, path: &str, body: Vec<u8>) -> Option<Answer> {
    let request = server
        .request(Method::POST, path)
        .header("content-type", "application/json")
        .body(body);
    // The server may close before it has read a body that it refuses.
    Some(Answer::of(request.send().await.ok()?).await)
}

#[tokio::test]
async fn bodies_of_ten_megabytes_are_refused_or_taken_with_bounded_memory() {
    let model = ModelServer::start().await;
    let server = Server::with_model(&model).await;
    server.get("/health").await.ok();
    let before = server.resident_bytes();
    for (path, field) in CHATS {
        for size in [9 * MEBIBYTE, 11 * MEBIBYTE, 40 * MEBIBYTE] {
            let body = json!({ field: "x".repeat(size) }).to_string().into_bytes();
            if let Some(answer) = post(&server, path, body).await {
                assert!(
                    (400..500).contains(&answer.status),
                    "{path}, {size} bytes: {answer:?}"
                );
            }
        }
    }
    // What the model may have: the limit is that of the body.
    let messages =
        json!([{ "role": "user", "content": format!("ECHO fine {}", "x".repeat(9 * MEBIBYTE)) }]);
    let body = json!({ "model": "mock/m", "messages": messages })
        .to_string()
        .into_bytes();
    assert_eq!(
        post(&server, "/v1/chat/completions", body)
            .await
            .unwrap()
            .status,
        200
    );
    server.get("/health").await.ok();
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(
        grown < 200 * MEBIBYTE as u64,
        "grown by {} MiB",
        grown / MEBIBYTE as u64
    );
}

#[tokio::test]
async fn many_long_bodies_at_once_cost_bounded_memory() {
    let server = Server::assistant().await;
    let before = server.resident_bytes();
    let body = json!({ "content": "x".repeat(9 * MEBIBYTE) })
        .to_string()
        .into_bytes();
    let requests = (0..20).map(|_| post(&server, "/api/v1/chat", body.clone()));
    for answer in futures_util::future::join_all(requests)
        .await
        .into_iter()
        .flatten()
    {
        assert_eq!(answer.status, 422, "{}", answer.text);
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(
        grown < 600 * MEBIBYTE as u64,
        "grown by {} MiB",
        grown / MEBIBYTE as u64
    );
    server
        .post("/v1/chat", &json!({ "message": "hello" }))
        .await
        .ok();
}

#[tokio::test]
async fn deep_json_is_refused_everywhere() {
    const DEPTH: usize = 10_000;
    let server = Server::assistant().await;
    for (path, field) in CHATS {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(DEPTH), close.repeat(DEPTH));
            for body in [
                deep.clone(),
                format!("{{\"{field}\":{deep}}}"),
                format!("{{\"other\":{deep}}}"),
            ] {
                let answer = post(&server, path, body.into_bytes()).await.unwrap();
                assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
            }
        }
    }
    let mut socket = Socket::open(&server, "/ws").await;
    socket.next().await;
    socket.send_text(&"[".repeat(DEPTH)).await.unwrap();
    assert_eq!(socket.next().await["type"], "error");
}

#[tokio::test]
async fn what_is_no_text_or_no_json_is_refused_everywhere() {
    let server = Server::assistant().await;
    for (path, field) in CHATS {
        let mut broken = format!("{{\"{field}\":\"").into_bytes();
        broken.extend([0xff, 0xfe, 0xc3, 0x28]);
        broken.extend(b"\"}");
        let bodies: [Vec<u8>; 7] = [
            broken,
            Vec::new(),
            b"null".to_vec(),
            b"[]".to_vec(),
            b"\"text\"".to_vec(),
            b"{\"a\":".to_vec(),
            format!("{{\"{field}\":\"\\ud800\"}}").into_bytes(),
        ];
        for body in bodies {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let answer = post(&server, path, body).await.unwrap();
            assert!(
                (400..500).contains(&answer.status),
                "{path} {shown:?}: {answer:?}"
            );
            answer.json();
        }
    }
}

/// Bytes that are no HTTP at all, and requests that never end.
#[tokio::test]
async fn garbage_on_the_wire_disturbs_nobody() {
    let server = Server::assistant().await;
    let garbage: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    let mut open = Vec::new();
    for bytes in garbage {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = within(
            Duration::from_secs(15),
            "an answer or an end",
            socket.read(&mut answer),
        )
        .await
        .unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
        // A head that never ends.
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(b"POST /v1/chat HTTP/1.1\r\nHost: x\r\nContent-")
            .await
            .unwrap();
        open.push(slow);
    }
    let long = format!(
        "GET /health HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n",
        "x".repeat(MEBIBYTE)
    );
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let _ = socket.write_all(long.as_bytes()).await;
    server
        .post("/v1/chat", &json!({ "message": "hello" }))
        .await
        .ok();
}

#[tokio::test]
async fn odd_paths_and_parameters_are_refused_in_words() {
    let server = Server::assistant().await;
    for path in [
        "/api/v1/sessions/%00/history",
        "/api/v1/sessions/..%2f..%2fetc/history",
        "/api/v1/sessions?limit=99999999999999999999",
        "/api/v1/sessions?limit=-1",
        "/api/v1/sessions/search?q=%ff%fe",
        "/v1/chat/stream?run=../..&after=1",
        "/v1/models/%2e%2e/%2e%2e",
        "/api/search/conversations?q=%22%20OR%20(",
    ] {
        let answer = server.get(path).await;
        assert!(answer.status < 500, "{path}: {answer:?}");
    }
    // " * ( ) : - AND OR NEAR
    let found = server.request(
        Method::GET,
        "/api/v1/sessions/search?q=%22%20*%20%28%20%29%20%3A%20-%20AND%20OR%20NEAR",
    );
    assert_eq!(found.send().await.unwrap().status().as_u16(), 200);
}
