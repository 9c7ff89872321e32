//! A WebSocket client.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Broken, PATIENCE, Server};

/// An open socket.
pub(crate) struct Socket {
    inner: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The subprotocol that the server chose.
    pub(crate) protocol: Option<String>,
}

impl Socket {
    /// Opens a socket with the master token in the query.
    pub(crate) async fn open(server: &Server, path: &str) -> Self {
        let sign = if path.contains('?') { '&' } else { '?' };
        let url = format!("ws://{}{path}{sign}token={}", server.address, server.token);
        match Self::connect(&url, &[]).await {
            Ok(socket) => socket,
            Err(status) => panic!("the socket is refused: {status}"),
        }
    }

    /// Opens a socket; a refusal is its status, 0 when the connection failed.
    pub(crate) async fn connect(url: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request
                .headers_mut()
                .insert(name, HeaderValue::from_str(value).unwrap());
        }
        match tokio::time::timeout(PATIENCE, tokio_tungstenite::connect_async(request))
            .await
            .expect("a handshake")
        {
            Ok((inner, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|value| value.to_str().unwrap().to_owned());
                Ok(Self { inner, protocol })
            }
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    /// Sends JSON.
    pub(crate) async fn send(&mut self, value: &Value) -> Result<(), Broken> {
        self.send_text(&value.to_string()).await
    }

    /// Sends text as it is.
    pub(crate) async fn send_text(&mut self, text: &str) -> Result<(), Broken> {
        self.inner
            .send(Message::text(text))
            .await
            .map_err(|_| Broken)
    }

    /// The next text as it came.
    pub(crate) async fn next_text(&mut self) -> Result<String, Broken> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.inner.next())
                .await
                .expect("the socket is silent");
            match next {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return Err(Broken),
            }
        }
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        let text = self.next_text().await.expect("the socket was closed");
        serde_json::from_str(&text).unwrap()
    }

    /// Frames up to the first of this type, which is the last one given.
    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await;
            let is_last = frame["type"] == kind;
            frames.push(frame);
            if is_last {
                return frames;
            }
        }
    }

    /// The code of the close frame, which must be the next thing that is not a frame.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        while let Ok(Some(Ok(message))) = tokio::time::timeout(PATIENCE, self.inner.next()).await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn is_silent_for(&mut self, while_: Duration) -> bool {
        tokio::time::timeout(while_, self.inner.next())
            .await
            .is_err()
    }
}
