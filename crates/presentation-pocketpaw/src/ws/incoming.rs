//! What the client sends: frames, put together to messages. Nothing is gathered that is longer than a message may be.

use actix_http::ws::{OpCode, Parser};
use actix_web::dev::Payload;
use actix_ws::{AggregatedMessage, CloseCode, CloseReason, ProtocolError};
use bytes::BytesMut;
use futures_util::StreamExt as _;

/// Longest message a client may send, in bytes: room for pictures.
pub(super) const MAX_MESSAGE: usize = 10 * 1024 * 1024;

/// What a client does that no client may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A message is longer than [`MAX_MESSAGE`].
    TooLong,
    /// Text is not UTF-8.
    NotText,
    /// The bytes are no frame, or not one that may come here.
    NotAFrame,
}

impl From<Fault> for CloseReason {
    fn from(fault: Fault) -> Self {
        let (code, words) = match fault {
            Fault::TooLong => (CloseCode::Size, "The message is too long"),
            Fault::NotText => (CloseCode::Invalid, "The text is not UTF-8"),
            Fault::NotAFrame => (CloseCode::Protocol, "Not a WebSocket frame"),
        };
        (code, words).into()
    }
}

impl From<ProtocolError> for Fault {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::Overflow => Self::TooLong,
            _ => Self::NotAFrame,
        }
    }
}

/// The reading half of a connection.
pub(super) struct Incoming {
    payload: Payload,
    bytes: BytesMut,
    /// A message that comes in parts: whether it is text, and what there is of it.
    parts: Option<(bool, BytesMut)>,
}

impl Incoming {
    pub(super) fn new(payload: Payload) -> Self {
        Self {
            payload,
            bytes: BytesMut::new(),
            parts: None,
        }
    }

    /// The next message; `None` when the client is gone. Nothing is lost when the returned future is dropped.
    pub(super) async fn next(&mut self) -> Option<Result<AggregatedMessage, Fault>> {
        loop {
            match self.decode() {
                Ok(Some(heard)) => return Some(Ok(heard)),
                Ok(None) => {}
                Err(fault) => return Some(Err(fault)),
            }
            let more = self.payload.next().await?.ok()?;
            self.bytes.extend_from_slice(&more);
        }
    }

    /// The first whole message in `bytes`.
    fn decode(&mut self) -> Result<Option<AggregatedMessage>, Fault> {
        loop {
            // The parser would gather a frame of any length before it looked at it.
            if declared_length(&self.bytes).is_some_and(|length| length > MAX_MESSAGE as u64) {
                return Err(Fault::TooLong);
            }
            let Some((last, code, payload)) = Parser::parse(&mut self.bytes, true, MAX_MESSAGE)?
            else {
                return Ok(None);
            };
            if self.bytes.is_empty() {
                // An idle connection keeps no room for frames.
                self.bytes = BytesMut::new();
            }
            if let Some(heard) = self.assemble(last, code, payload.unwrap_or_default())? {
                return Ok(Some(heard));
            }
        }
    }

    /// The message that a frame is, or ends.
    fn assemble(
        &mut self,
        last: bool,
        code: OpCode,
        payload: BytesMut,
    ) -> Result<Option<AggregatedMessage>, Fault> {
        let (text, whole) = match code {
            OpCode::Ping | OpCode::Pong | OpCode::Close if !last => return Err(Fault::NotAFrame),
            OpCode::Ping => return Ok(Some(AggregatedMessage::Ping(payload.freeze()))),
            OpCode::Pong => return Ok(Some(AggregatedMessage::Pong(payload.freeze()))),
            OpCode::Close => {
                return Ok(Some(AggregatedMessage::Close(
                    Parser::try_parse_close_payload(&payload)?,
                )));
            }
            OpCode::Text | OpCode::Binary if self.parts.is_none() => {
                (code == OpCode::Text, payload)
            }
            OpCode::Continue => {
                let (text, mut parts) = self.parts.take().ok_or(Fault::NotAFrame)?;
                if parts.len() + payload.len() > MAX_MESSAGE {
                    return Err(Fault::TooLong);
                }
                parts.unsplit(payload);
                (text, parts)
            }
            OpCode::Text | OpCode::Binary | OpCode::Bad => return Err(Fault::NotAFrame),
        };
        if !last {
            self.parts = Some((text, whole));
            return Ok(None);
        }
        if !text {
            return Ok(Some(AggregatedMessage::Binary(whole.freeze())));
        }
        let text = String::from_utf8(whole.into()).map_err(|_| Fault::NotText)?;
        Ok(Some(AggregatedMessage::Text(text.into())))
    }
}

/// The length in the head of the frame at the beginning of `bytes` (RFC 6455, 5.2), once it is there.
fn declared_length(bytes: &[u8]) -> Option<u64> {
    let (short, rest) = bytes.get(1..)?.split_first()?;
    let extended = match short & 0x7f {
        126 => rest.get(..2)?,
        127 => rest.get(..8)?,
        length => return Some(u64::from(length)),
    };
    Some(
        extended
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}
