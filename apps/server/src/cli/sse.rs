//! Reads server-sent events from an answer.

use futures_util::{Stream, StreamExt as _};
use reqwest::Response;

use crate::client::ClientError;

/// Longest event, in bytes.
const MAX_EVENT: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its name; empty when it has none.
    pub(super) name: String,
    /// Its data lines, joined.
    pub(super) data: String,
}

/// The events of an answer as they come (WHATWG HTML, "Server-sent events").
pub(super) fn events(response: Response) -> impl Stream<Item = Result<Event, ClientError>> {
    let state = (response.bytes_stream().boxed(), Vec::new());
    futures_util::stream::try_unfold(state, |(mut bytes, mut buffer)| async move {
        loop {
            while let Some(end) = find_blank_line(&buffer) {
                let rest = buffer.split_off(end);
                let block = std::mem::replace(&mut buffer, rest);
                if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                    return Ok(Some((event, (bytes, buffer))));
                }
            }
            match bytes.next().await {
                None => return Ok(None),
                Some(Ok(piece)) => buffer.extend_from_slice(&piece),
                Some(Err(error)) => {
                    return Err(ClientError::Answer(error.without_url().to_string()));
                }
            }
            if buffer.len() > MAX_EVENT {
                return Err(ClientError::Answer("an event is too long".to_owned()));
            }
        }
    })
}

/// The position after the first blank line.
fn find_blank_line(buffer: &[u8]) -> Option<usize> {
    buffer
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .map(|at| at + 2)
}

fn parse(block: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut has_data = false;
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.name),
            "data" => {
                if has_data {
                    event.data.push('\n');
                }
                event.data.push_str(value);
                has_data = true;
            }
            _ => {}
        }
    }
    has_data.then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_names_and_joined_data_and_comments_are_skipped() {
        let event = Event {
            name: "done".to_owned(),
            data: "a\nb".to_owned(),
        };
        assert_eq!(
            parse("id: 7\nevent: done\ndata: a\ndata: b\n\n"),
            Some(event)
        );
        assert_eq!(parse(": keepalive\n\n"), None);
    }
}
