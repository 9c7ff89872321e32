//! As much of HTTP/1.1 as a measurement needs: GET and POST on a kept connection, and a WebSocket's handshake.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

/// How long the other side may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest head of an answer, in bytes.
const MAX_HEAD: u64 = 64 * 1024;
/// Longest body of an answer, in bytes.
const MAX_BODY: u64 = 64 * 1024 * 1024;
/// Time between two tries to reach a server that starts.
const RETRY: Duration = Duration::from_micros(500);
/// The key of the example in RFC 6455, section 1.3, and what a server has to answer to it.
const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A connection that is used for one request after the other.
pub(crate) struct Connection {
    host: String,
    stream: BufReader<TcpStream>,
}

/// An answer without its headers.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// What stands before an answer's body.
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, SILENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        Ok(Self {
            host: address.to_string(),
            stream: BufReader::with_capacity(4096, stream),
        })
    }

    /// Asks for `target`, the path with its query.
    pub(crate) fn get(&mut self, target: &str) -> io::Result<Response> {
        self.send(target, "")?;
        self.answer()
    }

    /// Posts a JSON document with a bearer credential.
    pub(crate) fn post(&mut self, target: &str, key: &str, body: &str) -> io::Result<Response> {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Response> {
        let head = self.head()?;
        let length: u64 = head
            .value("content-length")
            .and_then(|length| length.parse().ok())
            .filter(|length| *length <= MAX_BODY)
            .ok_or_else(|| invalid("an answer without a usable Content-Length"))?;
        let mut body = Vec::new();
        self.stream.by_ref().take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Response {
            status: head.status,
            body,
        })
    }

    /// Turns the connection into a WebSocket.
    pub(crate) fn open_websocket(&mut self, target: &str) -> io::Result<()> {
        let headers = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {WEBSOCKET_KEY}\r\n"
        );
        self.send(target, &headers)?;
        let head = self.head()?;
        let accepted = head.value("sec-websocket-accept") == Some(WEBSOCKET_ACCEPT);
        if head.status == 101 && accepted {
            return Ok(());
        }
        Err(invalid(&format!(
            "no WebSocket: the server answers with status {}",
            head.status
        )))
    }

    fn send(&mut self, target: &str, headers: &str) -> io::Result<()> {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
            self.host
        );
        self.stream.get_mut().write_all(request.as_bytes())
    }

    fn head(&mut self) -> io::Result<Head> {
        let mut lines = self.stream.by_ref().take(MAX_HEAD).lines();
        let mut line = || {
            lines
                .next()
                .unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()))
        };
        let status = line()?
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| invalid("an answer that is not HTTP"))?;
        let mut headers = Vec::new();
        loop {
            let line = line()?;
            if line.is_empty() {
                return Ok(Head { status, headers });
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| invalid("a header without a colon"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

impl Head {
    fn value(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Asks for `target` again and again until the answer is 200 or `limit` has passed. `alive` is asked in between and
/// ends the waiting when it fails.
pub(crate) fn wait_for(
    address: SocketAddr,
    target: &str,
    limit: Duration,
    mut alive: impl FnMut() -> Outcome,
) -> Outcome {
    let end = Instant::now() + limit;
    let mut answer = String::from("nothing");
    while Instant::now() < end {
        match Connection::open(address).and_then(|mut connection| connection.get(target)) {
            Ok(Response { status: 200, .. }) => return Ok(()),
            Ok(response) => answer = format!("status {}", response.status),
            Err(error) => answer = error.to_string(),
        }
        alive()?;
        thread::sleep(RETRY);
    }
    Err(Failure::new(format!(
        "http://{address}{target} does not answer with 200 within {} s: {answer}",
        limit.as_secs()
    )))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread;
    use std::time::Duration;

    use super::{Connection, wait_for};
    use crate::failure::{Failure, Outcome};

    /// A server that gives each answer to one connection after the other.
    fn server(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a client");
                let read = stream.read(&mut [0; 1024]).expect("a request");
                assert!(read > 0);
                stream.write_all(answer.as_bytes()).expect("written");
            }
        });
        address
    }

    #[test]
    fn an_answer_is_read_whole() {
        let address = server(&["HTTP/1.1 200 OK\r\nContent-LENGTH: 5\r\nX: y:z\r\n\r\nhello"]);
        let answer = Connection::open(address)
            .and_then(|mut open| open.get("/"))
            .expect("answer");
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, b"hello".as_slice())
        );
    }

    #[test]
    fn broken_answers_are_errors() {
        let answers = [
            "HTTP/1.1 200 OK\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent",
            "nonsense\r\n\r\n",
        ];
        for answer in answers {
            let address = server(Vec::leak(vec![answer]));
            let result = Connection::open(address).and_then(|mut open| open.get("/"));
            assert!(result.is_err(), "{answer}");
        }
    }

    #[test]
    fn a_websocket_needs_the_right_answer() {
        let accept = "HTTP/1.1 101 X\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        let mut open = Connection::open(server(Vec::leak(vec![accept]))).expect("connects");
        open.open_websocket("/ws").expect("a WebSocket");
        let refused = "HTTP/1.1 101 X\r\nSec-WebSocket-Accept: other\r\n\r\n";
        let mut open = Connection::open(server(Vec::leak(vec![refused]))).expect("connects");
        assert!(open.open_websocket("/ws").is_err());
    }

    #[test]
    fn waiting_ends_with_the_first_200_or_the_other_process() {
        let ready = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        let address = server(Vec::leak(vec![busy, ready]));
        let limit = Duration::from_secs(20);
        assert_eq!(wait_for(address, "/", limit, || Ok(())), Ok(()));
        let dead = || -> Outcome { Err(Failure::new("dead")) };
        let address = server(Vec::leak(vec![busy]));
        assert_eq!(
            wait_for(address, "/", limit, dead),
            Err(Failure::new("dead"))
        );
    }
}
