//! The events of a run as this dialect's stream tells them.

use majordomo_application::error::INTERNAL_MESSAGE;
use majordomo_domain::{Outcome, Run, RunEvent, RunEventKind, RunStatus};
use majordomo_presentation_http::sse::Frame;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::dto::UsageResponse;
use crate::wire::wire_id;

/// Longest tool output shown, in characters.
const MAX_OUTPUT: usize = 200;

/// One event; its name on the wire is in the words of each variant.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum StreamEvent {
    /// `stream_start`: always the first.
    Start {
        /// Names the session.
        session_id: String,
    },
    /// `recalled`: the prompt quotes memories.
    Recalled {
        /// Their ids.
        memories: Vec<String>,
    },
    /// `thinking`: a piece of the reasoning.
    Thinking {
        /// The piece.
        content: String,
    },
    /// `chunk`: a piece of the answer.
    Chunk {
        /// The piece.
        content: String,
        /// Always `text`.
        #[serde(rename = "type")]
        kind: &'static str,
    },
    /// `tool_start`: a tool is called.
    ToolStart {
        /// The tool's name.
        tool: String,
        /// Its arguments.
        input: Value,
    },
    /// `tool_result`: a tool has answered.
    ToolResult {
        /// The tool's name.
        tool: String,
        /// The beginning of its answer.
        output: String,
    },
    /// `stream_end`: the answer is whole, or was stopped. The last.
    End {
        /// Names the session.
        session_id: String,
        /// What it cost.
        usage: UsageResponse,
    },
    /// `error`: the answer broke off. The last.
    Error {
        /// Why.
        detail: String,
    },
}

impl StreamEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "stream_start",
            Self::Recalled { .. } => "recalled",
            Self::Thinking { .. } => "thinking",
            Self::Chunk { .. } => "chunk",
            Self::ToolStart { .. } => "tool_start",
            Self::ToolResult { .. } => "tool_result",
            Self::End { .. } => "stream_end",
            Self::Error { .. } => "error",
        }
    }
}

/// What clients are told of an event: the same whenever it is told. A call of the next model is not told; a turn that
/// ends before it began is told from its beginning.
pub(crate) fn render(run: &Run, event: &RunEvent) -> impl Iterator<Item = Frame> + use<> {
    let started_late = event.seq == 1 && event.kind != RunEventKind::Started;
    let first = started_late.then(|| start(run));
    let told = told(run, event);
    first.into_iter().chain(told).map(|event| {
        let name = event.name();
        Frame::json(&event).event(name)
    })
}

fn start(run: &Run) -> StreamEvent {
    StreamEvent::Start {
        session_id: wire_id(&run.session),
    }
}

fn told(run: &Run, event: &RunEvent) -> Option<StreamEvent> {
    Some(match &event.kind {
        RunEventKind::Started => start(run),
        RunEventKind::Hop(_) => return None,
        RunEventKind::Recalled(memories) => StreamEvent::Recalled {
            memories: memories.iter().map(ToString::to_string).collect(),
        },
        RunEventKind::Text(piece) => StreamEvent::Chunk {
            content: piece.clone(),
            kind: "text",
        },
        RunEventKind::Reasoning(piece) => StreamEvent::Thinking {
            content: piece.clone(),
        },
        RunEventKind::ToolCalled(call) => StreamEvent::ToolStart {
            tool: call.name.clone(),
            input: serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({})),
        },
        RunEventKind::ToolReturned(output) => StreamEvent::ToolResult {
            tool: output.name.clone(),
            output: output.content.chars().take(MAX_OUTPUT).collect(),
        },
        RunEventKind::Finished(outcome) => end(run, outcome),
    })
}

fn end(run: &Run, outcome: &Outcome) -> StreamEvent {
    match outcome.status {
        RunStatus::Completed | RunStatus::Stopped => StreamEvent::End {
            session_id: wire_id(&run.session),
            usage: outcome.usage.into(),
        },
        _ => StreamEvent::Error {
            detail: outcome
                .error
                .clone()
                .unwrap_or_else(|| INTERNAL_MESSAGE.to_owned()),
        },
    }
}
