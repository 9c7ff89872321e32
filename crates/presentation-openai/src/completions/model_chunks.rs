//! A model's deltas as chunks.

use bytes::{BufMut as _, Bytes, BytesMut};
use majordomo_application::ports::ModelDelta;
use majordomo_domain::Usage;

use super::response::{CallDelta, ChatCompletionChunk, ChunkHead, DONE, Delta, FunctionDelta};

/// Renders the deltas of one answer, in order.
pub(super) struct ModelChunks {
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
    usage: Usage,
    begun: bool,
}

impl ModelChunks {
    pub(super) fn new(id: String, created: i64, model: String, include_usage: bool) -> Self {
        Self {
            id,
            created,
            model,
            include_usage,
            usage: Usage::default(),
            begun: false,
        }
    }

    /// The events for one delta; nothing for usage, which is told at the end.
    pub(super) fn render(&mut self, delta: ModelDelta) -> Bytes {
        if let ModelDelta::Usage(usage) = delta {
            self.usage = usage;
            return Bytes::new();
        }
        let first = !std::mem::replace(&mut self.begun, true);
        let head = ChunkHead {
            id: &self.id,
            created: self.created,
            model: &self.model,
            include_usage: self.include_usage,
        };
        let mut events = BytesMut::with_capacity(256);
        if first {
            put(&mut events, &head.delta(Delta::first(), None));
        }
        match &delta {
            ModelDelta::Finish(reason) => {
                let reason = Some(reason.as_str());
                put(&mut events, &head.delta(Delta::default(), reason));
                if let Some(usage) = head.usage(self.usage) {
                    put(&mut events, &usage);
                }
                events.put_slice(format!("data: {DONE}\n\n").as_bytes());
            }
            delta => put(&mut events, &head.delta(piece(delta), None)),
        }
        events.freeze()
    }
}

fn piece(delta: &ModelDelta) -> Delta<'_> {
    match delta {
        ModelDelta::Text(text) => Delta::text(text),
        ModelDelta::Reasoning(text) => Delta::reasoning(text),
        ModelDelta::ToolCallStarted { index, id, name } => Delta::call(CallDelta {
            index: *index,
            id: Some(id),
            r#type: Some("function"),
            function: FunctionDelta {
                name: Some(name),
                arguments: "",
            },
        }),
        ModelDelta::ToolCallArguments { index, fragment } => Delta::call(CallDelta {
            index: *index,
            id: None,
            r#type: None,
            function: FunctionDelta {
                name: None,
                arguments: fragment,
            },
        }),
        ModelDelta::Usage(_) | ModelDelta::Finish(_) => Delta::default(),
    }
}

fn put(events: &mut BytesMut, chunk: &ChatCompletionChunk<'_>) {
    events.put_slice(b"data: ");
    // Chunks hold only texts and numbers: they can always be written.
    if let Err(error) = serde_json::to_writer((&mut *events).writer(), chunk) {
        tracing::error!(cause = %error, "a chunk could not be written as JSON");
    }
    events.put_slice(b"\n\n");
}
