//! A server on a free port, and clients of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use futures_util::{SinkExt as _, StreamExt as _};
use majordomo_presentation_http::KernelLayer;
use majordomo_presentation_pocketpaw::ws::{self, SocketTiming};
use majordomo_testkit::Script;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::world::World;

/// Nothing in a test takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server.
pub(super) struct Site {
    pub(super) world: World,
    pub(super) address: SocketAddr,
    server: ServerHandle,
}

impl Site {
    pub(super) async fn playing(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self::serve(World::playing(scripts).await, SocketTiming::default())
    }

    pub(super) fn serve(world: World, timing: SocketTiming) -> Self {
        let (kernel, services) = (Arc::clone(&world.kernel), world.services.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::from(Arc::clone(&kernel)))
                .app_data(web::Data::new(services.clone()))
                .app_data(web::Data::new(timing))
                .wrap(KernelLayer::new(Arc::clone(&kernel)))
                .configure(ws::configure)
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self {
            world,
            address,
            server: handle,
        }
    }

    /// A client on this machine, without a credential.
    pub(super) async fn connect(&self, path: &str) -> Socket {
        self.connect_with(path, &[]).await.unwrap().0
    }

    /// As [`connect`](Self::connect), after the greeting.
    pub(super) async fn greeted(&self, path: &str) -> Socket {
        let mut socket = self.connect(path).await;
        assert_eq!(socket.json().await["type"], "connection_info");
        socket
    }

    /// A client that sends these headers.
    pub(super) async fn connect_with(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(Socket, Response), Error> {
        let address = format!("ws://{}{path}", self.address);
        let mut request = address.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let (stream, response) = connect_async(request).await?;
        Ok((Socket(stream), response))
    }

    /// The status and body of a refused handshake.
    pub(super) async fn refusal(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> (u16, Value) {
        match self.connect_with(path, headers).await {
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap();
                (response.status().as_u16(), body)
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("the handshake was not refused"),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _stopping = self.server.stop(false);
    }
}

/// A client.
pub(super) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(super) async fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    pub(super) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next message of any kind; `None` at the end.
    pub(super) async fn message(&mut self) -> Option<Message> {
        let message = tokio::time::timeout(PATIENCE, self.0.next()).await;
        let message = message.unwrap_or_else(|_| panic!("nothing came in time"));
        message.transpose().ok()?
    }

    /// The next frame's text. Pings are answered by the client itself.
    pub(super) async fn text(&mut self) -> String {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => return text.to_string(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected text, got {other:?}"),
            }
        }
    }

    pub(super) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// The next `count` frames.
    pub(super) async fn frames(&mut self, count: usize) -> Vec<Value> {
        let mut frames = Vec::new();
        for _ in 0..count {
            frames.push(self.json().await);
        }
        frames
    }

    /// The frames up to the one that holds `last`.
    pub(super) async fn until(&mut self, last: &str) -> Vec<String> {
        let mut frames = Vec::new();
        loop {
            let frame = self.text().await;
            let done = frame.contains(last);
            frames.push(frame);
            if done {
                return frames;
            }
        }
    }

    /// Says something to the agent in the dashboard's protocol and reads the whole answer.
    pub(super) async fn chat(&mut self, text: &str) -> Vec<String> {
        self.say(&serde_json::json!({ "action": "chat", "message": text }))
            .await;
        self.until(AGENT_END).await
    }

    /// Reads until the server closes.
    pub(super) async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match self.message().await {
                Some(Message::Close(frame)) => return frame,
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// What can be read within a moment, which should be nothing.
    pub(super) async fn silent(&mut self) {
        let moment = Duration::from_millis(150);
        if let Ok(message) = tokio::time::timeout(moment, self.0.next()).await {
            panic!("expected silence, got {message:?}");
        }
    }
}

/// In the last frame of a turn in the dashboard's protocol.
pub(super) const AGENT_END: &str = r#""event_type":"agent_end""#;
/// In the last frame of a turn in the documented protocol.
pub(super) const STREAM_END: &str = r#""type":"stream_end""#;

/// The kinds of frames: `type`, or `event_type` of system events.
pub(super) fn kinds(frames: &[String]) -> Vec<String> {
    let kind = |frame: &String| {
        let frame: Value = serde_json::from_str(frame).unwrap();
        let kind = frame.get("event_type").unwrap_or(&frame["type"]);
        kind.as_str().unwrap().to_owned()
    };
    frames.iter().map(kind).collect()
}

/// What the frames of an answer say, all together.
pub(super) fn said(frames: &[String]) -> String {
    let text = |frame: &String| {
        let frame: Value = serde_json::from_str(frame).unwrap();
        match frame["type"].as_str() {
            Some("message" | "chunk") => frame["content"].as_str().unwrap_or("").to_owned(),
            _ => String::new(),
        }
    };
    frames.iter().map(text).collect()
}
