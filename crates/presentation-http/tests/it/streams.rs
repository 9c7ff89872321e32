//! Event streams over real connections.

use std::pin::{Pin, pin};
use std::time::Duration;

use actix_web::body::{MessageBody, to_bytes};
use actix_web::test::TestRequest;
use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, future::poll_fn, stream};
use majordomo_presentation_http::ResumeFrom;
use majordomo_presentation_http::sse::{self, Frame, KEEP_ALIVE, SseBody};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn encoded(frame: &Frame) -> String {
    let mut buffer = BytesMut::new();
    frame.encode(&mut buffer);
    String::from_utf8(buffer.to_vec()).unwrap()
}

#[test]
fn frames_are_written_as_the_format_asks() {
    let cases = [
        (Frame::data("x"), "data: x\n\n"),
        (Frame::data(""), "data: \n\n"),
        (
            Frame::json(&json!({ "a": 1 })).event("chunk").id(0),
            "id: 0\nevent: chunk\ndata: {\"a\":1}\n\n",
        ),
        (
            Frame::data("a\nb\r\nc\rd\n").id(u64::MAX),
            "id: 18446744073709551615\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n",
        ),
        (
            Frame::data("x").event("a\ndata: forged"),
            "event: adata: forged\ndata: x\n\n",
        ),
    ];
    for (frame, expected) in cases {
        assert_eq!(encoded(&frame), expected);
    }
}

async fn next<B: MessageBody>(body: &mut Pin<&mut B>) -> Option<Bytes> {
    poll_fn(|context| body.as_mut().poll_next(context))
        .await
        .map(|chunk| chunk.ok().unwrap())
}

#[tokio::test]
async fn frames_that_are_ready_go_out_together() {
    let frames = stream::iter((0..3).map(|number| Frame::data(number.to_string())));
    let mut body = pin!(SseBody::new(frames, KEEP_ALIVE));
    assert_eq!(
        next(&mut body).await.unwrap(),
        "data: 0\n\ndata: 1\n\ndata: 2\n\n"
    );
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn an_endless_ready_stream_is_cut_into_chunks() {
    let frames = stream::repeat_with(|| Frame::data("x".repeat(1000)));
    let mut body = pin!(SseBody::new(frames, KEEP_ALIVE));
    for _ in 0..3 {
        let chunk = next(&mut body).await.unwrap();
        assert!(
            chunk.len() >= 16 * 1024 && chunk.len() < 18 * 1024,
            "{}",
            chunk.len()
        );
    }
}

#[tokio::test]
async fn a_frame_does_not_wait_for_the_next() {
    let frames = stream::iter([Frame::data("now")]).chain(stream::pending());
    let mut body = pin!(SseBody::new(frames, KEEP_ALIVE));
    let first = tokio::time::timeout(Duration::from_millis(20), next(&mut body)).await;
    assert_eq!(first.unwrap().unwrap(), "data: now\n\n");
}

#[tokio::test]
async fn silence_is_filled_with_comments() {
    let quiet = Duration::from_millis(60);
    let frames = stream::once(async move {
        tokio::time::sleep(quiet / 2).await;
        Frame::data("x")
    })
    .chain(stream::pending());
    let mut body = pin!(SseBody::new(frames, quiet));
    assert_eq!(next(&mut body).await.unwrap(), "data: x\n\n");
    let since = tokio::time::Instant::now();
    assert_eq!(next(&mut body).await.unwrap(), ": keep-alive\n\n");
    assert!(since.elapsed() >= quiet * 9 / 10, "{:?}", since.elapsed());
    assert_eq!(next(&mut body).await.unwrap(), ": keep-alive\n\n");
}

#[actix_web::test]
async fn the_answer_asks_nobody_to_hold_it_back() {
    let response = sse::respond(stream::iter([Frame::data("x")]));
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(header("cache-control"), "no-cache");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(to_bytes(response.into_body()).await.unwrap(), "data: x\n\n");
}

#[test]
fn the_place_to_go_on_from_is_read() {
    let read = |uri: &str, header: Option<&str>| {
        let mut request = TestRequest::get().uri(uri);
        if let Some(header) = header {
            request = request.insert_header(("last-event-id", header));
        }
        let place = ResumeFrom::of(&request.to_http_request()).ok()?.0;
        place.map(|place| (place.run.into_string(), place.after))
    };
    let at = |run: &str, after| Some((run.to_owned(), after));
    assert_eq!(read("/", None), None);
    assert_eq!(read("/", Some("run-1.7")), at("run-1", 7));
    assert_eq!(read("/?run=run-1&after=8", None), at("run-1", 8));
    assert_eq!(read("/?run=run-1", None), at("run-1", 0));
    assert_eq!(read("/?run=run-1&after=8", Some("run-2.7")), at("run-2", 7));
    assert_eq!(read("/?after=8", Some("nonsense")), None);
}

/// Sixteen frames, 5 ms apart, as tokens come.
async fn tokens() -> HttpResponse {
    sse::respond(stream::iter(0..16).then(|number| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Frame::data(number.to_string())
    }))
}

#[actix_web::test]
async fn frames_cross_a_real_connection_one_by_one() {
    let app = || App::new().route("/", web::get().to(tokens));
    let server = HttpServer::new(app)
        .workers(1)
        .tcp_nodelay(true)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);

    let mut connection = TcpStream::connect(address).await.unwrap();
    connection
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let (mut text, mut buffer, mut arrivals) = (String::new(), [0; 4096], Vec::new());
    loop {
        let read = connection.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        arrivals.push(tokio::time::Instant::now());
    }
    handle.stop(false).await;
    for number in 0..16 {
        assert!(
            text.contains(&format!("data: {number}\n\n")),
            "{number}: {text}"
        );
    }
    let mut gaps: Vec<Duration> = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    assert!(gaps.len() >= 12, "frames were held back: {gaps:?}");
    assert!(gaps[gaps.len() / 2] < Duration::from_millis(30), "{gaps:?}");
}
