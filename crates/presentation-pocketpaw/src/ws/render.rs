//! The frames of a run's events, in two protocols. Pure functions of the run and the event: a replay gives the same bytes.

use majordomo_application::error::INTERNAL_MESSAGE;
use majordomo_domain::{
    MemoryId, Outcome, Run, RunEvent, RunEventKind, RunStatus, ToolCall, ToolOutput, Usage,
};
use serde::Serialize;
use serde_json::Value;

use super::frame::{BACKEND, to_json};
use crate::chat::UsageResponse;
use crate::wire::wire_id;

/// Longest tool output shown, in characters.
const MAX_RESULT: usize = 200;

/// Which protocol a connection speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Style {
    /// The web dashboard's.
    #[default]
    Dashboard,
    /// The one in the server's documentation.
    Documented,
}

/// A frame and the place in a run that it stems from.
#[derive(Serialize)]
struct RunFrame<'a, T> {
    #[serde(flatten)]
    frame: T,
    session_id: String,
    run_id: &'a str,
    seq: u64,
}

fn write<T: Serialize>(run: &Run, seq: u64, frames: Vec<T>) -> Vec<String> {
    frames
        .into_iter()
        .map(|frame| {
            to_json(&RunFrame {
                frame,
                session_id: wire_id(&run.session),
                run_id: run.id.as_str(),
                seq,
            })
        })
        .collect()
}

/// The frames of one event.
pub(super) fn render(style: Style, run: &Run, event: &RunEvent) -> Vec<String> {
    match style {
        Style::Dashboard => write(run, event.seq, dashboard(run, &event.kind)),
        Style::Documented => write(run, event.seq, documented(&event.kind)),
    }
}

/// The end of a run whose last event the client has, or cannot get.
pub(super) fn ended(style: Style, run: &Run, seq: u64) -> String {
    let frames = match style {
        Style::Dashboard => write(run, seq, vec![DashboardFrame::StreamEnd { usage: None }]),
        Style::Documented => write(run, seq, vec![DocumentedFrame::StreamEnd { usage: None }]),
    };
    frames.concat()
}

/// The end of what can be shown of a run whose events cannot be read.
pub(super) fn broken_off(style: Style, run: &Run, seq: u64) -> Vec<String> {
    let words = "The stream broke off";
    let mut frames = match style {
        Style::Dashboard => {
            let detail = Detail::Error { message: words };
            write(run, seq, vec![system_event(run, "error", detail)])
        }
        Style::Documented => write(run, seq, vec![DocumentedFrame::error(words)]),
    };
    frames.push(ended(style, run, seq));
    frames
}

/// The dashboard's frames.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum DashboardFrame<'a> {
    StreamStart {},
    SystemEvent {
        event_type: &'static str,
        data: EventData<'a>,
    },
    Message {
        content: &'a str,
        is_stream_chunk: bool,
        metadata: Metadata<'a>,
    },
    StreamEnd {
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<UsageResponse>,
    },
}

#[derive(Serialize)]
struct Metadata<'a> {
    trace_id: &'a str,
}

#[derive(Serialize)]
struct EventData<'a> {
    #[serde(flatten)]
    detail: Detail<'a>,
    session_key: String,
    trace_id: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    Nothing {},
    Agent {
        backend: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<&'a str>,
    },
    Recalled {
        memories: Vec<&'a str>,
    },
    Thinking {
        content: &'a str,
    },
    ToolStart {
        name: &'a str,
        params: Value,
        tool_call_id: &'a str,
    },
    ToolResult {
        name: &'a str,
        result: String,
        status: &'static str,
        tool_call_id: &'a str,
    },
    TokenUsage {
        backend: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<&'a str>,
        input_tokens: u64,
        output_tokens: u64,
        cached_input_tokens: u64,
        total_tokens: u64,
    },
    Error {
        message: &'a str,
    },
}

fn system_event<'a>(
    run: &'a Run,
    event_type: &'static str,
    detail: Detail<'a>,
) -> DashboardFrame<'a> {
    DashboardFrame::SystemEvent {
        event_type,
        data: EventData {
            detail,
            session_key: format!("websocket:{}", run.session),
            trace_id: run.id.as_str(),
        },
    }
}

fn dashboard<'a>(run: &'a Run, event: &'a RunEventKind) -> Vec<DashboardFrame<'a>> {
    match event {
        RunEventKind::Started => {
            let agent = Detail::Agent {
                backend: BACKEND,
                model: run.options.model.as_deref(),
            };
            vec![
                DashboardFrame::StreamStart {},
                system_event(run, "agent_start", agent),
                system_event(run, "thinking", Detail::Nothing {}),
            ]
        }
        // Another model takes over; what comes next tells the rest.
        RunEventKind::Hop(_) => Vec::new(),
        RunEventKind::Recalled(memories) => {
            let memories = memories.iter().map(MemoryId::as_str).collect();
            vec![system_event(run, "recalled", Detail::Recalled { memories })]
        }
        RunEventKind::Text(content) => vec![DashboardFrame::Message {
            content,
            is_stream_chunk: true,
            metadata: Metadata {
                trace_id: run.id.as_str(),
            },
        }],
        RunEventKind::Reasoning(content) => {
            vec![system_event(run, "thinking", Detail::Thinking { content })]
        }
        RunEventKind::ToolCalled(call) => {
            let detail = Detail::ToolStart {
                name: &call.name,
                params: arguments(call),
                tool_call_id: &call.id,
            };
            vec![system_event(run, "tool_start", detail)]
        }
        RunEventKind::ToolReturned(output) => {
            let detail = Detail::ToolResult {
                name: &output.name,
                result: shown(output),
                status: if output.is_error { "error" } else { "success" },
                tool_call_id: &output.call_id,
            };
            vec![system_event(run, "tool_result", detail)]
        }
        RunEventKind::Finished(outcome) => dashboard_end(run, outcome),
    }
}

fn dashboard_end<'a>(run: &'a Run, outcome: &'a Outcome) -> Vec<DashboardFrame<'a>> {
    let Usage {
        input_tokens,
        output_tokens,
        cached_input_tokens,
    } = outcome.usage;
    let usage = Detail::TokenUsage {
        backend: BACKEND,
        model: outcome.model.as_deref(),
        input_tokens,
        output_tokens,
        cached_input_tokens,
        total_tokens: outcome.usage.total_tokens(),
    };
    let mut frames = vec![system_event(run, "token_usage", usage)];
    if let Some(message) = failure(outcome) {
        frames.push(system_event(run, "error", Detail::Error { message }));
    }
    frames.push(DashboardFrame::StreamEnd {
        usage: Some(outcome.usage.into()),
    });
    frames.push(system_event(run, "agent_end", Detail::Nothing {}));
    frames
}

/// What is told of an event to those who watch the agent and not the answer: where it turns, not every piece.
pub(crate) fn system_events(run: &Run, event: &RunEventKind) -> Vec<(&'static str, Value)> {
    let turn = |name| vec![system_event(run, name, Detail::Nothing {})];
    let frames = match event {
        RunEventKind::Reasoning(_) => turn("thinking"),
        RunEventKind::Text(_) => turn("thinking_done"),
        _ => dashboard(run, event),
    };
    frames
        .into_iter()
        .filter_map(|frame| match frame {
            DashboardFrame::SystemEvent { event_type, data } => {
                Some((event_type, serde_json::to_value(data).unwrap_or_default()))
            }
            _ => None,
        })
        .collect()
}

/// The frames of the documentation.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum DocumentedFrame<'a> {
    Chunk {
        content: &'a str,
    },
    Thinking {
        content: &'a str,
    },
    ToolStart {
        tool: &'a str,
        input: Value,
        tool_call_id: &'a str,
    },
    ToolResult {
        tool: &'a str,
        output: String,
        status: &'static str,
        tool_call_id: &'a str,
    },
    Error {
        content: &'a str,
        detail: &'a str,
    },
    StreamEnd {
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<UsageResponse>,
    },
}

impl<'a> DocumentedFrame<'a> {
    fn error(words: &'a str) -> Self {
        Self::Error {
            content: words,
            detail: words,
        }
    }
}

fn documented(event: &RunEventKind) -> Vec<DocumentedFrame<'_>> {
    match event {
        RunEventKind::Started | RunEventKind::Hop(_) | RunEventKind::Recalled(_) => Vec::new(),
        RunEventKind::Text(content) => vec![DocumentedFrame::Chunk { content }],
        RunEventKind::Reasoning(content) => vec![DocumentedFrame::Thinking { content }],
        RunEventKind::ToolCalled(call) => vec![DocumentedFrame::ToolStart {
            tool: &call.name,
            input: arguments(call),
            tool_call_id: &call.id,
        }],
        RunEventKind::ToolReturned(output) => vec![DocumentedFrame::ToolResult {
            tool: &output.name,
            output: shown(output),
            status: if output.is_error { "error" } else { "success" },
            tool_call_id: &output.call_id,
        }],
        RunEventKind::Finished(outcome) => {
            let end = DocumentedFrame::StreamEnd {
                usage: Some(outcome.usage.into()),
            };
            let error = failure(outcome).map(DocumentedFrame::error);
            error.into_iter().chain([end]).collect()
        }
    }
}

/// A call's arguments; text that is no JSON is shown as it is.
fn arguments(call: &ToolCall) -> Value {
    serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::String(call.arguments.clone()))
}

/// The beginning of a tool's answer.
fn shown(output: &ToolOutput) -> String {
    output.content.chars().take(MAX_RESULT).collect()
}

/// Why a run did not end well. Being stopped is no failure.
fn failure(outcome: &Outcome) -> Option<&str> {
    let words = outcome.error.as_deref();
    match outcome.status {
        RunStatus::Completed | RunStatus::Stopped => None,
        RunStatus::Interrupted => Some(words.unwrap_or("The answer was interrupted")),
        RunStatus::Queued | RunStatus::Running | RunStatus::Failed => {
            Some(words.unwrap_or(INTERNAL_MESSAGE))
        }
    }
}
